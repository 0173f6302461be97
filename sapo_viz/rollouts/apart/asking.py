"""The server's side: ask for a file to be read, wait for it in steps, and let go at any moment.

Letting go, by closing the generator or by forgetting it, ends the reader. A file that waits for its turn costs nothing:
its bytes are handed over when it is read.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.paths import child_environment
from sapo_viz.rollouts.apart import parcel
from sapo_viz.rollouts.apart.allowance import MEMORY, OPEN, TOO_LONG, TOO_MUCH, Allowance, setting
from sapo_viz.rollouts.readers.formats.pair import FileContents, OnePolicy
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import Steps
from sapo_viz.rollouts.table import TextTable
from sapo_viz.rollouts.texts import TextDump

_OPEN_MB = 4000
_LONGEST_NAME = 200  # characters; what is asked of the keeper is one message
_STEP = 0.05  # seconds between two steps while nothing is heard


@dataclass(frozen=True)
class Given:
    """A file to be read: its name for messages, its size, and how to open it, which gives a descriptor to be closed.

    The name is the end of what the file is called: whoever brings it may call it anything, of any length.
    """

    name: str
    size: int
    open: Callable[[], int]

    @staticmethod
    def of_path(path: Path, name: str) -> Given:
        """A file on this machine. It is not followed, should a link have taken its place meanwhile."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW  # opening a pipe would wait
        return Given(name[-_LONGEST_NAME:], path.stat().st_size, lambda: os.open(path, flags))

    @staticmethod
    def of_bytes(data: bytes, name: str) -> Given:
        return Given(name[-_LONGEST_NAME:], len(data), lambda: _descriptor(memoryview(data)))


def reading_apart(files: Sequence[Given], *, disk: bool = False, remedy: str = "") -> Steps[FileContents]:
    """What one file holds, or two that hold one policy each (the newer first), read in another process.

    With `disk` the limits are those of files opened by their path; `remedy` helps where one takes too much.

    Raises:
        RolloutError: as `parsing` and `read_pair`; also where reading would take more than such a file may.
    """
    heard = yield from _asked(files, {"disk": disk})
    match heard:
        case Rollouts() | OnePolicy() | TextDump():
            return heard
    raise RolloutError(_why_not(files, heard, remedy))


def reading_table(file: Given) -> Steps[TextTable]:
    """A table of questions, read in another process.

    Raises:
        RolloutError: as `parse_table`; also where reading would take more than such a file may.
    """
    heard = yield from _asked([file], {"disk": False, "what": "table"})
    if isinstance(heard, TextTable):
        return heard
    raise RolloutError(_why_not([file], heard))


def _asked(files: Sequence[Given], how: dict[str, Any]) -> Steps[Any]:
    """What comes back: a value, or a last message."""
    name, size = files[0].name, sum(file.size for file in files)
    _check_room(name, 0)
    heard = None
    request = {"names": [file.name for file in files], "size": size, **how}
    for _ in range(3):  # a keeper without work may end while it is asked; a reader that was not fed has ended
        asked = keeper()
        with contextlib.closing(asked.ask(request)) as talk:
            heard = yield from _hear(talk, files)
        if heard is None:
            _forget(asked)
        elif heard != {"ended": ""}:
            break
    return heard


def _why_not(files: Sequence[Given], heard: Any, remedy: str = "") -> str:
    name, size = files[0].name, sum(file.size for file in files)
    match heard:
        case {"failed": message}:
            return str(message)
        case {"ended": why} if why:
            return _refused(name, size, why, remedy)
    return f"{name}: the process that reads files did not start; the server's log says more."


