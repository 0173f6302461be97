"""The group view: rewards and advantages of a prompt's completions, and which recipe made the advantages."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sapo_viz import CATALOG
from sapo_viz.core.advantages import advantages_of
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.analysis.groups import RECIPES, completion_table, group_table, normalisation, recomputed
from tests.rollouts.made import rollouts

CALM = rollouts()
REWARDS = np.random.default_rng(2).normal(size=64)  # rewards of many values: no two recipes agree on them


def made_by(values: np.ndarray) -> object:
    return rollouts(rewards=tuple(REWARDS.tolist()), advantages=np.repeat(values, CALM.lengths))


def by_group(of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.concatenate([of(group) for group in REWARDS.reshape(8, 8)])


MADE = {
    "std": by_group(lambda r: (r - r.mean()) / r.std(ddof=1)),
    "std_population": by_group(lambda r: (r - r.mean()) / r.std()),
    "mean": by_group(lambda r: r - r.mean()),
    "leave_one_out": by_group(lambda r: np.array([r[i] - np.delete(r, i).mean() for i in range(8)])),
    "batch_std": by_group(lambda r: r - r.mean()) / REWARDS.std(ddof=1),
    "batch": (REWARDS - REWARDS.mean()) / REWARDS.std(ddof=1),
    "reward": REWARDS,
}


def test_every_recipe_is_made_here() -> None:
    assert set(MADE) == set(RECIPES)


@pytest.mark.parametrize("name", MADE)
def test_a_recipe_is_recognised(name: str) -> None:
    found = normalisation(made_by(MADE[name]))  # type: ignore[arg-type]
    assert found.recipe == name and found.explained == 1 and not len(found.differ)
    assert RECIPES[name].formula in found.sentence and "64 of 64" in found.sentence


def test_completions_that_differ_are_named() -> None:
    values = MADE["std"].copy()
    values[[3, 40]] += 0.3
    found = normalisation(made_by(values))  # type: ignore[arg-type]
    assert found.recipe == "std" and found.differ.tolist() == [3, 40]


def test_no_recipe_is_claimed_for_anything_else() -> None:
    found = normalisation(made_by(np.sin(np.arange(64.0))))  # type: ignore[arg-type]
    assert found.recipe is None and "No known recipe" in found.sentence


def test_the_first_recipe_is_that_of_the_core() -> None:
    known, values = recomputed(CALM)
    expected = advantages_of([CALM.rewards[i] for i in known], [CALM.groups[i] for i in known])  # type: ignore[misc]
    assert np.allclose(values["std"], expected, atol=1e-12)
    mean = advantages_of([CALM.rewards[i] for i in known], [CALM.groups[i] for i in known], normalize_std=False)  # type: ignore[misc]
    assert np.allclose(values["mean"], mean, atol=1e-12)


def test_a_group_without_spread_has_advantage_0_and_not_a_rounding() -> None:
    rewards = tuple([0.1] * 8 + list(CALM.rewards[8:]))
    _, values = recomputed(rollouts(rewards=rewards))
    assert (values["std"][:8] == 0).all()


def test_one_row_a_group() -> None:
    rewards = np.array(CALM.rewards)
    rewards[:8], rewards[8:16] = 0, 1
    analysis = analyse(rollouts(rewards=tuple(rewards.tolist())), {"sapo": CATALOG["sapo"]()})
    frame = group_table(analysis.rollouts, analysis)
    assert frame["spread"].tolist() == ["all lowest", "all highest"] + ["mixed"] * 6
    assert frame["completions"].tolist() == [8] * 8 and frame["first"].tolist() == list(range(0, 64, 8))
    part = slice(CALM.offsets[16], CALM.offsets[24])
    size, weight = np.abs(CALM.advantages[part]), analysis.tokens["sapo"].weight[part]
    assert frame["kept_sapo"][2] == pytest.approx((size * weight).sum() / size.sum())


def test_prompts_that_are_numbered_anew_each_step_are_different_groups() -> None:
    again = rollouts(groups=tuple(str(i // 8 % 4) for i in range(64)), steps=tuple(i // 32 for i in range(64)))
    frame = group_table(again)
    assert len(frame) == 8 and frame["step"].tolist() == [0] * 4 + [1] * 4


def test_one_row_a_completion() -> None:
    frame = completion_table(CALM, 10, analyse(CALM, {"grpo": CATALOG["grpo"]()}))
    assert sorted(frame["sequence"]) == list(range(8, 16))
    assert frame["reward"].is_monotonic_decreasing and np.allclose(frame["advantage"], frame["advantage_std"])
    assert {"log_s", "kept_grpo"} <= set(frame)


def test_without_groups_there_is_nothing_to_see() -> None:
    data = rollouts(groups=(None,) * 64)
    assert len(group_table(data)) == 0 and "cannot be seen" in normalisation(data).sentence
