"""Histograms that one wild token cannot flatten: the bins span the middle 99.8 %, what lies beyond is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

What = Literal["log_ratio", "log_s", "variance"]

_TAIL = 0.001  # share of the values on either side that may lie beyond the bins
_SAMPLE = 1_000_000  # values that the bins' span is taken from
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Histogram:
    """Counts of finite values by kind: for `log_ratio` "A > 0", "A < 0", "A = 0", else "all".

    edges   [B+1], evenly spaced; for `variance` evenly in its logarithm, and what is 0 counts as below
    counts  kind -> [B] int64
    below, above   kind -> how many lie left of the first edge, right of the last
    """

    what: What
    edges: np.ndarray
    counts: Mapping[str, np.ndarray]
    below: Mapping[str, int]
    above: Mapping[str, int]


def histogram(
    what: What, values: np.ndarray, kinds: Mapping[str, int], kind: np.ndarray | None, bins: int, *, log: bool = False
) -> Histogram:
    """Count `values` in `bins` bins.

    Args:
        values: [K]; what is not finite is left out.
        kinds: name -> the number that stands for it in `kind`.
        kind: [K] int8, or None where there is one kind only.
        log: bins of equal width in the logarithm; values must not be negative.
    """
    low, high = _span(values, log)
    edges = np.linspace(low, high, bins + 1)
    counts = {name: np.zeros(bins + 2, np.int64) for name in kinds}
    for start in range(0, len(values), _BLOCK):
        part = values[start : start + _BLOCK]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            scaled = ((np.log(part) if log else part) - low) * (bins / (high - low))
        # Bin 0 is below, bins+1 above; the last edge belongs to the last bin, as in numpy.histogram.
        place = np.clip(np.floor(np.nan_to_num(scaled)), -1, bins).astype(np.int64) + 1
        place[scaled == bins] = bins
        finite = np.isfinite(part)
        for name, number in kinds.items():
            chosen = finite if kind is None else finite & (kind[start : start + _BLOCK] == number)
            counts[name] += np.bincount(place[chosen], minlength=bins + 2)
    return Histogram(
        what,
        np.exp(edges) if log else edges,
        {name: count[1:-1] for name, count in counts.items()},
        {name: int(count[0]) for name, count in counts.items()},
        {name: int(count[-1]) for name, count in counts.items()},
    )


def _span(values: np.ndarray, log: bool) -> tuple[float, float]:
    """First and last edge: 0.1 % and 99.9 % of the values, widened where they are (nearly) one."""
    sample = values[:: max(1, len(values) // _SAMPLE)]
    sample = sample[np.isfinite(sample) & ((sample > 0) if log else True)]
    if not len(sample):
        return (-1.0, 0.0) if log else (-0.5, 0.5)
    if log:
        sample = np.log(sample)
    low, high = (float(edge) for edge in np.quantile(sample, (_TAIL, 1 - _TAIL)))
    if high - low <= 1e-9 * max(1.0, abs(low), abs(high)):
        room = max(1e-6, 1e-6 * abs(low))
        low, high = low - room, high + room
    return low, high
