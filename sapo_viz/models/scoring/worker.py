"""The process that scores for the page: requests come as JSON lines on stdin, events go out as JSON lines on stdout.

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
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from sapo_viz.errors import ModelError
from sapo_viz.models.scoring.cache import ScoreCache, ScoredText
from sapo_viz.models.source import ModelSource


def main() -> int:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not get between the events
    _step_back()
    for request in _requests(sys.stdin):
        for event in events(request):
            out.write(json.dumps(event, allow_nan=True) + "\n")
            out.flush()
    return 0


def events(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What happens while a request is served: {"type": "progress" | "scored" | "done" | "failed", …}."""
    from sapo_viz.models.scoring.score import Progress, score_texts

    cache = _Watched()
    for key, score in request["known"].items():
        cache.put(key, ScoredText(*map(tuple, score)))
    cache.new.clear()
    texts = (request["prompts"], request["completions"])
    policies = (ModelSource.from_dict(request["policy"]), ModelSource.from_dict(request["old_policy"]))
    options = {name: request[name] for name in ("chat", "device", "dtype")}
    try:
        for item in score_texts(*policies, *texts, **options, cache=cache):
            for key, score in cache.new.items():
                yield {"type": "scored", "key": key, "score": [score.tokens, score.token_ids, score.logprobs]}
            cache.new.clear()
            if isinstance(item, Progress):
                yield {"type": "progress", **asdict(item)}
            else:
                yield {"type": "done", **_packed(item)}
    except ModelError as error:
        yield {"type": "failed", "message": str(error)}
    except Exception as error:  # a library's bug must not end the process, nor leave the page waiting
        import traceback

        traceback.print_exc()
        reason = next(iter(str(error).strip().splitlines()), "").rstrip(".")
        yield {
            "type": "failed",
            "message": f"scoring stopped at an unexpected {type(error).__name__} ({reason[:200]}).",
        }


def _packed(scores: Any) -> dict[str, Any]:
    columns = {
        name: [s and [s.tokens, s.token_ids, s.logprobs] for s in getattr(scores, name)] for name in ("new", "old")
    }
    return columns | {"left_out": list(scores.left_out.items()), "notes": scores.notes}


class _Watched(ScoreCache):
    """A cache that notes what is new in it, to be told to the server."""

    def __init__(self) -> None:
        super().__init__()
        self.new: dict[str, ScoredText] = {}

    def put(self, key: str, score: ScoredText) -> None:
        super().put(key, score)
        self.new[key] = score


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


if __name__ == "__main__":
    sys.exit(main())
