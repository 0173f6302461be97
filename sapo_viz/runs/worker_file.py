"""worker.json: which process does this run, and what it is doing. Written by the process, first by its parent.

pid, mark   the process; `mark` tells it from a later one with the same id
state       queued, starting, running or ended
since       when it came into this state, seconds since 1970
asked       when the run was launched or resumed, nanoseconds since 1970: its place in the queue
oom         how often Linux had ended a process for want of memory by then; null elsewhere
message     why it ended, if its last event could not be written
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from sapo_viz.runs.files import write_whole
from sapo_viz.runs.process import oom_kills, start_mark

NAME = "worker.json"


def write_worker(
    folder: Path,
    state: str,
    pid: int | None = None,
    *,
    asked: int | None = None,
    message: str = "",
    only_if_missing: bool = False,
) -> None:
    """`asked` is kept from the file where it is not given. The parent writes only if the process has not yet."""
    pid = pid or os.getpid()
    asked = asked or read_worker(folder).get("asked") or time.time_ns()
    worker = {"pid": pid, "mark": start_mark(pid), "state": state, "since": time.time(), "asked": asked}
    worker |= {"oom": oom_kills()} | ({"message": message} if message else {})
    text = json.dumps(worker) + "\n"
    if not only_if_missing:
        write_whole(folder / NAME, text)
        return
    part = folder / f".worker.{pid}.part"
    part.write_text(text, encoding="utf-8")
    with contextlib.suppress(FileExistsError):
        os.link(part, folder / NAME)
    part.unlink()


def read_worker(folder: Path) -> dict[str, Any]:
    """Empty if there is none, or none that can be understood."""
    try:
        worker = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    fits = isinstance(worker, dict) and {"pid", "mark", "state", "since"} <= worker.keys()
    return worker if fits else {}
