"""events.jsonl: what happened in a run, one whole line an event, only ever appended to.

Readers go by byte offsets, which stay valid for the life of the run, over a resume too. A line that holds no event is
left out and counted (event_lines.py says what an event is). Whoever wrote the log, a look at it has an end: no answer
is larger than `CHUNK` or has more than `MOST_LINES` lines, and what lies beyond `LARGEST` bytes is not read at all.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from sapo_viz.runs.events import TERMINAL, RunEvent
from sapo_viz.runs.folder.event_lines import event_from, resumed_at
from sapo_viz.runs.folder.reading import LONGEST, NotReadable, open_regular, reason

NAME = "events.jsonl"
CHUNK = 4 << 20  # bytes: thousands of steps
MOST_LINES = 10_000  # of a chunk; the shortest lines would be a hundred thousand
MOST_EVENTS = 350_000  # of a log: a step, a sample and a checkpoint for each step of the longest run, and some more
_MOST_WRONG = 1_000  # lines of one chunk, or at the end; where there are more, what follows is given up
LARGEST = 256 << 20  # bytes: twice what the longest run writes
_TAIL_MOST = 2 << 20  # bytes at the end, and lines there: what follows a run's last step is a handful
_TAIL_LINES = 1_000
_DIGESTED = 20_000  # lines in which damage is counted
_AGAIN = ("start", *TERMINAL)  # every worker has its own; of all else a run has one for a step, however often resumed


@dataclass(frozen=True)
class Logged:
    """What a log holds already: the last step, and which events need not be written again."""

    step: int = 0
    events: frozenset[tuple[str, int]] = frozenset()

    def has(self, event: RunEvent) -> bool:
        return (event.type, event.step) in self.events


@dataclass(frozen=True)
class Digest:
    """What the whole log of a run that has ended comes to."""

    rewards: tuple[float, ...] = ()  # of the last ten steps
    damage: str = ""  # one sentence if something in it cannot be read


def append_event(folder: Path, event: RunEvent) -> None:
    """One line at the end of the log, with the kernel before the call returns.

    Raises:
        OSError: the disk is full, or the like; the log is then as it was, without half a line.
    """
    data = (event.to_json() + "\n").encode("utf-8", "replace")
    with open_regular(folder / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as file:
        descriptor = file.fileno()
        before = os.fstat(descriptor).st_size
        try:
            while data:  # a disk that is nearly full takes a part, and refuses the rest
                data = data[os.write(descriptor, data) :]
        except OSError:
            os.ftruncate(descriptor, before)
            raise


def mend_events(folder: Path) -> Logged:
    """Cut off a line that a killed worker left half written; what the log holds. Call it under the run's lock."""
    seen: set[tuple[str, int]] = set()
    for lines, _following in chunks(folder):
        seen |= {(event["type"], event["step"]) for event in parse(lines_of(lines)) if event["type"] not in _AGAIN}
        if len(seen) > MOST_EVENTS:
            break
    with contextlib.suppress(FileNotFoundError):
        with open_regular(folder / NAME) as file:
            total = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, total - LONGEST - 1))
            end = file.read(total - start).rfind(b"\n") + 1
        if end + start < total <= LARGEST and (end or not start):
            os.truncate(folder / NAME, start + end)
    return Logged(max((step for kind, step in seen if kind == "step"), default=0), frozenset(seen))


def sync_events(folder: Path) -> None:
    """Bring the log to the disk: before a checkpoint, which must never know more than the log."""
    with contextlib.suppress(FileNotFoundError), open_regular(folder / NAME) as file:
        os.fsync(file.fileno())


def read_lines(folder: Path, offset: int = 0) -> tuple[bytes, int]:
    """Whole lines from a byte offset on, at most `CHUNK` bytes and `MOST_LINES` of them, and the offset to go on from.
    A line being written waits; one that will not end is passed over.

    Raises:
        OSError: the log is no regular file, or may not be read.
    """
    try:
        with open_regular(folder / NAME) as file:
            file.seek(offset)
            data = file.read(min(CHUNK, max(0, LARGEST - offset)))
    except FileNotFoundError:
        return b"", offset
    whole = _first_lines(data)
    if not whole and len(data) > LONGEST:
        return b"", offset + len(data)
    return whole, offset + len(whole)


