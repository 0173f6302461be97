"""One run a core: a slot is a file that its worker keeps locked. The system frees it when the worker ends,
however it ends, so no slot is ever lost."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from sapo_viz.errors import RunError


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
    """The locked file, to be kept open, or None if another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "ab")  # noqa: SIM115 - held for the life of the process
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def take_slot(root: Path) -> IO[bytes] | None:
    """A free slot below `root`, or None if all are taken."""
    for number in range(slot_count()):
        if (lock := try_lock(root / ".slots" / f"slot-{number}.lock")) is not None:
            return lock
    return None


def wait_for_slot(root: Path, my_turn: Callable[[], bool], pause: Callable[[], bool]) -> IO[bytes] | None:
    """A slot, taken in turn; None if `pause`, which waits a little, says that the wait is over."""
    while True:
        if my_turn() and (lock := take_slot(root)) is not None:
            return lock
        if pause():
            return None
