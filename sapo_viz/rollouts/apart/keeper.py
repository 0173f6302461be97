"""The keeper: it has the readers' modules loaded, forks a reader for each file, and ends those that take too much.

Starting Python with numpy and pyarrow takes half a second, forking one that has them a hundredth. The keeper has one
thread and reads no file itself, so that it can fork and be relied on; it watches what readers take, a hundred times a
second while there are any. It ends when the server's end of its stdin closes, or after a minute without work.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import psutil

from sapo_viz.rollouts.apart import reader
from sapo_viz.rollouts.apart.allowance import TOO_LONG, TOO_MUCH, Allowance, most_readers

IDLE = 60.0  # seconds without work after which it ends; the next file starts another
_LOOK = 0.01  # seconds between two looks at the readers: one fills some 20 MB in that time
_DATA = 1.4  # times its memory that a reader may have asked for before the system refuses: not all of it is touched
_MAXRSS = 1 if sys.platform == "darwin" else 1024  # bytes in which the system counts a peak
_PRELOADED = ("numpy", "pyarrow", "pyarrow.compute", "pyarrow.csv", "pyarrow.parquet", "zipfile")


class _WithoutPandas(MetaPathFinder):
    """pyarrow imports pandas at the first array, if it can: 0.3 s and 40 MB in every reader, for nothing."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == "pandas":
            raise ImportError("readers do without pandas", name=fullname)


@dataclass
class _Asked:
    """A file to read: what was asked, and over which socket."""

    request: dict[str, Any]
    talk: socket.socket
    process: psutil.Process | None = None  # none: it waits
    began: float = 0.0

    @property
    def allowed(self) -> Allowance:
        return Allowance.of(self.request["size"])


def main() -> int:
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the server's terminal: the server ends, then this does
    load_readers()
    Keeper(control).run()
    return 0


def load_readers() -> None:
    """All that a reader needs, once, in the process that forks them."""
    sys.meta_path.insert(0, _WithoutPandas())
    for name in _PRELOADED:
        __import__(name)
    gc.collect()
    gc.freeze()  # a reader's first collection would otherwise copy every page of it


class Keeper:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._asked: list[_Asked] = []  # in the order in which they came; the readers' among them run
        self._most = most_readers()

    def run(self) -> None:
        """Until stdin closes, or nothing was asked for a minute."""
        last = time.monotonic()
        while self._asked or time.monotonic() - last < IDLE:
            poll = select.poll()
            poll.register(self._control, select.POLLIN)
            poll.register(sys.stdin.fileno(), 0)  # only that it closed
            for asked in self._asked:
                poll.register(asked.talk, 0)
            happened = dict(poll.poll(1000 * (_LOOK if any(a.process for a in self._asked) else IDLE)))
            if sys.stdin.fileno() in happened:
                break
            if self._control.fileno() in happened:
                self._take()
            if self._asked:
                last = time.monotonic()
            for asked in list(self._asked):
                self._look_at(asked, left=asked.talk.fileno() in happened)
            self._begin()
        for asked in self._asked:
            _end(asked)

    def _take(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._control, 65536, 1)
        for descriptor in descriptors:
            talk = socket.socket(fileno=descriptor)
            try:
                self._asked.append(_Asked(json.loads(data), talk))
            except ValueError:  # longer than a message: who asks hears that nothing comes, the other readers go on
                talk.close()

    def _begin(self) -> None:
        """Readers for those who wait, as many as may run."""
        for asked in self._asked:
            if sum(other.process is not None for other in self._asked) >= self._most:
                return
            if asked.process is None:
                asked.began = time.monotonic()
                pid = os.fork()
                if pid == 0:
                    self._become_reader(asked)
                asked.process = psutil.Process(pid)

    def _become_reader(self, asked: _Asked) -> None:
        """In the forked process; it never returns."""
        status = 1
        try:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            self._control.close()
            for other in self._asked:
                if other is not asked:
                    other.talk.close()
            _hold(asked.allowed)
            status = reader.serve(asked.request, asked.talk)
        finally:
            os._exit(status)

    def _look_at(self, asked: _Asked, left: bool) -> None:
        """Whether it is over: read, given up by whoever asked, or grown too large; if so it is forgotten."""
        why = "" if left else self._too_much(asked)
        if left or why or _over(asked):
            status, took = _end(asked)
            why = why or ("" if status == 0 else TOO_MUCH if status in _FOR_MEMORY else "crash")
            with contextlib.suppress(OSError):  # a reader that was done has said so before, and who asked has gone
                reader.say(asked.talk, {"ended": why, **took})
            asked.talk.close()
            self._asked.remove(asked)

    def _too_much(self, asked: _Asked) -> str:
        if asked.process is None:
            return ""
        allowed = asked.allowed
        try:
            times = asked.process.cpu_times()
            if asked.process.memory_info().rss > allowed.memory:
                return TOO_MUCH
        except psutil.Error:  # it has just ended
            return ""
        slow = times.user + times.system > allowed.processor or time.monotonic() - asked.began > allowed.clock
        return TOO_LONG if slow else ""


_FOR_MEMORY = (reader.OUT_OF_MEMORY, -signal.SIGKILL, -signal.SIGABRT, -signal.SIGBUS)  # also: the system, C++


def _over(asked: _Asked) -> bool:
    if asked.process is None:
        return False
    try:
        return bool(asked.process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _end(asked: _Asked) -> tuple[int | None, dict[str, float]]:
    """Its exit status, and what it took, once it has ended, which it does at once."""
    if asked.process is None:
        return None, {}
    with contextlib.suppress(ProcessLookupError):
        if not _over(asked):
            os.kill(asked.process.pid, signal.SIGKILL)
    try:
        _, status, usage = os.wait4(asked.process.pid, 0)
    except ChildProcessError:
        return None, {}
    took = {"peak": usage.ru_maxrss * _MAXRSS, "seconds": usage.ru_utime + usage.ru_stime}
    return os.waitstatus_to_exitcode(status), took


def _hold(allowed: Allowance) -> None:
    """What the system itself sees to: a reader that grows faster than it is looked at, or that nobody looks at."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        most = int(_DATA * allowed.memory)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        seconds = int(allowed.processor) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    with contextlib.suppress(OSError):
        os.nice(5)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    sys.exit(main())
