"""The process that does a queue's jobs: requests come as JSON lines on stdin, events go out as JSON lines on stdout.

A process of its own, because a page's server must answer everybody else meanwhile, because killing it is the one way to
cancel in the middle of a large model's forward pass, and because memory that runs out then ends this process only. It
ends by itself when its stdin does, so it never outlives the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from sapo_viz.errors import SapoVizError

Tell = Callable[[dict[str, Any]], None]


def serve(work: Callable[[dict[str, Any], Tell], None], doing: str) -> int:
    """`work(request, tell)` for each request, to the end of stdin.

    It tells {"type": "progress", …} as often as it likes, and {"type": "done", …} last. What it raises is told here.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not get between the events
    _step_back()

    def tell(event: dict[str, Any]) -> None:
        out.write(json.dumps(event, allow_nan=True) + "\n")
        out.flush()

    for request in _requests(sys.stdin):
        try:
            work(request, tell)
        except SapoVizError as error:
            tell({"type": "failed", "message": str(error)})
        except Exception as error:  # a library's bug must not end the process, nor leave the page waiting
            traceback.print_exc()
            reason = next(iter(str(error).strip().splitlines()), "").rstrip(".")
            said = f"{doing} stopped at an unexpected {type(error).__name__} ({reason[:200]})."
            tell({"type": "failed", "message": said})
    return 0


def _requests(lines: TextIO) -> Iterator[dict[str, Any]]:
    """Requests as they come. A thread reads, so that the end of stdin is seen in the middle of the work too."""
    waiting: queue.Queue[dict[str, Any]] = queue.Queue()

    def read() -> None:
        for line in lines:
            waiting.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield waiting.get()


def _step_back() -> None:
    """After the server: for the processor's time, and first in line when memory runs out."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
