"""ART: trajectories as its versions log them, on stand-ins of its models, whose package needs a newer Python."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from scripts.format_writers.answers import GROUPS, Answer
from scripts.format_writers.source import Source

FRAMEWORK = "ART"
_FILE = "art/utils/trajectory_logging.py"
_PARQUET, _JSONL = f"{_FILE} write_trajectory_groups_parquet", f"{_FILE} serialize_trajectory_groups"


class Trajectory(BaseModel):
    messages_and_choices: list[Any]
    additional_histories: list[Any] = []
    exchanges: None = None
    tools: None = None
    reward: float
    metrics: dict[str, float] = {}
    metadata: dict[str, str] = {}
    logs: list[str] = []


class TrajectoryGroup(BaseModel):
    trajectories: list[Trajectory]
    metadata: dict[str, str] = {}
    metrics: dict[str, float] = {}
    logs: list[str] = []


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    """Parquet; for versions up to 0.5.0 JSONL."""
    for name in ("litellm", "litellm.types", "litellm.types.utils"):  # whose Choices no message here is
        sys.modules.setdefault(name, ModuleType(name)).__dict__.setdefault("Choices", type("Choices", (), {}))
    models: dict[str, Any] = {"Trajectory": Trajectory, "TrajectoryGroup": TrajectoryGroup}
    taken = source.take(_FILE, bases=(), **models, ART_MOE_ROUTING_METADATA_KEY="")
    groups = [
        TrajectoryGroup(
            trajectories=[Trajectory(messages_and_choices=[*a.messages, _choice(a)], reward=a.reward) for a in group]
        )
        for group in GROUPS
    ]
    if hasattr(taken, "serialize_trajectory_groups"):
        yield "art-trajectories-0005.jsonl", _JSONL, taken.serialize_trajectory_groups(groups).encode() + b"\n"
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "0005.parquet")
        taken.write_trajectory_groups_parquet(groups, path)
        old = "" if hasattr(taken, "_FORMAT_VERSION") else "v1-"
        yield f"art-{old}trajectories-0005.parquet", _PARQUET, path.read_bytes()


def _choice(a: Answer) -> Any:
    from openai.types.chat.chat_completion import Choice

    content: list[dict[str, Any]] = [
        {"token": f"token_id:{token}", "logprob": logprob, "bytes": None, "top_logprobs": []}
        for token, logprob in zip(a.ids, a.sampler, strict=True)
    ]
    return Choice.model_validate(
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": a.text},
            "logprobs": {"content": content, "refusal": None},
        }
    )
