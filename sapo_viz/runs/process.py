"""Is that process still the one we started? By its id *and* its start time, because ids are used again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path


def start_mark(pid: int) -> str:
    """What tells this process from a later one with the same id; empty if it is gone or a zombie.

    On Linux the start time in clock ticks since boot, elsewhere what `ps` says.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()  # the name before `)` may hold spaces
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    answer = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True)
    state, _, started = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


def is_alive(pid: int, mark: str) -> bool:
    return bool(mark) and start_mark(pid) == mark


def kill(pid: int, mark: str) -> None:
    """End it at once, if it is still the same process."""
    if is_alive(pid, mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
