"""worker.json: which process does this run, and what it is doing. Written by the process, first by its parent.

pid, mark   the process; `mark` tells it from a later one with the same id
state       queued, starting, running or ended
since       when it came into this state, seconds since 1970
asked       when the run was launched or resumed, nanoseconds since 1970: its place in the queue
oom         how often Linux had ended a process because memory ran out, by then; null elsewhere
kind, message   why it ended, if its last event could not be written
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sapo_viz.runs.folder.files import write_whole
from sapo_viz.runs.folder.process import oom_kills, start_mark
from sapo_viz.runs.folder.reading import NotReadable, json_object, read_small

NAME = "worker.json"
_MOST = 1 << 14  # bytes; it is read at each look at a run, and has a sentence at most


def write_worker(
    folder: Path,
    state: str,
    pid: int | None = None,
    *,
    asked: int | None = None,
    said: Mapping[str, str] | None = None,
    only_if_missing: bool = False,
) -> None:
    """`asked` is kept from the file where it is not given. The parent writes only if the process has not yet."""
    pid = pid or os.getpid()
    asked = asked or read_worker(folder).get("asked") or time.time_ns()
    worker = {"pid": pid, "mark": start_mark(pid), "state": state, "since": time.time(), "asked": asked}
    worker |= {"oom": oom_kills(), **(said or {})}
    text = json.dumps(worker) + "\n"
    if not only_if_missing:
        write_whole(folder / NAME, text)
        return
    part = folder / f".worker.{pid}.part"
    part.unlink(missing_ok=True)
    linked = False
    while not linked:
        part.write_text(text, encoding="utf-8")
        # The process begins by sweeping away what others left, and may take this for that: then once more.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.link(part, folder / NAME)
        linked = os.path.lexists(folder / NAME)
    part.unlink(missing_ok=True)


def read_worker(folder: Path) -> dict[str, Any]:
    """Empty if there is none, or none that can be understood."""
    try:
        worker = json_object(read_small(folder / NAME, _MOST))
    except (OSError, NotReadable):
        return {}
    return worker if all(_is(worker.get(name), kind) for name, kind in _FIELDS.items()) and _known(worker) else {}


_FIELDS: Mapping[str, tuple[type, ...]] = {
    "pid": (int,), "mark": (str,), "state": (str,), "since": (int, float),
    "asked": (int, type(None)), "oom": (int, type(None)), "kind": (str, type(None)), "message": (str, type(None)),
}  # fmt: skip


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _known(worker: Mapping[str, Any]) -> bool:
    return worker["state"] in ("queued", "starting", "running", "ended") and 0 < worker["pid"] < 2**31
