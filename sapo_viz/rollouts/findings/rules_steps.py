"""Rules about what changes from step to step, in files that hold several."""

from __future__ import annotations

import numpy as np

from sapo_viz.rollouts.analysis.facts import Facts
from sapo_viz.rollouts.analysis.over_steps import ORDERS, as_clear, by_step, parted
from sapo_viz.rollouts.findings.causes import verdict
from sapo_viz.rollouts.findings.rule import Found, rule
from sapo_viz.rollouts.once import once

_CHANCE = 1 / 250  # orders of the prompts that may show as much


def _moved(
    facts: Facts, sums: np.ndarray, counts: np.ndarray, factor: float, apart: float = np.inf
) -> tuple[int, str, float] | None:
    """From which step on the mean lies beyond `factor` times that of the first steps: (step, words, quotient).

    As clearly as few orders of the prompts do, or with each prompt at `apart` times each one before.
    """
    if len(set(facts.rollouts.steps) - {None}) < 3:
        return None
    steps, means = by_step(facts.rollouts, sums, counts)
    if len(steps) < 3:
        return None
    ends = max(1, len(steps) // 8)
    first, last = float(means[:ends].mean()), float(means[-ends:].mean())
    quotient = last / max(first, 1e-300)
    if (quotient < factor) == (factor > 1):
        return None
    orders = as_clear(facts.rollouts, sums, counts, 1 if factor > 1 else -1)
    if orders > _CHANCE * ORDERS and not parted(facts.rollouts, sums, counts, apart):
        return None
    # The change begins at the first step from which on all lie beyond the middle of a small change: its square root.
    edge = first * np.sqrt(min(factor, 1.5) if factor > 1 else factor)
    beyond = means > edge if factor > 1 else means < edge
    start = len(steps) - int(np.argmin(np.append(beyond[::-1], False)))
    step = int(steps[min(start, len(steps) - 1)])
    said = f"{first:.3g} at first, {last:.3g} at last, from step {step} on"
    return step, f"{said}; as clear in {orders:,} of {ORDERS:,} orders of the prompts", quotient


def _from(facts: Facts, step: int) -> tuple[int, ...]:
    return tuple(i for i, own in enumerate(facts.rollouts.steps) if own is not None and own >= step)[:8]


@once
def growth(facts: Facts) -> tuple[int, str, float] | None:
    """Of k3, from which step on; None where it does not grow, or something else than weights explains it."""
    if verdict(facts).cause in ("shifted", "scaled", "truncated_sampling", "temperature"):
        return None
    found = _moved(facts, facts.plain_k3, facts.plain, 4.0, apart=2.0)
    grown = found is not None and by_step(facts.rollouts, facts.plain_k3, facts.plain)[1][-1] >= 1e-3
    return found if grown else None


@rule(
    "entropy_falls",
    "Entropy falls from step to step",
    threshold="over 3 steps or more, the mean of −log π_old ends at half of what it was or less, and of 2,000 "
    "orders of the prompts over the steps at most 8 fall as clearly (along a line, or at one cut).",
    reason="the mean of −log π over sampled tokens estimates the policy's entropy. Below half there is little left to "
    "explore: groups agree, their advantages vanish, and what follows is noise (DAPO, arXiv 2503.14476). Eight prompts "
    "can show it where they are alike; where their own entropies differ by half, most falls of so few stay unseen.",
    remedy="See which sign of A drives it: a larger clip above (ε_high), less weight on likely tokens with A > 0, an "
    "entropy or KL term, a fresh pool of prompts.",
    severities=("warning",),
)
def entropy_falls(facts: Facts) -> Found | None:
    found = _moved(facts, -facts.sum_old, facts.counts, 0.5)
    if found is None:
        return None
    step, words, quotient = found
    return Found("warning", quotient, f"mean −log π_old: {words}", _from(facts, step))


@rule(
    "length_drifts",
    "Answers grow or shrink from step to step",
    threshold="over 3 steps or more, the mean number of response tokens ends at twice what it was or more, or at half "
    "or less, and of 2,000 orders of the prompts over the steps at most 8 rise or fall as clearly.",
    reason="length is what policies learn first when the objective pays for it: a mean over a sequence's tokens makes "
    "long wrong answers cheap (arXiv 2503.20783), a reward that can be had in three tokens makes them short.",
    remedy="Read answers of the last step beside those of the first; compare their rewards. Change the aggregation "
    "(token-mean), or the reward.",
    severities=("warning",),
)
def length_drifts(facts: Facts) -> Found | None:
    counts = facts.counts.astype(np.float64)
    for factor in (2.0, 0.5):
        found = _moved(facts, counts, (counts > 0).astype(np.float64), factor)
        if found is not None:
            return Found("warning", found[2], f"tokens an answer: {found[1]}", _from(facts, found[0]))
    return None


@rule(
    "mismatch_grows",
    "The two policies drift apart from step to step",
    threshold="over 3 steps or more, k3 a token ends above 1e-3 and at 4 times what it was or more, and of 2,000 "
    "orders of the prompts over the steps at most 8 rise as clearly; or each prompt from a step on has twice the k3 of "
    "each one before, at least 4 on each side.",
    reason="the distance between sampler and trainer is the same at each step, unless weights stop reaching the "
    "sampler (or one of both runs away): then it grows with each update.",
    remedy="Look at what happened at that step: a sync that was skipped, a sleeping engine that woke with old weights, "
    "a checkpoint, a learning rate at its peak.",
    severities=("problem",),
)
def mismatch_grows(facts: Facts) -> Found | None:
    found = growth(facts)
    if found is None:
        return None
    return Found("problem", found[2], f"k3: {found[1]}", _from(facts, found[0]))
