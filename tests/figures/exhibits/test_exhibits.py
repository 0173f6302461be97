"""What the exhibits claim, checked in Python: the worked case, D_i and its bound, and where the logit's push lands."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sapo_viz import CATALOG, make_objective
from sapo_viz.core.curves import curve
from sapo_viz.core.token_view import token_view
from sapo_viz.figures.exhibits import asymmetry as exhibits_asymmetry
from sapo_viz.figures.exhibits import coherence as exhibits_coherence
from sapo_viz.figures.exhibits import outlier as exhibits_outlier
from sapo_viz.rollouts.readers.read import parse_rollouts


def view(name: str, ratios: list[float], sign: float, knobs: dict[str, float] | None = None) -> tuple[list[float], int]:
    """Weights of one sequence's tokens through the training path, and how many tokens have a gradient."""
    z = torch.tensor(ratios, dtype=torch.float64).log()[None]
    old = torch.full_like(z, -3.0)
    mask = torch.ones_like(z, dtype=torch.bool)
    out = token_view(make_objective(name, knobs), old + z, old, torch.full_like(z, sign), mask)
    return out.gate_weight[0].tolist(), int((out.coefficient != 0).sum())


def test_the_worked_case_is_that_of_the_design() -> None:
    ratios = list(exhibits_outlier.WORKED)
    assert np.exp(np.log(ratios).mean()) == pytest.approx(1.26, abs=0.005)
    assert view("gspo", ratios, 1.0)[1] == 0
    assert view("grpo", ratios, 1.0)[1] == 3
    sapo, alive = view("sapo", ratios, 1.0)
    assert alive == 4 and min(sapo[:3]) > 0.999 and round(sapo[3], 2) == 0.60


@pytest.mark.parametrize(("case", "gspo"), [("worked", 0), ("negative", 4), ("wide", 4), ("long", 2400), ("below", 4)])
def test_each_case_does_to_gspo_what_its_button_says(case: str, gspo: int) -> None:
    made = exhibits_outlier.cases(exhibits_outlier.USUAL_OBJECTIVES)[case]
    ratios = made["ratios"] + [1.0] * made["more"]
    assert view("gspo", ratios, made["sign"], made["knobs"]["gspo"])[1] == gspo


def test_one_tokens_formula_at_its_level_is_what_each_token_of_a_sequence_receives() -> None:
    """The rule by which an objective is offered. GMPO clips before it averages: the browser has its two halves."""
    ratios = [0.9, 1.2, 1.02, 0.8]
    z = np.log(ratios)
    offered = [name for name in CATALOG if exhibits_outlier.can_be_shown(name)]
    assert offered == [name for name, cls in CATALOG.items() if not cls.reads_batch]
    for name in offered:
        level = {"token": z, "sequence": np.full(4, z.mean()), "sequence-product": np.full(4, z.sum())}
        for sign in (1.0, -1.0):
            knobs = {"eps_low": 0.15, "eps_high": 0.15} if name == "gmpo" else None
            at = torch.tensor(np.exp(level[CATALOG[name].ratio_level]))
            alone = curve(make_objective(name, knobs), at, sign, old_logprob=-3.0).weight
            same = alone.tolist() == pytest.approx(view(name, ratios, sign, knobs)[0], rel=1e-9)
            assert same is not (name == "gmpo"), name


def test_a_product_of_ratios_that_carries_the_gradient_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CATALOG["vespo"], "reads_logprobs", False)
    assert not exhibits_outlier.can_be_shown("vespo")


