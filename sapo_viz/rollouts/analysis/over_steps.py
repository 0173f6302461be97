"""How a file runs along its steps and along its sequences, and how surely it changes, with whole prompts as units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sapo_viz.rollouts.analysis.facts import Facts
from sapo_viz.rollouts.once import once
from sapo_viz.rollouts.schema import Rollouts

ORDERS = 2_000  # of the prompts, the file's own among them
_UNITS = 4_096  # prompts that are put into other orders; of more a seeded choice
_BLOCK = 1 << 20  # prompts × orders at a time
_SIDE = 4  # prompts before a cut and after it


def by_step(rollouts: Rollouts, sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ sums / Σ counts of each step, in their order: (steps [S], means [S])."""
    steps = _steps(rollouts)
    known = np.isfinite(steps) & (counts > 0)
    kinds, label = np.unique(steps[known], return_inverse=True)
    return kinds.astype(np.int64), np.bincount(label, sums[known]) / np.bincount(label, counts[known])


def as_clear(rollouts: Rollouts, sums: np.ndarray, counts: np.ndarray, way: int) -> int:
    """In how many of `ORDERS` orders the prompts rise (way 1) or fall (−1) along the steps as clearly as in their own.

    A permutation test on the logarithm of each prompt's Σ sums / Σ counts. How clearly: by a line along the steps or by
    a cut between two of them, whichever shows most. How prompts spread is not assumed, so that eight are worth no more
    than eight, and those that differ much hide what a few would show. All orders where there is one step only.
    """
    when, mean = _of_prompts(rollouts, sums, counts)
    generator = np.random.default_rng(0)
    if len(when) > _UNITS:
        chosen = np.sort(generator.permutation(len(when))[:_UNITS])
        when, mean = when[chosen], mean[chosen]
    cuts = np.flatnonzero(np.diff(when)) + 1
    if not len(cuts):
        return ORDERS
    contrasts = np.vstack((when, np.arange(len(when)) >= cuts[:, None]))
    contrasts -= contrasts.mean(1, keepdims=True)
    contrasts *= way / np.linalg.norm(contrasts, axis=1, keepdims=True)
    height = np.log(np.maximum(mean, 1e-3 * mean.mean() + 1e-300))  # a first step may have a k3 of 0
    own, found = float((contrasts @ height).max()), 1
    rows = max(1, _BLOCK // len(height))
    for start in range(1, ORDERS, rows):
        orders = generator.permuted(np.tile(height, (min(rows, ORDERS - start), 1)), axis=1)
        found += int(np.count_nonzero((orders @ contrasts.T).max(1) >= own - 1e-12))
    return found


def parted(rollouts: Rollouts, sums: np.ndarray, counts: np.ndarray, factor: float) -> bool:
    """Whether from some step on each prompt's Σ sums / Σ counts is at least `factor` times each one before it.

    Eight prompts have only 70 orders over two halves, too few for `as_clear` to be sure of a jump that anyone can see.
    """
    when, mean = _of_prompts(rollouts, sums, counts)
    cuts = np.flatnonzero(np.diff(when)) + 1
    cuts = cuts[(cuts >= _SIDE) & (cuts <= len(when) - _SIDE)]
    before, after = np.maximum.accumulate(mean), np.minimum.accumulate(mean[::-1])[::-1]
    return bool((after[cuts] >= factor * before[cuts - 1]).any())


def _of_prompts(rollouts: Rollouts, sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The step of each prompt [U], in order, and its Σ sums / Σ counts. [U]"""
    steps = _steps(rollouts)
    known = np.flatnonzero(np.isfinite(steps) & (counts > 0))
    kinds, first, label = np.unique(_units(rollouts)[known], return_index=True, return_inverse=True)
    mean = np.bincount(label, sums[known], len(kinds)) / np.bincount(label, counts[known], len(kinds))
    when = steps[known][first]
    order = np.argsort(when, kind="stable")
    return when[order], mean[order]


@once
def _units(rollouts: Rollouts) -> np.ndarray:
    """[N] the prompt at a step that each sequence belongs to, in the order in which they come first."""
    numbers: dict[tuple[str | int, float | None], int] = {}
    labels = enumerate(zip(rollouts.groups, rollouts.prompts, rollouts.steps, strict=True))
    return np.array(
        [numbers.setdefault((_unit(group, prompt, i), step), len(numbers)) for i, (group, prompt, step) in labels]
    )


@once
def _steps(rollouts: Rollouts) -> np.ndarray:
    return np.array([np.nan if step is None else step for step in rollouts.steps], dtype=np.float64)


def _unit(group: str | None, prompt: str | None, index: int) -> str | int:
    own = group if group is not None else prompt
    return index if own is None else own  # without prompts each sequence stands for itself


@dataclass(frozen=True)
class Course:
    """How a file's numbers run along its sequences and along its steps; `steps` is empty where it holds one or none."""

    first: np.ndarray  # [P] the first token of each stretch: 1, 2, 4, 8, … counted from 1
    k3_at: np.ndarray  # [P] k3 a token there
    tokens_at: np.ndarray  # [P]
    steps: np.ndarray  # [S]
    k3: np.ndarray  # [S] a token, without fillers and ratios beyond the clamp
    entropy: np.ndarray  # [S] mean of −log π_old
    length: np.ndarray  # [S] mean of the response tokens


def course(facts: Facts) -> Course:
    """Along places and along steps."""
    have = facts.positions[:, 1] > 0
    sums, tokens = facts.positions[have].T
    rollouts = facts.rollouts
    some = (facts.plain > 0) & (facts.counts > 0)
    counts = np.where(some, facts.counts, 0)
    series = [
        by_step(rollouts, of, over)
        for of, over in (
            (facts.plain_k3, np.where(some, facts.plain, 0)), (-facts.sum_old, counts), (counts, some.astype(np.int64))
        )
    ]  # fmt: skip
    steps = series[0][0] if len(series[0][0]) > 1 else np.zeros(0, np.int64)
    k3, entropy, length = (values[: len(steps)] for _, values in series)
    return Course(2 ** np.flatnonzero(have), sums / tokens, tokens, steps, k3, entropy, length)
