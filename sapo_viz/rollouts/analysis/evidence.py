"""What a knob is judged by: the tokens with one sign of A, in sums per sequence: whole sequences can be resampled.

`amounts` gives Σ|A|·w of every sequence for any settings of any objective; `total` is Σ|A|; `cluster` says which of
them hang together. The weight comes from the
objective itself, at the tokens' own log-ratios: exactly for up to 16,384 tokens and for gates on s_i, and beyond
that at the mean log-ratio of 16,384 runs of neighbouring tokens, which moves a share by less than 1e-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from sapo_viz.core.objective import Objective
from sapo_viz.rollouts.analysis.gate import argument_of, weights_table
from sapo_viz.rollouts.analysis.intervals import clusters
from sapo_viz.rollouts.analysis.passes import chunks, one_thread, spans, sums
from sapo_viz.rollouts.schema import Rollouts

_POINTS = 16_384  # log-ratios at which an objective is evaluated
_CELLS = 1_024  # of these, in runs: what is kept a sequence
_BLOCK = 1 << 21  # sequences × cells at a time
_WHOLE = 50_000  # tokens that an objective which is no function of one number is evaluated on, for each value


class Evidence:
    """The tokens with the given sign of A. `total`, `amounts`: [n] and [n, V] over the `rows` that have such tokens."""

    def __init__(self, rollouts: Rollouts, sign: int) -> None:
        self._rollouts, self.sign = rollouts, sign
        count = len(rollouts)
        sizes, means, mixed = np.zeros(count), np.zeros(count), np.zeros(count, bool)
        tokens = np.zeros(count, np.int64)
        z, size, sequence = [], [], []
        largest = _largest(rollouts)
        for rows, part in spans(rollouts):
            mask = rollouts.mask[part]
            own = mask & (np.sign(rollouts.advantages[part]) == sign)
            starts = rollouts.offsets[rows] - part.start
            # Shares do not depend on the scale of A, and |A| may be 1e300, whose sum is infinite.
            scaled = np.where(own, np.abs(rollouts.advantages[part]) / largest, 0.0)
            own &= scaled > 0  # beside 1e300 one of 1e-300 has no share at all
            ratio = rollouts.log_ratio[part]
            sizes[rows] = sums(rollouts, rows, scaled)
            tokens[rows] = sums(rollouts, rows, own.astype(np.int64))
            means[rows] = sums(rollouts, rows, ratio) / np.maximum(sums(rollouts, rows, mask.astype(np.int64)), 1)
            signed = np.where(mask, rollouts.advantages[part], np.nan)
            with np.errstate(invalid="ignore"):
                mixed[rows] = np.fmax.reduceat(signed, starts) != np.fmin.reduceat(signed, starts)
            z.append(ratio[own])
            size.append(scaled[own])
            which = np.repeat(np.arange(rows.start, rows.stop), rollouts.lengths[rows])
            sequence.append(which[own])
        self.rows = np.flatnonzero(sizes > 0)
        self.total = sizes[self.rows]
        self.tokens = int(tokens[self.rows].sum())
        self._log_s, self._mixed, self._own_tokens = means[self.rows], mixed[self.rows], tokens[self.rows]
        self._z, self._size = np.concatenate(z), np.concatenate(size)
        self._place = np.searchsorted(self.rows, np.concatenate(sequence))
        self.largest_ratio = float(np.abs(self._z).max(initial=0.0))  # |z|
        self.cluster, self.clusters = clusters(rollouts, self.rows)

    def exact(self, objective: Objective) -> bool:
        """Whether all tokens are looked at for this objective; else a seeded sample of sequences stands for them."""
        return self._argument(objective) != "more" or len(self._chosen) == len(self.rows)

    def narrowed(self, objectives: Sequence[Objective]) -> np.ndarray:
        """[n] bool: the sequences on which all of these objectives can be evaluated in time."""
        out = np.ones(len(self.rows), bool)
        if not all(self.exact(objective) for objective in objectives):
            out[:] = False
            out[self._chosen] = True
        return out

    def amounts(self, objectives: Sequence[Objective]) -> np.ndarray:
        """Σ|A|·w of each sequence under each objective, NaN where it was not evaluated. [n, V]

        The objectives are one of the catalogue's with different knobs.
        """
        argument = self._argument(objectives[0])
        with one_thread():
            if argument == "token":
                return self._of_tokens(objectives)
            if argument == "sequence":
                amounts: np.ndarray = self.total[:, None] * weights_table(objectives, self._log_s, self.sign).T
                return amounts
            return self._of_everything(objectives)

    def _argument(self, objective: Objective) -> str:
        argument = argument_of(objective)
        return "more" if argument == "sequence" and self._mixed.any() else argument

    @cached_property
    def _points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(log-ratio, Σ|A|) of at most 16,384 runs of tokens sorted by z, each run's cell, and the table [n, cells]."""
        order = np.argsort(self._z)  # not the stable sort, which takes three times as long: equal z weigh the same
        count = len(order)
        cuts = np.unique(np.linspace(0, count, min(count, _POINTS) + 1).astype(np.int64))[:-1]
        size = np.add.reduceat(self._size[order], cuts)
        with np.errstate(over="ignore"):
            point = np.add.reduceat(np.clip(self._z, -30, 30)[order] * self._size[order], cuts) / size
        cells = min(len(cuts), _CELLS)
        of_point = np.arange(len(cuts)) * cells // len(cuts)
        cell = np.empty(count, np.int64)
        cell[order] = np.repeat(of_point, np.diff(np.append(cuts, count)))
        table = np.zeros((len(self.rows), cells), np.float32 if len(self.rows) * cells > 1 << 24 else np.float64)
        step = max(1, _BLOCK // cells)
        for start in range(0, len(self.rows), step):
            stop = min(start + step, len(self.rows))
            first, last = np.searchsorted(self._place, (start, stop))
            flat = (self._place[first:last] - start) * cells + cell[first:last]
            counted = np.bincount(flat, self._size[first:last], (stop - start) * cells)
            table[start:stop] = counted.reshape(-1, cells)
        return point, size, of_point, table

    def _of_tokens(self, objectives: Sequence[Objective]) -> np.ndarray:
        point, size, cell, table = self._points
        mass = np.bincount(cell, size)
        found = weights_table(objectives, point, self.sign)
        weight = np.stack([np.bincount(cell, size * row) / mass for row in found], axis=1)
        amounts: np.ndarray = table @ weight.astype(table.dtype)
        return amounts.astype(np.float64)

    @cached_property
    def _chosen(self) -> np.ndarray:
        """Places in `rows` of a seeded choice of sequences with about 50,000 tokens; all if there are no more."""
        lengths = self._rollouts.lengths[self.rows]
        if lengths.sum() <= _WHOLE:
            return np.arange(len(self.rows))
        order = np.random.default_rng(0).permutation(len(self.rows))
        return np.sort(order[: max(1, int(np.searchsorted(np.cumsum(lengths[order]), _WHOLE)))])

    def _of_everything(self, objectives: Sequence[Objective]) -> np.ndarray:
        out = np.full((len(self.rows), len(objectives)), np.nan)
        place = np.full(len(self._rollouts), -1)
        place[self.rows] = np.arange(len(self.rows))
        largest = _largest(self._rollouts)
        for chunk in chunks(self._rollouts, self.rows[self._chosen]):
            size = np.where(np.sign(chunk.advantages) == self.sign, np.abs(chunk.advantages) / largest, 0.0)
            for column, objective in enumerate(objectives):
                weight = chunk.view(objective).gate_weight.numpy()
                out[place[chunk.rows], column] = (size * weight).sum(1)
        return out


def _largest(rollouts: Rollouts) -> float:
    """max |A| over the response tokens; 1 where there is none."""
    top = 0.0
    for _, part in spans(rollouts):
        top = max(top, float(np.abs(np.where(rollouts.mask[part], rollouts.advantages[part], 0.0)).max()))
    return top or 1.0
