"""events.jsonl: what happened in a run, one whole line an event, only ever appended to.

Readers go by byte offsets, which stay valid for the life of the run, over a resume too.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapo_viz.runs.events import TERMINAL, RunEvent

NAME = "events.jsonl"
_AGAIN = ("start", *TERMINAL)  # every worker has its own; of all else a run has one for a step, however often resumed


@dataclass(frozen=True)
class Logged:
    """What a log holds already: the last step, and which events need not be written again."""

    step: int = 0
    events: frozenset[tuple[str, int]] = frozenset()

    def has(self, event: RunEvent) -> bool:
        return (event.type, event.step) in self.events


def append_event(folder: Path, event: RunEvent) -> None:
    """One line at the end of the log, with the kernel before the call returns.

    Raises:
        OSError: the disk is full, or the like; the log is then as it was, without half a line.
    """
    data = (event.to_json() + "\n").encode("utf-8")
    descriptor = os.open(folder / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        before = os.fstat(descriptor).st_size
        try:
            while data:  # a disk that is nearly full takes a part, and refuses the rest
                data = data[os.write(descriptor, data) :]
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)


def mend_events(folder: Path) -> Logged:
    """Cut off a line that a killed worker left half written; what the log holds. Call it under the run's lock."""
    try:
        data = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return Logged()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(folder / NAME, len(whole))
    seen = frozenset(
        (event["type"], event["step"]) for event in parse(whole.splitlines()) if event["type"] not in _AGAIN
    )
    return Logged(max((step for kind, step in seen if kind == "step"), default=0), seen)


def sync_events(folder: Path) -> None:
    """Bring the log to the disk: before a checkpoint, which must never know more than the log."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(folder / NAME, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_lines(folder: Path, offset: int = 0) -> tuple[bytes, int]:
    """The whole lines from a byte offset on, and the offset to go on from. A line being written waits."""
    try:
        with open(folder / NAME, "rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return b"", offset
    whole = data[: data.rfind(b"\n") + 1]
    return whole, offset + len(whole)


def read_tail(folder: Path, size: int) -> list[dict[str, Any]]:
    """The events in the last `size` bytes; more if these hold no whole line."""
    try:
        with open(folder / NAME, "rb") as file:
            total = file.seek(0, os.SEEK_END)
            start = max(0, total - size)
            file.seek(start)
            data = file.read()
    except FileNotFoundError:
        return []
    events = parse(data[: data.rfind(b"\n") + 1].splitlines()[1 if start else 0 :])
    return events if events or not start else read_tail(folder, 8 * size)


def parse(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    events = []
    for line in lines:
        with contextlib.suppress(ValueError):  # a damaged line must not hide the others
            event = json.loads(line)
            if isinstance(event, dict) and "type" in event and "step" in event:
                events.append(event)
    return events
