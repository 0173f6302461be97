"""The few statistics that a handful of seeds allows: Student's interval, Fisher's exact test. Standard library.

A 95 % interval of n paired differences: mean ± t·sd/√n, t the 97.5 % quantile of Student's distribution with n − 1
degrees of freedom. With four seeds t is 3.18, not 1.96; the interval is as wide as n is small. It takes differences
to be roughly normal, which those between a run that collapsed and one that did not are not, so counts are given
as well.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def student_cdf(t: float, degrees: int) -> float:
    """P(T ≤ t), by the finite series for whole degrees of freedom (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    theta = math.atan2(t, math.sqrt(degrees))
    sine, cosine = math.sin(theta), math.cos(theta)
    if degrees % 2:
        term, total = cosine, 0.0
        for power in range(1, degrees - 1, 2):
            total += term
            term *= cosine**2 * (power + 1) / (power + 2)
        inside = 2 / math.pi * (theta + sine * total)
    else:
        term, total = 1.0, 0.0
        for power in range(0, degrees - 1, 2):
            total += term
            term *= cosine**2 * (power + 1) / (power + 2)
        inside = sine * total
    return (1 + inside) / 2


def student_quantile(share: float, degrees: int) -> float:
    """The t below which `share` (at least one half) of the distribution lies, by bisection."""
    low, high = 0.0, 1.0
    while student_cdf(high, degrees) < share:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if student_cdf(middle, degrees) < share else (low, middle)
    return high


def mean_interval(values: Sequence[float], level: float) -> tuple[float, float]:
    """Student's interval for the mean of two values or more."""
    mean = statistics.fmean(values)
    half = student_quantile((1 + level) / 2, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return mean - half, mean + half


def fisher(hits: int, of: int, other_hits: int, other_of: int) -> float:
    """Fisher's exact test, two-sided: how often chance alone parts two counts at least so far."""
    total, both = hits + other_hits, of + other_of

    def probability(first: int) -> float:
        return math.comb(of, first) * math.comb(other_of, total - first) / math.comb(both, total)

    seen = probability(hits)
    possible = range(max(0, total - other_of), min(of, total) + 1)
    return min(1.0, sum(p for p in map(probability, possible) if p <= seen * (1 + 1e-9)))
