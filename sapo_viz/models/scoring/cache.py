"""Scores that were made already, in this process's memory: bounded, and gone when the process ends."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

MAX_TOKENS = 1_000_000  # about 150 MB


@dataclass(frozen=True)
class ScoredText:
    """A completion's tokens with their log-probs, one entry per token."""

    tokens: tuple[str, ...]  # the text of each, to be read
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


def text_key(identity: str, prompt: str, completion: str, chat: bool, numbers: str) -> str:
    """What a score depends on: the model's content, the text, the template, and device with precision (`numbers`)."""
    key = hashlib.sha256()
    for part in (identity, prompt, completion, str(chat), numbers):
        data = part.encode("utf-8", "surrogatepass")
        key.update(len(data).to_bytes(8, "little") + data)
    return key.hexdigest()


class ScoreCache:
    """The most recently used scores, up to `max_tokens` tokens in all. Safe among threads."""

    def __init__(self, max_tokens: int = MAX_TOKENS) -> None:
        self.max_tokens = max_tokens
        self.tokens = 0
        self._scores: OrderedDict[str, ScoredText] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> ScoredText | None:
        with self._lock:
            if key in self._scores:
                self._scores.move_to_end(key)
            return self._scores.get(key)

    def put(self, key: str, score: ScoredText) -> None:
        with self._lock:
            if key in self._scores:
                return
            self._scores[key] = score
            self.tokens += len(score.tokens)
            while self.tokens > self.max_tokens:
                _, old = self._scores.popitem(last=False)
                self.tokens -= len(old.tokens)
