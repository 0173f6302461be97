"""Where answers end in one token over and over, and all in the same one: padding that the mask lets in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sapo_viz.rollouts.once import once
from sapo_viz.rollouts.schema import Rollouts

_RUN = 4  # times in a row, up to the last response token


@dataclass(frozen=True)
class Padding:
    """`rows`: [N] response tokens at the end of each sequence that are `text`; 0 where they are fewer than four."""

    rows: np.ndarray
    text: str


@once
def padding(rollouts: Rollouts) -> Padding | None:
    """The commonest token that ends answers so; None where fewer than 3 of them or 5 % end in it."""
    mask, codes, starts = rollouts.mask, rollouts.tokens.codes, rollouts.offsets[:-1]
    places = np.flatnonzero(mask)
    if not len(places):
        return None
    sequence = np.searchsorted(rollouts.offsets, places, "right") - 1
    kind = codes[places]
    new = np.append(True, (np.diff(kind) != 0) | (np.diff(places) != 1) | (np.diff(sequence) != 0))
    began = np.maximum.accumulate(np.where(new, np.arange(len(places)), 0))
    last = np.append(np.flatnonzero(np.diff(sequence)), len(places) - 1)
    length = last - began[last] + 1
    whole = np.diff(np.append(-1, last))  # response tokens of each: one that says nothing else ends in no padding
    long = (length >= _RUN) & (length < whole)
    if not long.any():
        return None
    ends, count = np.unique(kind[last[long]], return_counts=True)
    token = ends[np.argmax(count)]
    rows = np.zeros(len(starts), np.int64)
    own = long & (kind[last] == token)
    rows[sequence[last[own]]] = length[own]
    if np.count_nonzero(rows) < max(3, 0.05 * len(rows)):
        return None
    return Padding(rows, rollouts.tokens.vocabulary[token])
