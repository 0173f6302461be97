"""What the ratios and advantages of a file are in sums, whatever the objective: worked out once for each file."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from sapo_viz.rollouts.analysis.histogram import Histogram, What, histogram
from sapo_viz.rollouts.analysis.passes import spans, sums
from sapo_viz.rollouts.analysis.totals import Signal, signal_of
from sapo_viz.rollouts.schema import Rollouts


class Ratios:
    """Everything is derived on demand, and kept. `[N]` is a number per sequence."""

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts
        self._histograms: dict[tuple[What, int], Histogram] = {}

    @cached_property
    def counts(self) -> np.ndarray:
        """[N] response tokens per sequence."""
        return self._sums(lambda part, rows: self._rollouts.mask[part].astype(np.float64)).astype(np.int64)

    @cached_property
    def log_s(self) -> np.ndarray:
        """[N] log s_i = mean of z over the sequence's response tokens; 0 without any."""
        return self._means(lambda part, rows: self._rollouts.log_ratio[part])

    @cached_property
    def variance(self) -> np.ndarray:
        """[N] Var_i: variance of z within the sequence (population), the A2 of the paper's analysis."""
        rollouts = self._rollouts

        def squares(part: slice, rows: slice) -> np.ndarray:
            mean = np.repeat(self.log_s[rows], rollouts.lengths[rows])
            return np.where(rollouts.mask[part], (rollouts.log_ratio[part] - mean) ** 2, 0.0)

        with np.errstate(over="ignore", invalid="ignore"):  # log-probs of −1e200 are finite too
            return self._means(squares)

    @cached_property
    def advantage(self) -> np.ndarray:
        """[N] mean A over the response tokens; 0 without any."""
        rollouts = self._rollouts
        return self._means(lambda part, rows: np.where(rollouts.mask[part], rollouts.advantages[part], 0.0))

    @cached_property
    def signal(self) -> Signal:
        """Where the gradient comes from."""
        return signal_of(self._rollouts)

    def histogram(self, what: What, bins: int = 60) -> Histogram:
        """Distribution of z over the response tokens by sign of A, or of log s_i or Var_i over the sequences.

        The bins span the middle 99.8 % of the values; what lies beyond is counted in `below` and `above`.
        """
        key = (what, bins)
        if key not in self._histograms:
            self._histograms[key] = self._histogram(what, bins)
        return self._histograms[key]

    def _histogram(self, what: What, bins: int) -> Histogram:
        if what != "log_ratio":
            own = self.counts > 0
            values = (self.log_s if what == "log_s" else self.variance)[own]
            return histogram(what, values, {"all": 0}, None, bins, log=what == "variance")
        rollouts = self._rollouts
        kinds = {"A > 0": 1, "A < 0": -1, "A = 0": 0}
        z, kind = np.empty(len(rollouts.tokens)), np.empty(len(rollouts.tokens), np.int8)
        for _, part in spans(rollouts):
            z[part] = np.where(rollouts.mask[part], rollouts.log_ratio[part], np.nan)  # masked ones do not count
            kind[part] = np.sign(rollouts.advantages[part])
        return histogram(what, z, kinds, kind, bins)

    def _means(self, values: Callable[[slice, slice], np.ndarray]) -> np.ndarray:
        """[N] means over the response tokens, of values that are 0 elsewhere; 0 without any."""
        means: np.ndarray = self._sums(values) / np.maximum(self.counts, 1)
        return means

    def _sums(self, values: Callable[[slice, slice], np.ndarray]) -> np.ndarray:
        """Sum within each sequence of what `values` gives for some tokens, (tokens, sequences) -> [K]. [N]"""
        out = np.empty(len(self._rollouts))
        for rows, part in spans(self._rollouts):
            out[rows] = sums(self._rollouts, rows, values(part, rows))
        return out
