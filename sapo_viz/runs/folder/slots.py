"""One core per thread of a run, taken in turn. A slot and a place in the queue are files that a worker keeps
locked: the system frees them when it ends, however it ends, so none is ever lost.

    runs/.slots/slot-0.lock             held by a run while it trains, one for each of its threads
    runs/.slots/queue/<when>-<run id>   held by a worker while it waits; names in order are the queue
    runs/.slots/control.lock            held while a run is launched, resumed or deleted
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from sapo_viz.errors import RunError
from sapo_viz.runs.folder.reading import open_regular

_TICKET = re.compile(r"(\d{20})-(.+)")


def slot_count() -> int:
    """`SAPO_VIZ_SLOTS`, or the number of cores that this process may use."""
    wanted = os.environ.get("SAPO_VIZ_SLOTS", "")
    if wanted:
        if not wanted.isdigit() or int(wanted) < 1:
            raise RunError(f"SAPO_VIZ_SLOTS is {wanted!r}; it takes whole numbers from 1.")
        return int(wanted)
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def try_lock(path: Path) -> IO[bytes] | None:
    """The locked file, to be kept open, or None if another process holds it.

    Raises:
        OSError: it is no regular file, or may not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)  # held for the life of the process
    if _locked(file):
        return file
    file.close()
    return None


def take_slots(root: Path, wanted: int = 1) -> contextlib.ExitStack | None:
    """So many free slots below `root`, to be closed in the end, or None if there are too few."""
    with contextlib.ExitStack() as held:
        count = slot_count()
        missing = min(wanted, count)
        for number in range(count):
            if missing and (lock := try_lock(root / ".slots" / f"slot-{number}.lock")) is not None:
                held.enter_context(lock)
                missing -= 1
        return None if missing else held.pop_all()


def queue(root: Path) -> Iterator[str]:
    """The runs that wait, the first first. Places of workers that have been killed are cleared away."""
    folder = root / ".slots" / "queue"
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder)):
            ticket = _TICKET.fullmatch(name)
            if ticket and _is_held(folder / name):
                yield ticket[2]


@contextlib.contextmanager
def queued(root: Path, run_id: str, asked: int) -> Iterator[None]:
    """A place in the queue. `asked` is when the run was asked for, in nanoseconds since 1970."""
    folder = root / ".slots" / "queue"
    part, ticket = folder / f".{run_id}.part", folder / f"{asked:020d}-{run_id}"
    lock = try_lock(part)
    assert lock is not None  # whoever comes here holds the run's own lock
    with lock:
        part.rename(ticket)  # locked before it has a name that others look at
        try:
            yield
        finally:
            ticket.unlink(missing_ok=True)


def wait_for_slots(root: Path, run_id: str, wanted: int, pause: Callable[[], bool]) -> contextlib.ExitStack | None:
    """Slots, taken in turn; None if `pause`, which waits a little, says that the wait is over."""
    while True:
        if next(queue(root), None) == run_id and (held := take_slots(root, wanted)) is not None:
            return held
        if pause():
            return None


@contextlib.contextmanager
def control(root: Path, timeout: float = 10.0) -> Iterator[None]:
    """One hand on the switches: two browsers cannot launch, resume or delete in the same moment.

    Raises:
        RunError: another process has been at it for `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while (lock := try_lock(root / ".slots" / "control.lock")) is None:
        if time.monotonic() > deadline:
            raise RunError(
                f"another process has been starting or deleting a run in {root} for {timeout:g} s; try again."
            )
        time.sleep(0.005)
    with lock:
        yield


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_held(ticket: Path) -> bool:
    try:
        with open_regular(ticket) as file:
            held = not _locked(file)
    except OSError:  # gone meanwhile, or nothing that a worker would hold
        return False
    if not held:
        ticket.unlink(missing_ok=True)
    return held