def _first_lines(data: bytes) -> bytes:
    if data.count(b"\n") <= MOST_LINES:
        return data[: data.rfind(b"\n") + 1]
    end = 0
    for _ in range(MOST_LINES):
        end = data.index(b"\n", end) + 1
    return data[:end]


def lines_of(data: bytes) -> list[bytes]:
    """The lines of what `read_lines` gives. Not `splitlines`, which would see many more where `\r` stands."""
    return data.split(b"\n")[:-1]


def chunks(folder: Path, offset: int = 0, most: int = 2 * LARGEST // CHUNK) -> Iterator[tuple[bytes, int]]:
    """The same again and again, to the end of the log, at most so often."""
    for _ in range(most):
        lines, following = read_lines(folder, offset)
        if following == offset:
            return
        yield lines, following
        offset = following


def read_tail(folder: Path, until: Literal["any", "step"] | int) -> list[dict[str, Any]]:
    """The last events, from the newest one of a kind on, or so many of them; none of a log that cannot be read.

    Only what is needed is looked at: the list of runs asks this of each of them.
    """
    size = 4_096
    try:
        with open_regular(folder / NAME) as file:
            total = file.seek(0, os.SEEK_END)
            while True:
                start = max(0, total - size)
                file.seek(start)
                data = file.read(size)
                lines = data.split(b"\n")[1 if start else 0 : -1]
                events, complete = _from_the_end(lines, until)
                if complete or not start or size >= _TAIL_MOST:
                    return events
                size *= 8
    except OSError:
        return []


def _from_the_end(lines: Sequence[bytes], until: Literal["any", "step"] | int) -> tuple[list[dict[str, Any]], bool]:
    found: list[dict[str, Any]] = []  # the newest first
    for looked_at, line in enumerate(reversed(lines)):
        if looked_at >= _TAIL_LINES:
            return found[::-1], True
        found += parse([line])
        if found and (until == "any" or until == found[-1]["type"] or until == len(found)):
            return found[::-1], True
    return found[::-1], False


def parse(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """The events in lines of a log; a damaged line does not hide the others."""
    events, wrong = [], 0
    for line in lines:
        try:
            events.append(event_from(line))
        except NotReadable:
            wrong += 1
            if wrong > _MOST_WRONG:
                break
    return events


def digest(folder: Path) -> Digest:
    """Each state of the log is gone through once. For a run that is alive it would be gone through again and again."""
    try:
        state = (folder / NAME).lstat()
    except OSError:
        return Digest()
    return _digest(folder, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=2000)
def _digest(folder: Path, _inode: int, size: int, _changed: int) -> Digest:
    wrong, first = 0, ""
    try:
        for number, line in enumerate(_each_line(folder), 1):
            if number > _DIGESTED or wrong > _MOST_WRONG:
                break
            try:
                event_from(line)
            except NotReadable as error:
                wrong, first = wrong + 1, first or f"line {number}: {error}"
    except OSError as error:
        return Digest(damage=f"{NAME} cannot be read: {reason(error)}.")
    return Digest(_last_rewards(folder), _damage(wrong, first, size))


def _last_rewards(folder: Path) -> tuple[float, ...]:
    """Of the last ten steps that no later resume has undone."""
    rewards: list[float] = []
    holds = math.inf
    for event in reversed(read_tail(folder, _TAIL_LINES)):
        if event["type"] == "step" and event["step"] <= holds and len(rewards) < 10:
            reward = event["metrics"].get("reward")
            if reward is not None:  # a log may know none
                rewards.append(float(reward))
        elif (again := resumed_at(event)) is not None:
            holds = min(holds, again)
    return tuple(reversed(rewards))


def _damage(wrong: int, first: str, size: int) -> str:
    if wrong:
        lines, are = ("lines", "hold no event and are") if wrong > 1 else ("line", "holds no event and is")
        return f"{wrong:,} {lines} of {NAME} {are} left out ({first})."
    return f"{NAME} is longer than {LARGEST:,} bytes; what comes after them is left out." if size > LARGEST else ""


def _each_line(folder: Path) -> Iterator[bytes]:
    """Every whole line; of one that will not end, as many zeros as show that it is too long."""
    cut = False
    for lines, _following in chunks(folder):
        if not lines and not cut:
            yield bytes(LONGEST + 1)
        yield from lines_of(lines)[1 if cut else 0 :]
        cut = not lines