def _hear(talk: socket.socket, files: Sequence[Given]) -> Steps[Any]:
    """The value that comes, or the last message; None if nothing was said at all."""
    share: float | None = None
    begun = False
    rest = b""
    while True:
        while not select.select([talk], [], [], _STEP)[0]:
            yield share
        with contextlib.ExitStack() as stack:
            data, descriptors, _, _ = socket.recv_fds(talk, 1 << 16, 1)
            for descriptor in descriptors:
                stack.callback(os.close, descriptor)
            if not data:
                return {"ended": "crash"} if begun else None
            *lines, rest = (rest + data).split(b"\n")
            for message in map(json.loads, lines):
                if "ready" in message:
                    begun = True
                    hand_over(talk, files)
                elif "share" in message:
                    share = message["share"]
                elif "done" in message:
                    _check_room(files[0].name, os.fstat(descriptors[0]).st_size)
                    return parcel.read(descriptors[0])
                elif "ended" in message:
                    return {"ended": message["ended"]}
                else:
                    return message
        yield share


def _check_room(name: str, more: int) -> None:
    most = setting(OPEN, _OPEN_MB) * 1024**2
    if parcel.held() + more >= most:
        taken = f"{_size(parcel.held())} of {_size(most)}"
        raise RolloutError(
            f"{name}: the files that all visitors have open on this server take {taken} that they may ({OPEN}); "
            "try again in a few minutes, or open a smaller file."
        )


def hand_over(talk: socket.socket, files: Sequence[Given]) -> None:
    """The open files, to a reader that is ready for them."""
    with contextlib.ExitStack() as stack:
        descriptors = []
        for file in files:
            try:
                descriptors.append(file.open())
            except OSError as error:
                says = f"it cannot be opened ({error.strerror}); check its name and permissions"
                raise RolloutError(f"{file.name}: {says}.") from None
            stack.callback(os.close, descriptors[-1])
        with contextlib.suppress(OSError):  # it has ended meanwhile, which the next look finds out
            socket.send_fds(talk, [b"."], descriptors)


def _descriptor(data: memoryview) -> int:
    """An open file with these bytes, which nobody else can see."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("upload")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    at = 0
    while at < len(data):
        at += os.write(descriptor, data[at : at + (1 << 26)])
    return descriptor


def _refused(name: str, size: int, why: str, remedy: str) -> str:
    allowed = Allowance.of(size)
    beyond = {
        TOO_MUCH: (f"{_size(allowed.memory)} of memory", remedy or f"let the server's owner raise {MEMORY}"),
        TOO_LONG: (f"{allowed.processor:,.0f} seconds", remedy),
    }
    if why not in beyond:
        says = "the process that read it ended without an error message; the file may be damaged, so write it again"
        return f"{name}: {says}."
    took, remedy = beyond[why]
    says = f"{name}: reading its {_size(size)} takes more than {took}, all that such a file may take; split it"
    return f"{says}, or {remedy}." if remedy else f"{says}."


def _size(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"


class KeeperProcess:
    """The running keeper. Threads may ask at the same time."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sapo_viz.rollouts.apart.keeper", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Arrow's own pools keep memory, and what it reserves would count as taken.
                env=child_environment() | {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"},
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: dict[str, Any]) -> socket.socket:
        """Over what is returned the reader speaks; closing it ends the reader."""
        ours, theirs = socket.socketpair()
        with theirs, contextlib.suppress(OSError):  # it has just ended: then nothing will be said
            socket.send_fds(self._control, [json.dumps(request).encode()], [theirs.fileno()])
        return ours

    def close(self) -> None:
        """Every reader ends, and then it does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._control.close()
        self._process.wait()


_running: list[KeeperProcess] = []
_lock = threading.Lock()


def keeper() -> KeeperProcess:
    """The one of this process, started when it is needed."""
    with _lock:
        if not _running or not _running[0].alive:
            for ended in _running:
                ended.close()
            _running[:] = [KeeperProcess()]
        return _running[0]


def _forget(ended: KeeperProcess) -> None:
    with _lock:
        if _running == [ended]:
            _running.clear()
    ended.close()


def prepare() -> None:
    """Have the keeper started by the time that a file comes, half a second later."""
    keeper()
