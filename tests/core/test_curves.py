"""The numbers worth showing, from DESIGN, each checked by computing; and the curves' closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from sapo_viz import Objective, make_objective, policy_loss
from sapo_viz.core.curves import Curve, curve


def sapo(tau: float) -> Objective:
    return make_objective("sapo", {"tau_pos": tau, "tau_neg": tau})


def weight(objective: Objective, ratio: float, advantage: float = 1.0) -> float:
    return at(objective, ratio, advantage).weight.item()


def at(objective: Objective, *ratios: float | torch.Tensor) -> Curve:
    *points, advantage = ratios
    return curve(objective, torch.tensor(points, dtype=torch.float64), float(advantage))


def test_sapo_at_1_2_keeps_99_percent() -> None:
    """DESIGN: w(1.2) = 0.990 at τ = 1. sech²(0.1) = 0.99007."""
    assert weight(sapo(1.0), 1.2) == pytest.approx(1 / math.cosh(0.1) ** 2, abs=1e-14)
    assert round(weight(sapo(1.0), 1.2), 3) == 0.990


@pytest.mark.parametrize("tau", [1.0, 1.05, 2.0, 10.0])
def test_half_and_nine_tenths_of_the_weight_lie_at_their_distances(tau: float) -> None:
    """DESIGN: w = 0.5 at |r−1| = 1.763/τ, 0.9 at 0.655/τ: 2·arcosh(√2) and 2·arcosh(√(10/9)).
    Below r = 1 as above, as long as that is above 0."""
    half, ninth = 2 * math.acosh(math.sqrt(2)), 2 * math.acosh(math.sqrt(10 / 9))
    assert round(half, 3) == 1.763 and round(ninth, 3) == 0.655
    for distance, wanted in ((half / tau, 0.5), (ninth / tau, 0.9)):
        for ratio in (1 + distance, 1 - distance):
            if ratio > 0:
                assert weight(sapo(tau), ratio) == pytest.approx(wanted, abs=1e-13)


@pytest.mark.parametrize(("tau", "largest", "where"), [(1.0, 1.575, 2.06), (10.0, 1.010, 1.02)])
def test_sapo_bounds_what_one_token_can_do(tau: float, largest: float, where: float) -> None:
    """DESIGN: max of r·w is 1.575 at r ≈ 2.06 (τ = 1) and 1.010 at 1.02 (τ = 10)."""
    ratio = torch.linspace(0.5, 6, 550_001, dtype=torch.float64)
    coefficient = curve(sapo(tau), ratio, -1.0).coefficient
    assert round(coefficient.max().item(), 3) == largest
    assert ratio[coefficient.argmax()].item() == pytest.approx(where, abs=5e-3)


def test_worked_case_gspo_drops_the_sequence_and_sapo_dims_one_token() -> None:
    """DESIGN: r = (1.02, 1.01, 0.99, 2.5), A > 0: s ≈ 1.26; GSPO drops all four, SAPO gives > 0.999 thrice and 0.60."""
    old = torch.full((1, 4), -2.0, dtype=torch.float64)
    new = old + torch.tensor([[1.02, 1.01, 0.99, 2.5]], dtype=torch.float64).log()
    advantage = torch.ones(1, dtype=torch.float64)

    gspo = policy_loss(make_objective("gspo"), new, old, advantage).tokens
    assert gspo.ratio[0].tolist() == pytest.approx([(1.02 * 1.01 * 0.99 * 2.5) ** 0.25] * 4, abs=1e-14)
    assert round(gspo.ratio[0, 0].item(), 2) == 1.26
    assert gspo.gate_weight[0].tolist() == [0.0] * 4

    weights = policy_loss(make_objective("sapo"), new, old, advantage).tokens.gate_weight[0].tolist()
    assert all(w > 0.999 for w in weights[:3])
    assert weights[3] == pytest.approx(1 / math.cosh(0.75) ** 2, abs=1e-14)
    assert round(weights[3], 2) == 0.60

    grpo = policy_loss(make_objective("grpo"), new, old, advantage).tokens.gate_weight[0].tolist()
    assert grpo == pytest.approx([1.0, 1.0, 1.0, 0.0], abs=1e-14)


def test_the_dimmer_damps_corrective_moves_which_the_switch_leaves_alone() -> None:
    """DESIGN: A > 0 and r < 1, A < 0 and r > 1 bring π back; GRPO keeps full weight there, without bound for A < 0."""
    grpo = make_objective("grpo")
    assert weight(grpo, 0.1, 1.0) == pytest.approx(1.0, abs=1e-14)
    assert at(grpo, 60.0, -1.0).coefficient.item() == pytest.approx(60.0, abs=1e-12)
    assert weight(sapo(1.0), 0.1, 1.0) == pytest.approx(1 / math.cosh(0.45) ** 2, abs=1e-14)
    assert at(sapo(1.05), 60.0, -1.0).coefficient.item() < 1e-20


def test_each_sign_has_its_own_temperature() -> None:
    objective = make_objective("sapo", {"tau_pos": 0.5, "tau_neg": 4.0})
    assert weight(objective, 1.5, 1.0) == pytest.approx(1 / math.cosh(0.125) ** 2, abs=1e-14)
    assert weight(objective, 1.5, -1.0) == pytest.approx(1 / math.cosh(1.0) ** 2, abs=1e-14)


def test_dual_clip_cuts_where_grpo_has_no_bound() -> None:
    dual = make_objective("dual_clip")
    assert [weight(dual, r, -1.0) for r in (2.99, 3.01)] == pytest.approx([1.0, 0.0], abs=1e-14)
    assert weight(dual, 1.5, 1.0) == 0.0


def test_dr_grpo_takes_rewards_less_the_mean_only() -> None:
    assert make_objective("dr_grpo").normalize_advantage_std is False
    assert make_objective("grpo").normalize_advantage_std is True


SURROGATES = {  # J at r, A = 1 and A = −1, from DESIGN's table with the default knobs
    "sapo": (lambda r: 4 / (1 + math.exp(-(r - 1))), lambda r: -4 / 1.05 / (1 + math.exp(-1.05 * (r - 1)))),
    "grpo": (lambda r: min(r, 1.2), lambda r: -max(r, 0.8)),
    "gspo": (lambda r: min(r, 1.0004), lambda r: -max(r, 0.9997)),
    "dapo": (lambda r: min(r, 1.28), lambda r: -max(r, 0.8)),
    "dr_grpo": (lambda r: min(r, 1.2), lambda r: -max(r, 0.8)),
    "dual_clip": (lambda r: min(r, 1.2), lambda r: -min(max(r, 0.8), 3.0)),
    "cispo": (lambda r: min(r, 5.0) * math.log(r), lambda r: -min(r, 5.0) * math.log(r)),
    "unclipped": (lambda r: r, lambda r: -r),
}


@pytest.mark.parametrize("ratio", [0.3, 0.9, 1.0, 1.1, 1.9, 4.0, 7.0])
@pytest.mark.parametrize("name", SURROGATES)
def test_the_drawn_surrogate_is_the_papers(name: str, ratio: float) -> None:
    for advantage, closed_form in zip((1.0, -1.0), SURROGATES[name], strict=True):
        drawn = at(make_objective(name), ratio, advantage)
        assert drawn.surrogate.item() == pytest.approx(closed_form(ratio), abs=1e-13)


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_a_curve_is_finite_from_1e_6_to_1e6(objective: Objective, advantage: float) -> None:
    drawn = curve(objective, torch.logspace(-6, 6, 200, dtype=torch.float64), advantage)
    for values in (drawn.surrogate, drawn.coefficient, drawn.weight):
        assert values.shape == (200,) and values.isfinite().all()


def test_a_toy_objective_has_curves_without_more_ado(toy_objective: type[Objective]) -> None:
    """c = r·(1 − tanh²(κ(r−1))) with κ = 2 at r = 1.5: 1.5·(1 − tanh²(1))."""
    drawn = at(make_objective("toy"), 1.5, 1.0)
    assert drawn.coefficient.item() == pytest.approx(1.5 * (1 - math.tanh(1.0) ** 2), abs=1e-14)


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.nan, math.inf])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    from sapo_viz.errors import TensorError

    with pytest.raises(TensorError, match=rf"ratio\[1\] is {ratio}; it takes finite numbers above 0"):
        curve(sapo(1.0), torch.tensor([1.0, ratio]), 1.0)
