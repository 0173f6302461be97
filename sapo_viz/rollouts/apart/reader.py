"""One file, or a pair of them, read in the process that the keeper forked for it; it ends when this returns.

It speaks lines of JSON over a socket: {"ready"} when it is its turn, {"share"} while it reads, then {"done"} with
the parcel's file beside it, or {"failed"} with the sentence. Whoever asks answers "ready" with the open files.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import traceback
from typing import Any, BinaryIO

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.apart import parcel
from sapo_viz.rollouts.readers.formats import read_pair
from sapo_viz.rollouts.readers.read import parsing
from sapo_viz.rollouts.schema import DISK, UPLOAD
from sapo_viz.rollouts.steps import Steps, at_once
from sapo_viz.rollouts.table import parse_table

OUT_OF_MEMORY = 77  # the process's status, where the system gave it no more
_HANDED_OVER = 5.0  # seconds in which the files are to come: others wait


def serve(request: dict[str, Any], talk: socket.socket) -> int:
    """The whole of it; nothing is raised. Returns the process's status."""
    talk.settimeout(_HANDED_OVER)
    try:
        say(talk, {"ready": True})
        with tempfile.TemporaryFile() if not hasattr(os, "memfd_create") else _in_memory() as file:
            _read(request, talk, file)
    except (BrokenPipeError, ConnectionError, EOFError, TimeoutError):
        pass  # nobody waits for it any more, or not now: who comes back asks again
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


def say(talk: socket.socket, message: dict[str, Any], *descriptors: int) -> None:
    data = json.dumps(message).encode() + b"\n"
    sent = socket.send_fds(talk, [data], descriptors)
    talk.sendall(data[sent:])


def _in_memory() -> BinaryIO:
    return os.fdopen(os.memfd_create("parcel"), "w+b")


def _read(request: dict[str, Any], talk: socket.socket, file: BinaryIO) -> None:
    names = request["names"]
    _, descriptors, _, _ = socket.recv_fds(talk, 1, len(names))
    if len(descriptors) != len(names):
        raise EOFError
    data = [_whole(descriptor) for descriptor in descriptors]
    try:
        table = request.get("what") == "table"
        steps = at_once(lambda: parse_table(data[0], names[0])) if table else _steps(names, data, request["disk"])
        value = _said(steps, talk)
    except RolloutError as error:
        say(talk, {"failed": str(error)})
        return
    except (MemoryError, OSError):
        raise
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        says = f"reading it stopped at an unexpected {type(error).__name__}; the server's log says more"
        say(talk, {"failed": f"{names[0]}: {says}."})
        return
    data.clear()
    parcel.write(value, file)
    say(talk, {"done": True}, file.fileno())


def _steps(names: list[str], data: list[bytes], disk: bool) -> Steps[Any]:
    limits = DISK if disk else UPLOAD
    if len(names) == 2:
        return at_once(lambda: read_pair(data[0], names[0], data[1], names[1], limits))
    return parsing(data.pop(), names[0], limits)


def _said(steps: Steps[Any], talk: socket.socket) -> Any:
    """What the steps return; every per cent is reported once."""
    before = -1
    while True:
        try:
            share = next(steps)
        except StopIteration as stop:
            return stop.value
        if share is not None and (per_cent := int(100 * share)) != before:
            say(talk, {"share": share})
            before = per_cent


def _whole(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        return file.read()
