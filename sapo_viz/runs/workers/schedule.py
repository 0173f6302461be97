"""When will a run that waits begin? Its place in the queue, and what the runs before it still have to do.

An estimate from the running runs' own pace (steps left, time a step), played forward over the slots: who is first
takes the slots that are free first, as the workers do.
"""

from __future__ import annotations

import contextlib
import heapq
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sapo_viz.errors import SapoVizError
from sapo_viz.models.tasks import TASKS
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.log import read_tail
from sapo_viz.runs.folder.slots import slot_count
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.folder.verdict import status_of

START = 6.0  # seconds until a worker has imported PyTorch
_SECONDS_A_STEP = 0.6  # of the default work on one core of a small machine, until a run here has told
_TAIL = 16  # events, which hold a dozen steps
_SAME = ("task", "policy", "device")  # runs that differ in these tell nothing of each other's pace


@dataclass(frozen=True)
class Turn:
    """A queued run's `place`, from 1, and the `seconds` from now until it should begin."""

    place: int
    seconds: float


@dataclass(frozen=True)
class _Going:
    """A run that has a slot. `pace` is in seconds per step; None until it has told."""

    config: RunConfig
    step: int
    pace: float | None
    since: float  # seconds since it last told


def turns(store: RunStore) -> dict[str, Turn]:
    """The turn of every queued run, by id."""
    waiting = []
    for run_id in store.queue():
        with contextlib.suppress(SapoVizError, OSError):  # deleted meanwhile, or not to be read
            waiting.append((run_id, store.config(run_id)))
    if not waiting:
        return {}
    going = list(_going(store))
    left = [(min(run.config.threads, slot_count()), _seconds_left(run, going)) for run in going]
    wanted = [(config.threads, START + config.steps * pace(config, going)) for _, config in waiting]
    begins = play_forward(slot_count(), left, wanted)
    return {
        run_id: Turn(place, begin) for place, ((run_id, _), begin) in enumerate(zip(waiting, begins, strict=True), 1)
    }


def play_forward(slots: int, going: Sequence[tuple[int, float]], waiting: Sequence[tuple[int, float]]) -> list[float]:
    """When each waiting run begins, in seconds from now.

    Args:
        going: (slots, seconds left) of each run that is being done.
        waiting: (slots, seconds needed) of each that waits, in its order.
    """
    free_at = [seconds for held, seconds in going for _ in range(held)]
    free_at = sorted(free_at + [0.0] * max(0, slots - len(free_at)))
    begins, last = [], 0.0
    for wanted, seconds in waiting:
        taken = [heapq.heappop(free_at) for _ in range(min(wanted, slots))]
        last = max(last, taken[-1])  # nobody overtakes
        begins.append(last)
        for _ in taken:
            heapq.heappush(free_at, last + seconds)
    return begins


def pace(config: RunConfig, going: Sequence[_Going]) -> float:
    """Seconds a step: from the running runs of the same task and policy, else from a usual machine."""
    told = [
        run.pace / _size(run.config)
        for run in going
        if run.pace is not None and all(getattr(run.config, name) == getattr(config, name) for name in _SAME)
    ]
    return _size(config) * (statistics.median(told) if told else _SECONDS_A_STEP)


def _size(config: RunConfig) -> float:
    """The work of a step beside the default one's: sampling 28 %, update 72 %, as measured."""
    usual = TASKS["addition"].completion_length
    length = (config.max_tokens or (TASKS[config.task].completion_length if config.task in TASKS else 64)) / usual
    return config.prompts * config.completions / 256 * length * (0.28 + 0.72 * config.epochs)


def _seconds_left(run: _Going, going: Sequence[_Going]) -> float:
    return max(0.0, (run.config.steps - run.step) * (run.pace or pace(run.config, going)) - run.since)


def _going(store: RunStore) -> Iterator[_Going]:
    for path in store.root.glob("*/worker.json"):
        folder = path.parent
        try:
            if status_of(folder) in ("starting", "running"):
                yield _told(folder, store.config(folder.name))
        except (SapoVizError, OSError):  # deleted meanwhile, or not to be read
            continue


def _told(folder: Path, config: RunConfig) -> _Going:
    tail = read_tail(folder, _TAIL)
    first = max((index for index, event in enumerate(tail) if event["type"] == "start"), default=0)
    steps = [event for event in tail[first:] if event["type"] == "step"][-11:]
    span = steps[-1]["time"] - steps[0]["time"] if len(steps) > 2 else 0.0
    own = span / (len(steps) - 1) if span > 0 else None  # a clock that was set back tells nothing
    done = max((event["step"] for event in tail), default=0)
    since = max(0.0, time.time() - tail[-1]["time"]) if steps else 0.0
    return _Going(config, done, own, since)