def distances(z: np.ndarray, tau: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """D_i of the gate in z, D_i of the trained gate, and the bound. [B, T] -> [B] each"""
    gate = lambda x: 1 / np.cosh(np.clip(tau * x / 2, -300, 300)) ** 2  # noqa: E731
    objective = make_objective("sapo", {"tau_pos": tau})
    mean = z.mean(1)

    def trained(x: np.ndarray) -> np.ndarray:
        return curve(objective, torch.tensor(np.exp(x).ravel()), 1.0).weight.numpy().reshape(x.shape)

    in_z = np.abs(gate(z).mean(1) - gate(mean))
    in_r = np.abs(trained(z).mean(1) - trained(mean))
    return in_z, in_r, tau**2 / 4 * z.var(1)


@pytest.mark.parametrize("tau", [0.1, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("spread", [0.02, 0.3, 2.0])
def test_the_bound_holds_for_the_gate_in_log_r(tau: float, spread: float) -> None:
    random = np.random.default_rng(0)
    z = random.normal(size=(400, 1)) * spread + random.standard_t(3, size=(400, 16)) * spread / np.sqrt(3)
    in_z, _in_r, bound = distances(z, tau)
    assert (in_z <= bound * (1 + 1e-9) + 1e-14).all()


def test_the_trained_gate_exceeds_the_bound_by_almost_three() -> None:
    random = np.random.default_rng(0)
    z = random.normal(size=(4000, 1)) * 0.7 + random.normal(size=(4000, 64)) * 0.1
    _in_z, in_r, bound = distances(z, 1.0)
    assert 0.3 < (in_r > bound).mean() < 0.6
    assert 2.7 < (in_r / bound).max() < 3.0


def test_the_gentle_case_says_what_is_there() -> None:
    """D_i at most about 0.02 under both gates; the line crossed by some under the trained one only."""
    numbers = exhibits_coherence.cases(file=False)["gentle"]["numbers"]
    random = np.random.default_rng(1)
    shape = (numbers["sequences"], numbers["length"])
    z = numbers["between"] * random.normal(size=(shape[0], 1)) + numbers["within"] * random.normal(size=shape)
    in_z, in_r, bound = distances(z, numbers["tau"])
    assert max(in_z.max(), in_r.max()) < 0.025
    assert not (in_z > bound).any() and (in_r > bound).any()


def test_a_files_response_tokens_are_taken_sequence_by_sequence() -> None:
    line = '{"id": "a", "tokens": ["p", "x", "y"], "logprobs": [-9, -1, -2], "old_logprobs": [-1, -1.5, -1], '
    rollouts = parse_rollouts((line + '"advantage": 1, "mask": [0, 1, 1]}\n').encode(), "one.jsonl")
    data = exhibits_coherence.file_data(rollouts)
    assert data["z"] == [0.5, -1.0] and data["starts"] == [0, 2] and data["ids"] == ["a"]


@pytest.mark.parametrize("vocabulary", [32, 1000])
def test_the_push_on_unsampled_tokens_adds_up_to_that_on_the_sampled_one(vocabulary: int) -> None:
    """∂ log π(y)/∂ logits sums to 0, so the total on the others is 1 − π(y), whatever the vocabulary."""
    p = exhibits_asymmetry.CONTROLS["p"].default
    others = torch.arange(1, vocabulary, dtype=torch.float64) ** -1.0
    logits = torch.cat([torch.tensor([p]), (1 - p) * others / others.sum()]).log().requires_grad_()
    (-logits.log_softmax(0)[0]).backward()
    assert logits.grad is not None
    assert logits.grad[1:].sum().item() == pytest.approx(1 - p) and (logits.grad[1:] > 0).all()


def test_the_papers_tau_neg_takes_a_tenth_of_a_per_cent_at_1_2_and_a_few_at_2_5() -> None:
    def change(ratio: float) -> float:
        at = torch.tensor([ratio], dtype=torch.float64)
        weights = [curve(make_objective("sapo", {"tau_neg": tau}), at, -1.0).weight.item() for tau in (1.0, 1.05)]
        return weights[1] / weights[0] - 1

    assert change(1.2) == pytest.approx(-0.001, abs=1e-4)
    assert -0.06 < change(2.5) < -0.03
    assert change(1.0) == 0
