"""worker.json: which process runs this, and what it is doing. Written by the process, first by its parent."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from sapo_viz.runs.process import start_mark
from sapo_viz.runs.store import write_whole


def write_worker(folder: Path, state: str, pid: int | None = None, *, only_if_missing: bool = False) -> None:
    """State is queued, starting, running or ended. The parent writes only if the process has not done so itself."""
    pid = pid or os.getpid()
    worker = {"pid": pid, "mark": start_mark(pid), "state": state, "since": time.time()}
    text = json.dumps(worker) + "\n"
    if not only_if_missing:
        write_whole(folder / "worker.json", text)
        return
    part = folder / f".worker.{pid}.part"
    part.write_text(text, encoding="utf-8")
    with contextlib.suppress(FileExistsError):
        os.link(part, folder / "worker.json")
    part.unlink()
