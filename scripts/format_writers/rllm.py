"""rLLM: `EpisodeLogger.log_episode`, one file per episode."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from scripts.format_writers.answers import ANSWERS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "rLLM"
FUNCTION = "rllm/utils/episode_logger.py EpisodeLogger.log_episode"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    taken = source.take("rllm/utils/episode_logger.py", "EpisodeLogger")
    a = ANSWERS[0]
    step = SimpleNamespace(
        observation=None, thought="", action=a.text, reward=a.reward, done=True, model_response=a.text, info={},
        chat_completions=[*a.messages, {"role": "assistant", "content": a.text}],
    )  # fmt: skip
    trajectory = SimpleNamespace(name="solver", uid="0", reward=a.reward, steps=[step], info={})
    episode = SimpleNamespace(
        id="task-0:0", session_id=None, task={"question": a.prompt}, is_correct=True, termination_reason=None,
        metrics={}, metadata={}, info={},
        trajectories=[trajectory],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        taken.EpisodeLogger(folder).log_episode(episode, STEP)
        data = next(Path(folder).rglob("episode_*.json")).read_bytes()
    yield "rllm-episode.json", FUNCTION, data
