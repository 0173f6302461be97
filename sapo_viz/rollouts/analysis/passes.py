"""Sequences through `core.losses.token_view`, the call that training and the curves make too.

Sequences of similar length go through it together, padded to [B, T], a chunk at a time: the peak of memory
depends on the chunk and on the longest sequence, and not on the file. A chunk holds whole sequences, because
sequence-level objectives need them whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

import numpy as np

from sapo_viz.core.correction import Correction
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Objective
from sapo_viz.core.token_view import TokenView, token_view
from sapo_viz.rollouts.schema import Rollouts

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 1 << 16  # padded tokens at a time: half a megabyte per tensor, so that they stay in the cache
_turns = BoundedSemaphore(os.cpu_count() or 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Chunks of this size are no faster on two threads, and ten times slower when another process wants a core.

    The number belongs to the calling thread (OpenMP), so other visitors' work keeps theirs.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def in_turn(rollouts: Rollouts) -> Iterator[None]:
    """For work over a whole file: as many threads at a time as there are processors, the others wait.

    All at once they would be done no sooner, and what each holds meanwhile would be in memory together. A file of no
    more than a chunk waits for nobody. Not to be held over a `yield`: who has left would keep the turn.
    """
    with _turns if len(rollouts.tokens) > CHUNK else nullcontext():
        yield


@dataclass(frozen=True)
class Chunk:
    """B sequences, padded to the longest of them, T."""

    rows: np.ndarray  # [B] which sequences
    inside: np.ndarray  # [B, T] bool: cells that hold a token
    places: np.ndarray  # [K] where those tokens lie in the flat arrays
    batch: tuple[Tensor, Tensor, Tensor, Tensor]  # logprobs, old_logprobs, advantages, mask
    sampler: Tensor | None = None  # [B, T] the sampler's log-probs, where the file has them

    def view(self, objective: Objective, correction: Correction | None = None) -> TokenView:
        """What the objective does to the tokens, times the correction's weight."""
        # The values were checked when the file was read. A chunk is no mini-batch, and a file does not say what was.
        view = token_view(objective, *self.batch, alone=objective.reads_other_sequences())
        if correction is None or self.sampler is None:
            return view
        rho = correction.weights(self.batch[1], self.sampler, self.batch[3])
        return replace(view, coefficient=view.coefficient * rho, gate_weight=view.gate_weight * rho)

    @cached_property
    def advantages(self) -> np.ndarray:
        """[B, T] A; 0 where the mask is 0."""
        return np.where(self.batch[3].numpy(), self.batch[2].numpy(), 0.0)


def chunks(rollouts: Rollouts, rows: np.ndarray | None = None, size: int | None = None) -> Iterator[Chunk]:
    """The given sequences (or all), shortest first, in chunks of at most `size` padded tokens or one sequence."""
    size = CHUNK if size is None else size
    lengths = rollouts.lengths
    rows = np.arange(len(lengths)) if rows is None else rows
    order = rows[np.argsort(lengths[rows], kind="stable")]
    ordered = lengths[order]
    start = 0
    while start < len(order):
        # The longest run of them that fits when padded to its last; at least one.
        fits = np.arange(1, min(len(order) - start, size) + 1) * ordered[start : start + size] <= size
        stop = start + max(1, int(np.count_nonzero(fits)))
        yield _padded(rollouts, order[start:stop])
        start = stop


def _padded(rollouts: Rollouts, rows: np.ndarray) -> Chunk:
    lengths = rollouts.lengths[rows]
    steps = np.arange(lengths[-1])
    inside = steps < lengths[:, None]
    places = (rollouts.offsets[rows, None] + steps)[inside]

    def pad(values: np.ndarray) -> Any:
        out = np.zeros(inside.shape, dtype=values.dtype)
        out[inside] = values[places]
        return torch.from_numpy(out)

    batch = tuple(
        pad(values) for values in (rollouts.logprobs, rollouts.old_logprobs, rollouts.advantages, rollouts.mask)
    )
    sampler = rollouts.sampler_logprobs
    return Chunk(rows, inside, places, batch, None if sampler is None else pad(sampler))


def spans(rollouts: Rollouts, tokens: int = 1 << 19) -> Iterator[tuple[slice, slice]]:
    """The file in file order, whole sequences of about `tokens` tokens: (which sequences, which tokens)."""
    offsets, start = rollouts.offsets, 0
    while start < len(rollouts):
        stop = max(start + 1, int(np.searchsorted(offsets, offsets[start] + tokens, "right")) - 1)
        yield slice(start, stop), slice(int(offsets[start]), int(offsets[stop]))
        start = stop


def sums(rollouts: Rollouts, rows: slice, values: np.ndarray) -> np.ndarray:
    """Sum within each sequence of a span. [K] -> [rows]"""
    offsets = rollouts.offsets
    return np.add.reduceat(values, offsets[rows] - offsets[rows.start])  # no sequence is empty
