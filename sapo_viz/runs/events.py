"""What happens in a run, one frozen value at a time; in `events.jsonl` one JSON object per line.

type        step                      further fields
start       last step that is done    config, device, parameters, resumed (true when it goes on from a checkpoint);
                                      answers: the start's likeliest ones to held-out prompts (training/validation.py)
step        1, 2, …                   metrics: name -> number, explained in runs.metrics; answers, where it looked
sample      the step it belongs to    file, sequences, prompt, completion, reward, probes
checkpoint  the step it stands after  file
failed      last step that is done    kind: why, for programs (`FailureKind`); message: why, one sentence for people
stopped     last step that is done    –
finished    last step                 seconds
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

EventType = Literal["start", "step", "sample", "checkpoint", "failed", "stopped", "finished"]
TERMINAL: tuple[EventType, ...] = ("failed", "stopped", "finished")

# diverged is an outcome of the run's settings: the same seed would diverge again. The others say nothing about them:
# refused (a policy, device or checkpoint that cannot be used), memory, disk, rights, limit (its time on a shared server
# is over), unforeseen.
FailureKind = Literal["diverged", "refused", "memory", "disk", "rights", "limit", "unforeseen"]


@dataclass(frozen=True)
class Failure:
    """Why a run could not go on."""

    kind: FailureKind
    message: str  # one sentence that says what to change

    def at(self, step: int) -> RunEvent:
        """The event that ends the run, `step` being the last step that is done."""
        return RunEvent("failed", step, {"kind": self.kind, "message": self.message})


@dataclass(frozen=True)
class RunEvent:
    """One event. `payload` is what does not go into the log: token rows, a checkpoint's tensors, the policy."""

    type: EventType
    step: int
    data: Mapping[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)  # seconds since 1970
    payload: Any = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.type, "step": self.step, "time": round(self.time, 3), **self.data}

    def to_json(self) -> str:
        """One line without its newline. JSON has no NaN: such a number becomes null."""
        return json.dumps(_finite(self.to_dict()), ensure_ascii=False, allow_nan=False)

    @property
    def metrics(self) -> Mapping[str, float]:
        """The numbers of a step event; empty for the others."""
        metrics: Mapping[str, float] = self.data.get("metrics", {})
        return metrics


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
