"""One cause per fault: what can make ratios large is weighed here, and the rules ask which of it this file shows.

Each cause leaves marks that the others cannot: a shift makes z small again at another lag; another base of the
logarithm leaves one side a multiple of the other; only renormalised samples make mean r less than 1 for tokens drawn
from π_old; a temperature bends z along log π_old whatever A is; an update moves tokens with their advantages; what
remains is noise between two engines or two sets of weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sapo_viz.core.objective import LOG_RATIO_LIMIT
from sapo_viz.rollouts.analysis.facts import Facts
from sapo_viz.rollouts.once import once

_EXPLAINED = 0.08  # of z by the sign of A; an update alone gives .4, with noise of six times its size .08
_CLEARLY = 0.2  # of z by the sign of A: an update, where there are too few sequences for standard errors to say so
_MULTIPLE = 0.95  # of Σz² that a multiple of log π_old explains
_OF_FEW = 0.3  # the same over 200 to 500 tokens, or in 4 to 8 sequences
Cause = Literal["", "shifted", "scaled", "truncated_sampling", "temperature", "moved_far", "engine_mismatch"]


@dataclass(frozen=True)
class Verdict:
    """The cause that the evidence is for ("" where the ratios need none), and the next best with what is against it."""

    cause: Cause
    second: str = ""  # a sentence: the second-best explanation and why it was not chosen


@dataclass(frozen=True)
class Temperature:
    """New log-probs look like the old ones at temperature 1/alpha (their logits times alpha)."""

    alpha: float  # between 0.3 and 3
    slope: float  # of z on log π_old, over all response tokens
    correlation: float


def mean_k3(facts: Facts) -> float:
    return facts.k3 / max(facts.tokens, 1)


@once
def plain_k3(facts: Facts) -> float:
    """k3 a token without fillers and ratios beyond the clamp, which have rules of their own."""
    return float(facts.plain_k3.sum() / max(facts.plain.sum(), 1))


@once
def steady_k3(facts: Facts) -> float:
    """k3 a token as far as it is spread over the tokens: at most four times what is left without the outermost 1 %.

    A difference of weights, engines or temperature is in all tokens. Of noise that differs with the context the
    outermost hundredth carries a fifth, of a few outliers nearly all: those are a tail, which has a rule of its own.
    """
    z = facts.sample[:, 0]
    z = np.abs(z[np.abs(z) <= LOG_RATIO_LIMIT])
    if len(z) < 200:
        return plain_k3(facts)
    inner = z[z <= np.quantile(z, 0.99)]
    return min(plain_k3(facts), 4 * float((np.expm1(-inner) + inner).sum() / len(z)))


def clustered(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """The mean a token, and its standard error with whole sequences as the units: tokens of one are not independent."""
    total = counts.sum()
    if not total:
        return 0.0, np.inf
    mean = sums.sum() / total
    used = counts > 0
    degrees = max(int(used.sum()) - 1, 1)
    return float(mean), float(np.sqrt(((sums - counts * mean)[used] ** 2).sum() * (degrees + 1) / degrees) / total)


@once
def alignment(facts: Facts) -> float:
    """Σ A·z over its standard error, sequences as units: how surely the tokens moved with their advantages."""
    error = np.sqrt((facts.sum_az**2).sum())
    return float(facts.sum_az.sum() / error) if error > 0 else 0.0


@once
def explained(facts: Facts) -> float:
    """How much of z goes with the sign of A, as a correlation over tokens with A ≠ 0: .4 where an update is all.

    `alignment` says how surely there is an update beside whatever else moves the ratios; this, whether it is what
    moves them. Log-probs that were exchanged within a sequence keep Σ A·z, and leave this near 0.
    """
    up, down = facts.sides[1], facts.sides[-1]
    squares = (up.zz + down.zz) * (up.n + down.n)
    return float((up.z - down.z) / np.sqrt(squares)) if squares > 0 else 0.0


@once
def shifted(facts: Facts) -> np.ndarray:
    """[N] bool: the sequences of which one side lies some tokens off; none where a single one might be chance."""
    moved = facts.shift != 0
    return moved if moved.sum() >= max(2, 0.005 * len(moved)) else np.zeros_like(moved)


def zeros(facts: Facts) -> bool:
    """Whether one side's log-prob is exactly 0 on a tenth of a percent of the tokens where the other's is not."""
    return bool(facts.one_zero.sum() >= max(1, 1e-3 * facts.tokens))


@once
def removed_mass(facts: Facts) -> tuple[float, float]:
    """What renormalised samples would have lost, 1 − mean r, with its standard error; (0, inf) where that is no lack.

    For tokens drawn from π_old, E[π_θ/π_old] is the mass that π_θ gives to what π_old can draw at all: 1, or less
    where tokens were cut off before sampling. Nothing else makes it less: noise and updates leave it at 1, another
    temperature than the sampler's makes it more. With a sampler's own log-probs in the file, these are asked.
    """
    best = (0.0, np.inf)
    sure = 3.5 if zeros(facts) else 5  # a distribution cut to one token leaves exact zeros beside
    for sums, counts in ((facts.plain_r, facts.plain), (facts.sampler_r, facts.sampler_counts)):
        mean, error = clustered(sums, counts)
        if (
            (counts > 0).sum() >= (8 if zeros(facts) else 16)
            and -0.5 < mean < -max(0.002, sure * error)
            and -mean > best[0]
        ):
            best = (-mean, error)
    return best


def too_small(facts: Facts) -> bool:
    """Whether Σ A·z can show nothing: an update and noise look alike in so few tokens."""
    return facts.tokens < 500 or int((facts.size > 0).sum()) < 8


@once
def of_signs(facts: Facts) -> float:
    """`explained` where the tokens with A ≠ 0 are enough to believe it, 200 in 4 sequences; else 0."""
    enough = facts.sides[1].n + facts.sides[-1].n >= 200 and int((facts.size > 0).sum()) >= 4
    return explained(facts) if enough else 0.0


def clearly(facts: Facts, way: int = 1) -> bool:
    """Whether z goes so far with the sign of A, or against it (−1), that few sequences show it."""
    return way * of_signs(facts) >= (_OF_FEW if too_small(facts) else _CLEARLY)


def untold(facts: Facts) -> bool:
    """Whether neither Σ A·z nor z by the sign of A can tell an update from noise in so few tokens."""
    return too_small(facts) and (of_signs(facts) == 0 or abs(of_signs(facts)) >= _CLEARLY)


@once
def scaled(facts: Facts) -> float | None:
    """c where log π_θ = c · log π_old on every token, which no policy that sums to 1 gives; else None.

    Under a temperature each context takes its own −log of the new sum off: of z, log π_old alone then leaves a third or
    more. Here it leaves what an update does, which beside a factor of 1.1 or more is little.
    """
    zz, zx, xx = (sum(getattr(side, name) for side in facts.sides.values()) for name in ("zz", "zx", "xx"))
    if facts.tokens < 200 or not zz or not xx or zx**2 < _MULTIPLE * zz * xx or abs(zx / xx) < 0.1:
        return None
    return 1 + float(zx / xx)


@once
def temperature(facts: Facts) -> Temperature | None:
    """A temperature between the two log-probs, or None where they do not look so.

    With π_θ ∝ π_old^α in every context, z = (α − 1)·(log π_old + H) with H ≥ 0 the Rényi entropy of order α of
    that context, unknown here. So z falls on a line of slope α − 1 only where the context is sure of itself; else
    H takes off part of it, and a regression finds less. But z / log π_old = (α − 1)(1 − H/|log π_old|) is never
    beyond α − 1, and nears it for surprising tokens of sure contexts: the 5 % quantile (95 % for α > 1) of that
    quotient over the 2 % of tokens with the lowest log π_old is what is taken for α − 1. On simulated contexts of
    mixed entropy this gives α within 0.05 for α from 0.5 to 1.5. Surprising tokens all moving one way is a mark of
    its own: it is asked for where contexts of mixed entropy blur the line.
    """
    least = max(50, min(200, facts.tokens // 4))
    both = [facts.sides[sign] for sign in (-1, 0, 1) if facts.sides[sign].n >= least]
    if facts.tokens < 200 or not both:
        return None
    slopes = [side.slope for side in both]
    correlations = [side.correlation for side in both]
    if not np.isfinite(slopes + correlations).all():
        return None
    direction = np.sign(slopes[0])
    if min(direction * np.array(slopes)) < 0.03 or min(direction * np.array(correlations)) < 0.2:
        return None
    # An update moves the two signs of A apart; a temperature does not know A. A slope of few tokens is a rough one.
    if max(map(abs, slopes)) > (2 if least == 200 else 3) * min(map(abs, slopes)):
        return None
    z, old = facts.sample.T
    low = old < min(np.quantile(old, max(0.02, 11 / len(old))), -0.1)
    if low.sum() < 10:
        return None
    quotient = z[low] / old[low]
    one_way = float(np.mean(direction * quotient > 0))
    if one_way < (0.75 if min(direction * np.array(correlations)) >= 0.4 else 0.9):
        return None
    alpha = 1 + float(np.quantile(quotient, 0.95 if direction > 0 else 0.05))
    if not 0.3 <= alpha <= 3:
        return None
    weight = np.array([side.n for side in both])
    slope = float(weight @ slopes / weight.sum())
    return Temperature(alpha, slope, float(weight @ correlations / weight.sum()))


@once
def verdict(facts: Facts) -> Verdict:
    """Which cause the file shows for ratios that are far from 1, in the order of how little else leaves its marks."""
    k3 = steady_k3(facts)
    aligned = alignment(facts)
    with_advantage = f"Σ A·z is {aligned:+.1f} standard errors from 0"
    if shifted(facts).any():
        return Verdict("shifted", "second best, a temperature: it would leave z as large at every lag")
    if scaled(facts) is not None:
        return Verdict("scaled", "second best, a temperature: it would take the context's own sum off each token")
    if removed_mass(facts)[0]:
        return Verdict(
            "truncated_sampling",
            "second best, a temperature: it would raise the likely tokens and keep mean r at 1 or above",
        )
    found = temperature(facts)
    if found is not None:
        return Verdict(
            "temperature", f"second best, an update: it would move A > 0 and A < 0 apart, and {with_advantage}"
        )
    if facts.rollouts.same_weights:
        return Verdict(
            "engine_mismatch" if k3 > 1e-3 else "", "an update is ruled out: both sides have the same weights"
        )
    beside = explained(facts) < _EXPLAINED  # an update there may be; the ratios are something else's
    moved = clearly(facts)
    if k3 > 0.02 and (aligned >= 3 or moved) and not beside:
        return Verdict("moved_far", f"second best, a mismatch: it would not move with A, and {with_advantage}")
    if k3 > 1e-3 and abs(aligned) <= 3 and not moved:
        return Verdict("engine_mismatch", f"second best, an update: it would move with A, but {with_advantage}")
    if k3 > 0.01 and beside:
        share = f"its part in z is a correlation of {explained(facts):.2g}"
        return Verdict("engine_mismatch", f"second best, an update, which there is beside it: {share}")
    return Verdict("")
