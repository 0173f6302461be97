"""The process that scores for the page (models/job_worker.py)."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from sapo_viz.models.job_worker import Tell, serve
from sapo_viz.models.scoring.cache import ScoreCache, ScoredText
from sapo_viz.models.source import ModelSource


def score(request: dict[str, Any], tell: Tell) -> None:
    """Besides how far it is, each new score is told, for the server's cache."""
    from sapo_viz.models.scoring.score import Progress, score_texts

    cache = _Watched()
    for key, known in request["known"].items():
        cache.put(key, ScoredText(*map(tuple, known)))
    cache.new.clear()
    texts = (request["prompts"], request["completions"])
    policies = (ModelSource.from_dict(request["policy"]), ModelSource.from_dict(request["old_policy"]))
    options = {name: request[name] for name in ("chat", "device", "dtype")}
    for item in score_texts(*policies, *texts, **options, cache=cache):
        for key, found in cache.new.items():
            tell({"type": "scored", "key": key, "score": [found.tokens, found.token_ids, found.logprobs]})
        cache.new.clear()
        if isinstance(item, Progress):
            tell({"type": "progress", **asdict(item)})
        else:
            tell({"type": "done", **_packed(item)})


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


if __name__ == "__main__":
    sys.exit(serve(score, "scoring"))
