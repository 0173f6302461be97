"""How a file runs along its steps and along its sequences, and where it changes most, with whole prompts as units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sapo_viz.rollouts.analysis.facts import Facts
from sapo_viz.rollouts.once import once
from sapo_viz.rollouts.schema import Rollouts

_UNITS = 4  # prompts on each side of a change; fewer have no spread that could be trusted


@dataclass(frozen=True)
class Change:
    """The cut between steps that parts the units most surely."""

    step: int  # the first step after it
    before: float
    after: float
    errors: float  # the difference in standard errors (Welch)


def by_step(rollouts: Rollouts, sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ sums / Σ counts of each step, in their order: (steps [S], means [S])."""
    steps = _steps(rollouts)
    known = np.isfinite(steps) & (counts > 0)
    kinds, label = np.unique(steps[known], return_inverse=True)
    return kinds.astype(np.int64), np.bincount(label, sums[known]) / np.bincount(label, counts[known])


def change(rollouts: Rollouts, sums: np.ndarray, counts: np.ndarray) -> Change | None:
    """Where Σ sums / Σ counts of a prompt changes most surely; None with fewer than 2 steps or 8 prompts."""
    when, mean = _of_prompts(rollouts, sums, counts)
    count = len(when)
    if count < 2 * _UNITS:
        return None
    best = None
    for cut in np.flatnonzero(np.diff(when)) + 1:
        if min(cut, count - cut) < _UNITS:
            continue
        a, b = mean[:cut], mean[cut:]
        error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        found = Change(
            int(when[cut]), float(a.mean()), float(b.mean()), float((b.mean() - a.mean()) / max(error, 1e-300))
        )
        if best is None or abs(found.errors) > abs(best.errors):
            best = found
    return best


def trend(rollouts: Rollouts, sums: np.ndarray, counts: np.ndarray) -> float:
    """How surely the logarithm of a prompt's Σ sums / Σ counts rises or falls in a line along the steps.

    The line's slope in standard errors, as a normal variable has them: Student's t with n − 2 degrees of freedom, by
    Wallace's transformation (1959), so that eight prompts are worth no more than eight. A steady fall of a small file
    is seen so, in which each half has a spread of its own. 0 with fewer than 8 prompts or 4 steps.
    """
    when, mean = _of_prompts(rollouts, sums, counts)
    free = len(when) - 2
    if len(when) < 2 * _UNITS or len(set(when.tolist())) < _UNITS or not (mean > 0).all():
        return 0.0
    x, y = when - when.mean(), np.log(mean)
    slope = float(x @ y / (x @ x))
    rest = y - y.mean() - slope * x
    t = slope / max(float(np.sqrt(rest @ rest / free / (x @ x))), 1e-300)
    return float(np.sign(t) * (8 * free + 1) / (8 * free + 3) * np.sqrt(free * np.log1p(t * t / free)))


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
    pairs = enumerate(zip(rollouts.groups, rollouts.steps, strict=True))
    return np.array([numbers.setdefault((_unit(group, i), step), len(numbers)) for i, (group, step) in pairs])


@once
def _steps(rollouts: Rollouts) -> np.ndarray:
    return np.array([np.nan if step is None else step for step in rollouts.steps], dtype=np.float64)


def _unit(group: str | None, index: int) -> str | int:
    return index if group is None else group  # without prompts each sequence stands for itself


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
