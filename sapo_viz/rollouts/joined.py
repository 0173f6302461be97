"""Several files of one step, each with some of its sequences, as one: every rank of a training run writes its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.schema import DISK, Rollouts
from sapo_viz.rollouts.vocabulary import Tokens, Vocabulary

_NEEDED = ("logprobs", "old_logprobs", "advantages", "mask")
_MISSING = {"token_ids": -1} | dict.fromkeys(
    ("sampler_logprobs", "ref_logprobs", "loss_gradients"), np.nan
)  # where a file has none
_LABELS = ("ids", "prompts", "rewards", "groups", "steps")
_SOME = ("microbatches", "losses")  # empty where a file has none


def joined(name: str, parts: Sequence[Rollouts], notes: Sequence[str] = ()) -> Rollouts:
    """The sequences of all parts, in their order. Advantages stay those of each part: a group lies on one rank, or the
    file says its advantages.

    Args:
        parts: at least one.
        notes: sentences about the whole, after those of the parts.

    Raises:
        RolloutError: together they have more tokens than one file may.
    """
    total = sum(len(part.tokens) for part in parts)
    if total > DISK.tokens:
        raise RolloutError(f"{name}: its files hold {total:,} tokens together; at most {DISK.tokens:,} are taken.")
    told = tuple(dict.fromkeys([*chain.from_iterable(part.notes for part in parts), *notes]))
    flat: dict[str, Any] = {key: _flat(parts, key) for key in (*_NEEDED, *_MISSING)}
    labels: dict[str, Any] = {key: tuple(chain.from_iterable(getattr(part, key) for part in parts)) for key in _LABELS}
    for key in _SOME:
        if any(getattr(part, key) for part in parts):
            labels[key] = tuple(chain.from_iterable(getattr(part, key) or (None,) * len(part) for part in parts))
    offsets = np.concatenate(([0], np.cumsum(np.concatenate([part.lengths for part in parts]))))
    return Rollouts(
        name=name,
        offsets=_frozen(offsets),
        tokens=_tokens([part.tokens for part in parts]),
        notes=told,
        same_weights=all(part.same_weights for part in parts),
        **flat,
        **labels,
    )


def of_step(rollouts: Rollouts, step: int) -> Rollouts:
    """Sequences that do not say their step have that of their file's name."""
    return replace(rollouts, steps=tuple(step if own is None else own for own in rollouts.steps))


def _flat(parts: Sequence[Rollouts], key: str) -> np.ndarray | None:
    columns = [getattr(part, key) for part in parts]
    if all(column is None for column in columns):
        return None
    filled: list[Any] = [
        np.full(len(part.tokens), _MISSING[key]) if column is None else column
        for part, column in zip(parts, columns, strict=True)
    ]
    return _frozen(np.concatenate(filled))


def _tokens(parts: Sequence[Tokens]) -> Tokens:
    vocabulary = Vocabulary()
    codes = [vocabulary.encode(part.vocabulary)[part.codes] for part in parts]
    return Tokens(_frozen(np.concatenate(codes)), vocabulary.texts())


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array
