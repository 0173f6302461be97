"""Intervals from what whole groups contribute: tokens of a sequence hang together, and so do completions of a prompt.

A studentised bootstrap (Efron and Tibshirani 1993, chapter 12) over clusters: the mean of a sample over its own
standard error, in resamples, says how far such a ratio strays, and Student's t how far at least. Few clusters and
skewed ones are taken in, where the 2.5 and 97.5 % of resampled means cover too little. `scripts/interval_coverage.py`
measures it; docs/inspect.md has the figures.
"""

from __future__ import annotations

import numpy as np

from sapo_viz.rollouts.schema import Rollouts

RESAMPLES = 1_000
_BUNDLES = 4_096  # beyond this many clusters some are added up at random: sums of independent ones are independent
_BLOCK = 1 << 20  # clusters × resamples at a time


def clusters(rollouts: Rollouts, rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Which cluster each of these sequences belongs to, from 0 [n], and how many there are.

    A cluster is a group of one step, as in `groups`; without a group the sequences of a prompt, and without that a
    sequence.
    """
    numbers: dict[object, int] = {}
    label = np.empty(len(rows), np.int64)
    for place, i in enumerate(rows.tolist()):
        group, prompt, step = rollouts.groups[i], rollouts.prompts[i], rollouts.steps[i]
        own = group if group is not None else prompt
        key = i if own is None else (own, None if step is None or step != step else step)
        label[place] = numbers.setdefault(key, len(numbers))
    return label, len(numbers)


def cluster_sums(values: np.ndarray, label: np.ndarray, count: int) -> np.ndarray:
    """Sums of rows [n, V] by cluster. [C, V]; C is `count`, or 4,096 where that is more."""
    if count > _BUNDLES:
        label = np.random.default_rng(0).permutation(np.arange(count) % _BUNDLES)[label]
        count = _BUNDLES
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[order], np.arange(count))
    return np.add.reduceat(values[order], starts)  # no cluster is empty


def statistic(values: np.ndarray) -> np.ndarray:
    """Mean over its standard error, of each column. [C, V] -> [V]; 0 where all are 0, ±infinity where all are equal."""
    count = len(values)
    return _ratio(values.sum(0), (values**2).sum(0), count)


def critical_values(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Between which the statistic lies in 95 % of the samples, for columns of mean 0. [C, V] -> two of [V]."""
    count, columns = centred.shape
    generator = np.random.default_rng(0)
    both = np.column_stack((centred, centred**2))
    out = np.empty((RESAMPLES, columns))
    block = max(1, min(RESAMPLES, _BLOCK // count))
    for start in range(0, RESAMPLES, block):
        rows = min(block, RESAMPLES - start)
        drawn = generator.integers(0, count, (rows, count)) + np.arange(rows)[:, None] * count
        summed = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count) @ both
        out[start : start + rows] = _ratio(summed[:, :columns], summed[:, columns:], count)
    # Infinite ones, of resamples without a spread, are kept: between two of them there is nothing to interpolate.
    low, high = np.quantile(out, (0.025, 0.975), axis=0, method="closest_observation")
    least = _student(count - 1)
    return np.minimum(low, -least), np.maximum(high, least)


def _student(degrees: int) -> float:
    """97.5 % point of Student's t, by the series in 1/degrees (Abramowitz and Stegun 26.7.5); 2e-4 off from 3 on."""
    if degrees < 3:
        return (np.inf, 12.706, 4.303)[max(degrees, 0)]
    z, n = 1.959964, degrees
    terms = (
        (z**3 + z) / (4 * n),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3),
    )
    return z + sum(terms)


def share_interval(amounts: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of Σ amounts / Σ total, column by column. [C, V] and [C] -> two of [V]"""
    share = amounts.sum(0) / total.sum()
    residual = amounts - share * total[:, None]
    count = len(total)
    if count < 2:
        return share, share
    error = np.sqrt(np.maximum((residual**2).sum(0), 0) / (count - 1) * count) / total.sum()
    low, high = critical_values(residual)
    with np.errstate(invalid="ignore"):
        ends = share - high * error, share - low * error
    # Where no resample has a spread the end is not known: the share itself is given.
    finite = [np.where(np.isfinite(end), end, share) for end in ends]
    return np.minimum(finite[0], share), np.maximum(finite[1], share)


def _ratio(total: np.ndarray, square: np.ndarray, count: int) -> np.ndarray:
    """Mean over its standard error from Σx and Σx²."""
    mean = total / count
    spread = np.maximum(square - total * mean, 0.0)
    tiny = spread <= 1e-12 * square  # a rounding error is no spread
    error = np.sqrt(np.where(tiny, 1.0, spread) / max(count - 1, 1) / count)
    with np.errstate(divide="ignore", invalid="ignore"):
        equal = np.where(mean == 0, 0.0, np.sign(mean) * np.inf)
    return np.where(tiny, equal, mean / error)
