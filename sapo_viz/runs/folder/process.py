"""Is that process still the one we started? By its id *and* its start time, because ids are used again."""

from __future__ import annotations

import contextlib
import os
import signal
from functools import cache
from pathlib import Path

import psutil


def start_mark(pid: int) -> str:
    """What tells this process from a later one with the same id; empty if it is gone or a zombie.

    On Linux the boot's own id and the start time in clock ticks since then, as the recorder writes it: psutil's time
    moves when somebody sets the clock. Elsewhere psutil's.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()  # the name before `)` may hold spaces
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else f"{_boot()}{fields[19]}"
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.3f}"
    except psutil.Error:
        return ""


def is_alive(pid: int, mark: str) -> bool:
    return bool(mark) and start_mark(pid) == mark


def kill(pid: int, mark: str) -> None:
    """End it at once, if it is still the same process."""
    if is_alive(pid, mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def oom_kills() -> int | None:
    """How many processes Linux has ended because memory ran out, since it was booted; None where it does not tell."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return None


@cache
def _boot() -> str:
    """The same ticks and id come again after a restart of the machine, so the boot belongs to the mark."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8] + "-"
    return ""
