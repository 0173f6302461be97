"""Scoring for a server with several visitors: its jobs and their line (models/jobs.py).

The cache of scores is bounded (`cache.py`) and shared, which shows a visitor nothing that they did not type themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sapo_viz.models.jobs import Job, JobLine
from sapo_viz.models.scoring.cache import ScoreCache, ScoredText, text_key
from sapo_viz.models.source import locate


@dataclass(frozen=True)
class ScoreRequest:
    """What to score: N texts and the names of two models, as a person gave them."""

    policy: str
    old_policy: str
    prompts: tuple[str, ...]
    completions: tuple[str, ...]
    adapter: str = ""  # on `policy`
    chat: bool = False
    device: str = "auto"
    dtype: str = "auto"
    root: Path | None = None  # as in `locate`


class ScoreJob(Job):
    """`new`, `old`, `notes` are there when it is done. Its stages are "fetching", "loading" and "scoring"."""

    def __init__(self, request: ScoreRequest, scorer: Scorer) -> None:
        name = request.policy + (f" + {request.adapter}" if request.adapter else "")
        super().__init__(scorer, f"scoring of {name}", total=2 * len(request.completions))
        self.request = request
        self.new: tuple[ScoredText | None, ...] = ()
        self.old: tuple[ScoredText | None, ...] = ()
        self.notes: tuple[str, ...] = ()
        self._cache = scorer.cache

    def message(self) -> dict[str, Any]:
        request = self.request
        old = locate(request.old_policy, root=request.root)
        new = locate(request.policy, request.adapter, root=request.root)
        return {
            "policy": new.to_dict(),
            "old_policy": old.to_dict(),
            "prompts": request.prompts,
            "completions": request.completions,
            "chat": request.chat,
            "device": request.device,
            "dtype": request.dtype,
            "known": self._known(new.identity, old.identity),
        }

    def take(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "scored":
            self._cache.put(event["key"], _score(event["score"]))
        else:
            self.new, self.old = (tuple(map(_score, event[name])) for name in ("new", "old"))
            self.notes = tuple(event["notes"])

    def _known(self, *identities: str) -> dict[str, Any]:
        """The scores among the cache's that the worker will ask for."""
        request, found = self.request, dict[str, Any]()
        numbers = f"{request.device} {request.dtype}"
        for identity in identities:
            for prompt, completion in zip(request.prompts, request.completions, strict=True):
                key = text_key(identity, prompt, completion, request.chat, numbers)
                if score := self._cache.get(key):
                    found[key] = [score.tokens, score.token_ids, score.logprobs]
        return found


class Scorer(JobLine):
    """The line of them."""

    def __init__(self, cache: ScoreCache | None = None) -> None:
        super().__init__("sapo_viz.models.scoring.worker", "texts wait to be scored")
        self.cache = cache or ScoreCache()

    def submit(self, request: ScoreRequest) -> ScoreJob:
        """The job, at once.

        Raises:
            ModelError: too many jobs wait already.
        """
        job = ScoreJob(request, self)
        self.join(job)
        return job


@lru_cache(maxsize=1)
def scorer() -> Scorer:
    """The one of this process."""
    return Scorer()


def _score(value: Sequence[Any] | None) -> Any:
    return value and ScoredText(*map(tuple, value))
