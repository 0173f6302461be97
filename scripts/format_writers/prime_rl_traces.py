"""prime-rl: `FileMonitor.log_episodes` on episodes of verifiers, whose package has to be installed."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.format_writers.answers import GROUPS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "prime-rl"
FUNCTION = "src/prime_rl/monitors/file.py FileMonitor.log_episodes"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    taken = source.take("src/prime_rl/monitors/file.py", "FileMonitor.log_episodes")
    with tempfile.TemporaryDirectory() as folder:
        monitor = taken.FileMonitor()
        monitor.output_dir = Path(folder)
        asyncio.run(monitor.log_episodes(list(episodes()), STEP, "train", "all"))
        data = next(Path(folder).rglob("traces.jsonl")).read_bytes()
    yield "prime-rl-traces.jsonl", FUNCTION, data


def episodes(*, tokens: bool = True, run: bool = True) -> Iterator[Any]:
    """One a completion. Without `tokens` as a hosted model answers; without `run` as an evaluation has them, of which
    nothing is trained."""
    from verifiers.v1.episode import EnvInfo, GroupInfo, PolicySpan, TrainRunInfo, TrainWorkInfo, WireEpisode
    from verifiers.v1.graph import MessageNode
    from verifiers.v1.types import AssistantMessage, UserMessage

    for number, group in enumerate(GROUPS):
        for index, a in enumerate(group):
            asked = MessageNode(
                message=UserMessage(content=a.prompt),
                timestamp=0.0,
                token_ids=list(a.prompt_ids) if tokens else [],
                mask=[False] * len(a.prompt_ids) if tokens else [],
            )
            said = MessageNode(
                parent=0,
                message=AssistantMessage(content=a.text),
                sampled=True,
                timestamp=0.0,
                token_ids=[90, *a.ids] if tokens else [],
                mask=[False] + [True] * len(a.ids) if tokens else [],
                logprobs=list(a.sampler) if tokens else [],
                advantages=[a.advantage] * len(a.ids) if run else None,
            )
            task: dict[str, Any] = {"type": "Task", "data": {"idx": number, "prompt": a.prompt}}
            trace = {
                "id": f"trace-{number}-{index}",
                "task": task,
                "agent": {"config": {}, "name": "agent", "trainable": True},
                "nodes": [asked.model_dump(), said.model_dump()],
                "rewards": {"correct": {"score": a.reward, "weight": 1.0}},
                "is_completed": True,
                "ok": True,
            }
            episode = WireEpisode.model_validate(
                {"id": f"episode-{number}-{index}", "task": task, "traces": [trace], "ok": True}
            )
            episode.env, episode.group = EnvInfo(id="gsm8k", name="math"), GroupInfo(id=f"group-{number}")
            work = TrainWorkInfo(step=STEP, policy=PolicySpan(start=STEP - 1, end=STEP))
            if run:
                episode.record_run(TrainRunInfo(id="run", work=work))
            yield episode
