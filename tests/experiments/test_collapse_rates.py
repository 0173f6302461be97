"""How often the rule of collapse is wrong: false alarms on policies that do not change, misses on those that fall.

Rewards are 0 or 1. Prompts differ in how hard they are: beta, afresh in each step, so that two completions of one
prompt correlate by ρ. Seeds are fixed, so every count here is always the same.
"""

from __future__ import annotations

import numpy as np
import pytest

from sapo_viz.experiments.collapse import RolloutSize, find_collapse

RUNS = 300
STEPS = 40


def rewards(rates: np.ndarray, rho: float, of: RolloutSize, chance: np.random.Generator) -> list[float]:
    """A step's mean reward for each of `rates`."""
    spread = (1 - rho) / rho
    hard = chance.beta(*(np.repeat(np.maximum(p * spread, 1e-9)[:, None], of.prompts, 1) for p in (rates, 1 - rates)))
    means: np.ndarray = chance.binomial(of.completions, hard).mean(1) / of.completions
    return [float(mean) for mean in means]


def found(rates: np.ndarray, rho: float, of: RolloutSize, seed: int) -> int:
    """In how many of `RUNS` runs with these rates, step by step, a collapse is seen."""
    chance = np.random.default_rng(seed)
    count = 0
    for _ in range(RUNS):
        steps = enumerate(rewards(rates, rho, of, chance), 1)
        metrics = [{"type": "step", "step": n, "metrics": {"reward": r, "entropy": 0.2}} for n, r in steps]
        count += find_collapse([*metrics, {"type": "finished", "step": len(rates)}], of) is not None
    return count


@pytest.mark.parametrize("of", [RolloutSize(16, 16), RolloutSize(8, 8), RolloutSize(4, 16)], ids=str)
@pytest.mark.parametrize("rho", [0.03, 0.15, 0.4])
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_a_policy_that_does_not_change_is_hardly_ever_said_to_collapse(
    of: RolloutSize, rho: float, rate: float
) -> None:
    """At most 1 % of 300 runs."""
    assert found(np.full(STEPS, rate), rho, of, seed=int(1000 * rate)) <= 3


@pytest.mark.parametrize("of", [RolloutSize(16, 16), RolloutSize(8, 8)], ids=str)
@pytest.mark.parametrize("rho", [0.03, 0.15])
@pytest.mark.parametrize(("before", "after"), [(0.1, 0.0), (0.25, 0.0), (0.5, 0.1), (0.8, 0.1), (0.8, 0.3)])
@pytest.mark.parametrize("shape", ["at once", "in ten steps"])
def test_a_policy_that_falls_is_hardly_ever_missed(
    of: RolloutSize, rho: float, before: float, after: float, shape: str
) -> None:
    """At most 2 % of 300 runs, for a fall in the middle of a run to less than half."""
    rates = np.full(STEPS, before)
    rates[20:] = after
    if shape == "in ten steps":
        rates[15:25] = np.linspace(before, after, 10)
    assert found(rates, rho, of, seed=3) >= 0.98 * RUNS


@pytest.mark.parametrize("mean", [-0.5, -0.1, 0.0, 0.05, 0.2, 0.6])
def test_rewards_from_minus_1_to_1_that_do_not_change_are_hardly_ever_said_to_collapse(mean: float) -> None:
    """Scores of short sentences, few of them: normal with the spread that SmolLM2's have, those of one prompt alike by
    a third. At most 1 % of 300 runs of 10 steps and of 300 of 40."""
    chance, of = np.random.default_rng(7), RolloutSize(4, 4)
    for steps in (10, 40):
        alarms = 0
        for _ in range(RUNS):
            alike = 0.25 * chance.standard_normal((steps, 4, 1)) + 0.35 * chance.standard_normal((steps, 4, 4))
            scores = np.clip(mean + alike, -1, 1).mean((1, 2))
            events = [{"type": "step", "step": n, "metrics": {"reward": float(r), "entropy": 2.0}}
                      for n, r in enumerate(scores, 1)]  # fmt: skip
            alarms += find_collapse([*events, {"type": "finished", "step": steps}], of) is not None
        assert alarms <= 3


def test_a_pleasant_policy_that_turns_unpleasant_is_seen_to_collapse() -> None:
    """0.9 for 20 steps of 16 sentences, then −0.3."""
    rewards_ = [0.9] * 20 + [-0.3] * 10
    events = [{"type": "step", "step": n, "metrics": {"reward": r, "entropy": 2.0}} for n, r in enumerate(rewards_, 1)]
    found_ = find_collapse(events, RolloutSize(4, 4))
    assert found_ is not None and found_.kind == "reward"
