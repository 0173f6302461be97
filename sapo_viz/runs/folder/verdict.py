"""What can truthfully be said about a run: from its last event, and from whether its process lives."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sapo_viz.runs.events import TERMINAL
from sapo_viz.runs.folder.log import NAME as LOG
from sapo_viz.runs.folder.log import read_tail
from sapo_viz.runs.folder.process import is_alive, oom_kills
from sapo_viz.runs.folder.worker_file import read_worker

# damaged: it is not alive, and its config cannot be read (store.py). silent: a recorded run on another machine that has
# not written for long (recording.py).
Status = Literal["queued", "starting", "running", "finished", "stopped", "failed", "killed", "damaged", "silent"]
LIVE: tuple[Status, ...] = ("queued", "starting", "running")
Tail = Sequence[dict[str, Any]]  # the last events of a run

_GRACE = 30.0  # seconds in which a run without a worker counts as starting: its process is being made


def status_of(folder: Path) -> Status:
    """The state of the run in `folder`, which has a config."""
    worker = read_worker(folder)  # before the events: what is read after it can only be newer
    tail = read_tail(folder, "any")
    if not worker:
        # Either way: a clock that was set back must not leave a run starting for ever.
        young = abs(time.time() - (folder / "config.json").lstat().st_mtime) < _GRACE
        return "starting" if young and not os.path.lexists(folder / LOG) else _verdict(tail, worker)
    if worker["state"] == "ended" or not is_alive(worker["pid"], worker["mark"]):
        # Read again: it may have said its last word, in either place, since the first reading.
        return _verdict(read_tail(folder, "any"), read_worker(folder))
    if worker["state"] == "running" and tail and tail[-1]["type"] in TERMINAL:
        return _verdict(tail, worker)  # said its last word and is about to exit
    state: Status = worker["state"]
    return state


@dataclass(frozen=True)
class Why:
    """Why a run is where it is, for programs and for people; both empty unless it failed or was killed."""

    kind: str = ""  # a FailureKind, or killed; empty too in logs from before there were kinds
    message: str = ""
    for_good: bool = False  # it would end the same way again: resuming cannot help, other settings may


def why(folder: Path, status: Status, tail: Tail) -> Why:
    """Why a run failed, or what may have killed it."""
    if status == "failed":
        worker = read_worker(folder)
        said: Mapping[str, Any] = worker if worker.get("message") else tail[-1] if tail else {}
        kind, begun = said.get("kind", ""), bool(tail and tail[-1].get("step"))
        # A checkpoint that was refused can be deleted; a policy that was, before the first step, is no way to go on.
        for_good = kind in ("diverged", "limit") or (kind == "refused" and not begun)
        return Why(kind, said.get("message", ""), for_good)
    return Why("killed", _why_killed(folder)) if status == "killed" else Why()


def _verdict(tail: Tail, worker: dict[str, Any]) -> Status:
    """What a run without a live worker is: what it said last, or killed if it did not get to say it."""
    if worker.get("message"):
        return "failed"
    last: Any = tail[-1]["type"] if tail else ""
    return last if last in TERMINAL else "killed"


def _why_killed(folder: Path) -> str:
    checkpoint = (folder / "checkpoint.pt").exists()
    remedy = "resume goes on from its last checkpoint" if checkpoint else "resume starts it again"
    worker = read_worker(folder)
    if not worker:
        return f"Its process was never started or has left no trace; {remedy}."
    now = oom_kills()
    if now is not None and worker.get("oom") is not None and now > worker["oom"]:
        return (
            "Its process was ended without a word, and Linux has ended a process because memory ran out since it "
            "began, most likely this one: duplicate the run with fewer prompts or completions or a smaller policy; "
            f"{remedy}."
        )
    return f"Its process was ended from outside, by a person, a restart, or because memory ran out; {remedy}."
