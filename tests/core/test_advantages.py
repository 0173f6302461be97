"""Group-relative advantages, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from sapo_viz.core.advantages import advantages_of, group_advantages
from sapo_viz.errors import TensorError


def rows(*values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_one_success_in_four_weighs_three_times_its_failures() -> None:
    """R = 1,0,0,0: mean 1/4, squares 9/16 + 3/16 = 3/4, sample variance (3/4)/3 = 1/4, std 1/2.
    A = (3/4)/(1/2) = 3/2 and (−1/4)/(1/2) = −1/2, each over 1 + 2e-6 because of the 1e-6 beside the std."""
    got = group_advantages(rows([1, 0, 0, 0]))[0].tolist()
    assert got == pytest.approx([x / (1 + 2e-6) for x in (1.5, -0.5, -0.5, -0.5)], abs=1e-14)


def test_groups_do_not_see_each_other() -> None:
    """R = 2,4: mean 3, sample std √2, A = ∓1/√2; the group beside it: R = 10,30: std √200, A = ∓10/√200 = ∓1/√2."""
    got = group_advantages(rows([2, 4], [10, 30]))
    half = 1 / math.sqrt(2)
    # The 1e-6 beside a standard deviation of √2 takes 7e-7 off, beside √200 7e-8.
    expected = [[-half, half], [-half, half]]
    for row, wanted, std in zip(got.tolist(), expected, (math.sqrt(2), math.sqrt(200)), strict=True):
        assert row == pytest.approx([x / (1 + 1e-6 / std) for x in wanted], abs=1e-14)


def test_dr_grpo_only_takes_the_mean_off() -> None:
    assert group_advantages(rows([1, 0, 0, 0]), normalize_std=False).tolist() == [[0.75, -0.25, -0.25, -0.25]]


@pytest.mark.parametrize("normalize_std", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("reward", [0.0, 1.0, 0.1, -0.3, 1234.567, 1e6 + 0.1])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16])
def test_equal_rewards_carry_no_signal_at_all(
    size: int, reward: float, dtype: torch.dtype, normalize_std: bool
) -> None:
    """Exactly 0: the mean of equal floats is off by a rounding, which the division would blow up to order 1."""
    rewards = torch.full((1, size), reward, dtype=dtype)
    assert group_advantages(rewards, normalize_std=normalize_std).tolist() == [[0.0] * size]


def test_labels_make_the_groups_whatever_their_order_and_size() -> None:
    """a: R = 1,0 → ±(1/2)/(1/√2) = ±1/√2; b: R = 0,0,3 → mean 1, std √3, A = −1/√3, −1/√3, 2/√3; c alone: 0."""
    got = advantages_of([1.0, 0.0, 0.0, 5.0, 0.0, 3.0], ["a", "b", "a", "c", "b", "b"])
    a, b = 1 / (math.sqrt(2) + 2e-6), 1 / (math.sqrt(3) + 1e-6)
    assert got == pytest.approx([a, -b, -a, 0.0, -b, 2 * b], abs=1e-12)


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        (torch.ones(3), "rewards has shape [3]; it takes [prompts, completions]."),
        (torch.ones(1, 3, dtype=torch.int64), "rewards is torch.int64; it takes a floating-point tensor."),
        (torch.tensor([[0.0, math.nan]]), "rewards[0, 1] is nan; it takes finite numbers."),
        (torch.tensor([[0.0], [math.inf]]), "rewards[1, 0] is inf; it takes finite numbers."),
    ],
    ids=["one dimension", "whole numbers", "NaN", "Inf"],
)
def test_rewards_that_do_not_fit_are_named(rewards: torch.Tensor, message: str) -> None:
    with pytest.raises(TensorError) as error:
        group_advantages(rewards)
    assert str(error.value) == message


@pytest.mark.parametrize("normalize_std", [True, False])
def test_written_out_for_files_it_is_what_training_takes(normalize_std: bool) -> None:
    """`group_advantages` is the source of the expected numbers; rewards from a seed, groups of 1 to 12."""
    draw = torch.Generator().manual_seed(0)
    for size in range(1, 13):
        rewards = torch.randn(1, size, generator=draw, dtype=torch.float64) * 10 + 0.1
        got = advantages_of(rewards[0].tolist(), ["p"] * size, normalize_std=normalize_std)
        expected = group_advantages(rewards, normalize_std=normalize_std)[0].tolist()
        assert got == pytest.approx(expected, rel=1e-12, abs=1e-13)
