"""Answers of several turns, joined into one sequence in which what stands between them is shown and masked out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from sapo_viz.rollouts.readers.formats.base import Entry, Notes, finite_mask
from sapo_viz.rollouts.readers.formats.pair import OneSequence
from sapo_viz.rollouts.vocabulary import placeholders

BETWEEN = "Messages between two answers, as a tool's output, stand as one masked token each"

_LOOK_BACK = 64  # sequences that a call may continue, the latest: a file of many calls is still read in one go


@dataclass
class Turns:
    """A sequence as it grows. A part without log-probs (a tool's tokens, a message) is masked out."""

    tokens: list[str] = field(default_factory=list)
    ids: list[int] | None = field(default_factory=list)  # None once a part has texts only
    logprobs: list[np.ndarray] = field(default_factory=list)
    mask: list[np.ndarray] = field(default_factory=list)

    def answer(self, ids: np.ndarray, logprobs: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Tokens of one answer, by their ids. [T] each."""
        self._extend(placeholders(ids), ids, logprobs, np.ones(len(ids), bool) if mask is None else mask)

    def spelled(self, tokens: list[str], ids: np.ndarray | None, logprobs: np.ndarray) -> None:
        """Tokens of one answer, by their texts. [T] each."""
        self._extend(tokens, ids, logprobs, np.ones(len(tokens), bool))

    def given(self, ids: np.ndarray) -> None:
        """Tokens that the policy did not draw. [T]"""
        self._extend(placeholders(ids), ids, np.full(len(ids), np.nan), np.zeros(len(ids), bool))

    def message(self, text: str, notes: Notes) -> None:
        """A message of which the file has no tokens."""
        notes.count(BETWEEN)
        self._extend([text], None, np.array([np.nan]), np.array([False]))

    def _extend(self, tokens: list[str], ids: np.ndarray | None, logprobs: np.ndarray, mask: np.ndarray) -> None:
        self.tokens += tokens
        if ids is None:
            self.ids = None
        elif self.ids is not None:
            self.ids += ids.tolist()
        self.logprobs.append(logprobs)
        self.mask.append(mask)

    def sequence(self, id: str, notes: Notes) -> OneSequence:
        """The whole, with tokens masked out whose log-prob is not finite."""
        logprobs = np.concatenate(self.logprobs) if self.logprobs else np.zeros(0)
        mask = np.concatenate(self.mask) if self.mask else np.zeros(0, bool)
        ids = None if self.ids is None else np.array(self.ids, dtype=np.int64)
        return OneSequence(id, tuple(self.tokens), logprobs, finite_mask(mask, notes, logprobs), ids)


def chained(calls: Iterable[Entry], prompt: str, answer: str, logprob: str) -> list[tuple[Turns, np.ndarray]]:
    """Model calls of a rollout as sequences, each with the ids of its first prompt.

    A call whose prompt goes on from an earlier call's prompt and answer continues that sequence; the tokens in between
    are those of a tool. Any other begins a new one, as after a context was cut.
    """
    begun: list[tuple[Turns, np.ndarray, np.ndarray]] = []  # with all ids so far
    for call in calls:
        before = call.ids(prompt)
        ids = call.ids(answer)
        drawn = call.numbers(logprob, len(ids), answer)
        recent = range(len(begun) - 1, max(len(begun) - _LOOK_BACK, 0) - 1, -1)
        at = next((i for i in recent if _continues(before, begun[i][2])), None)
        if at is None:
            turns, first = Turns(), before
            begun.append((turns, first, before))
            at = len(begun) - 1
        else:
            turns, first, seen = begun[at]
            turns.given(before[len(seen) :])
        turns.answer(ids, drawn)
        begun[at] = (turns, first, np.concatenate((before, ids)))
    return [(turns, first) for turns, first, _ in begun]


def _continues(ids: np.ndarray, seen: np.ndarray) -> bool:
    return len(ids) >= len(seen) and bool((ids[: len(seen)] == seen).all())
