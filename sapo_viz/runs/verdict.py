"""What can truthfully be said about a run: from its last event, and from whether its process lives."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from sapo_viz.runs.events import TERMINAL
from sapo_viz.runs.log import read_tail
from sapo_viz.runs.process import is_alive, oom_kills
from sapo_viz.runs.worker_file import read_worker

Status = Literal["queued", "starting", "running", "finished", "stopped", "failed", "killed"]
LIVE: tuple[Status, ...] = ("queued", "starting", "running")
Tail = Sequence[dict[str, Any]]  # the last events of a run

_GRACE = 30.0  # seconds in which a run without a worker counts as starting: its process is being made
_LAST = 8_192  # bytes at the end of the log that hold the last event


def status_of(folder: Path) -> Status:
    """The state of the run in `folder`, which has a config."""
    worker = read_worker(folder)  # before the events: what is read after it can only be newer
    tail = read_tail(folder, _LAST)
    if not worker:
        young = time.time() - (folder / "config.json").stat().st_mtime < _GRACE
        return "starting" if young and not tail else _verdict(tail, worker)
    if worker["state"] == "ended" or not is_alive(worker["pid"], worker["mark"]):
        # Read again: it may have said its last word, in either place, since the first reading.
        return _verdict(read_tail(folder, _LAST), read_worker(folder))
    if worker["state"] == "running" and tail and tail[-1]["type"] in TERMINAL:
        return _verdict(tail, worker)  # said its last word and is about to exit
    state: Status = worker["state"]
    return state


def message_of(folder: Path, status: Status, tail: Tail) -> str:
    """Why a run failed or what may have killed it, in a sentence; empty for all others."""
    if status == "failed":
        said = str(tail[-1].get("message", "")) if tail and tail[-1]["type"] == "failed" else ""
        return str(read_worker(folder).get("message") or said)
    return _why_killed(folder) if status == "killed" else ""


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
            "Its process was ended without a word, and Linux has ended a process for want of memory since it began, "
            f"most likely this one: duplicate the run with fewer prompts or completions or a smaller policy; {remedy}."
        )
    return f"Its process was ended from outside, by a person, a restart or want of memory; {remedy}."
