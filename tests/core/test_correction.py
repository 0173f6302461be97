"""Weights for a sampler that is not the trainer, against TRL's and verl's own code (make_correction_golden)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sapo_viz import CATALOG, Correction, policy_loss
from sapo_viz.core.correction import CHOICES, correction_of
from sapo_viz.core.correction_choices import USUAL
from sapo_viz.errors import TensorError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "corrections.json").read_text())


def tensor(rows: list[list[float | None]]) -> Tensor:
    return torch.tensor([[math.nan if x is None else x for x in row] for row in rows], dtype=torch.float64)


OLD, SAMPLER, MASK = (tensor(GOLDEN["batch"][name]) for name in ("old", "sampler", "mask"))
MASK = MASK.bool()


@pytest.mark.parametrize("key", GOLDEN["refs"])
def test_the_weights_are_those_of_the_frameworks(key: str) -> None:
    """To 1e-12: the same few operations in float64."""
    _, mode, low, high, *gap = key.split(":")
    level, how = mode.rsplit("_", 1)
    correction = Correction({"token": "token", "sequence": "sequence-sum"}[level], how, float(low), float(high))  # type: ignore[arg-type]
    sampler = tensor(GOLDEN["batch"]["sampler_with_gap"]) if gap else SAMPLER
    weights = correction.weights(OLD, sampler, MASK)
    assert weights.tolist() == [pytest.approx(row, abs=1e-12) for row in GOLDEN["refs"][key]]


def test_trls_default_drops_a_long_answer_whose_tokens_are_all_near() -> None:
    """0.02 nats a token: ρ = e^(0.02·T) passes 3 at T = 55, though every token's own ρ is 1.02. The mean sees none."""
    old, mask = torch.full((2, 60), -1.0), torch.ones(2, 60, dtype=torch.bool)
    mask[0, 50:] = False
    sampler = old - 0.02
    dropped = Correction("sequence-sum", "mask", high=3.0).weights(old, sampler, mask)
    assert dropped[0, 0] == pytest.approx(math.exp(1.0), rel=1e-6) and dropped[1].eq(0).all()
    kept = Correction("sequence-mean", "mask", high=3.0).weights(old, sampler, mask)
    assert kept[1].tolist() == pytest.approx([math.exp(0.02)] * 60, rel=1e-6)


@pytest.mark.parametrize("name", ["sapo", "grpo", "gspo", "cispo", "dapo"])
def test_the_weight_multiplies_the_surrogate_and_nothing_else(name: str) -> None:
    """By hand: −Σ ρ·J over what the objective divides by; no gradient reaches the sampler's or the old log-probs."""
    draw = torch.Generator().manual_seed(3)
    new = (OLD + 0.3 * torch.randn(5, 6, generator=draw, dtype=torch.float64)).requires_grad_()
    old, sampler = OLD.clone().requires_grad_(), SAMPLER.clone().requires_grad_()
    advantages = torch.tensor([1.0, -1.0, 2.0, 0.5, -0.5], dtype=torch.float64)
    correction = Correction("token", "truncate", 0.5, 2.0)
    objective = CATALOG[name]()
    out = policy_loss(objective, new, old, advantages, MASK, sampler_logprobs=sampler, correction=correction,
                      aggregation="token-mean")  # fmt: skip
    out.loss.backward()
    assert old.grad is None and sampler.grad is None and out.correction is not None
    weights = correction.weights(OLD, SAMPLER, MASK)
    total = 0.0
    for row, column in MASK.nonzero().tolist():
        one = torch.zeros_like(MASK)
        one[row, column] = True
        # Its J alone: a loss in which every other advantage is 0.
        alone = policy_loss(objective, new.detach(), OLD, torch.where(one, advantages[:, None], 0.0), MASK,
                            aggregation="token-mean").loss  # fmt: skip
        rest = policy_loss(objective, new.detach(), OLD, torch.zeros_like(OLD), MASK, aggregation="token-mean").loss
        total += float(weights[row, column] * (alone - rest))
    assert float(out.loss.detach()) == pytest.approx(total, abs=1e-12)


def test_a_sampler_that_is_the_trainer_changes_nothing() -> None:
    advantages = torch.ones(5, dtype=torch.float64)
    plain = policy_loss(CATALOG["sapo"](), SAMPLER.clamp(max=0), OLD, advantages, MASK)
    for correction in (Correction(), Correction("sequence-sum", "mask", 0.9, 1.1), Correction("sequence-mean", "mask")):
        same = policy_loss(CATALOG["sapo"](), SAMPLER.clamp(max=0), OLD, advantages, MASK, sampler_logprobs=OLD.clone(),
                           correction=correction)  # fmt: skip
        assert same.loss == plain.loss and plain.correction is None


def test_what_lies_under_the_mask_is_never_read() -> None:
    hostile = torch.where(MASK, SAMPLER, math.inf)
    for level in ("token", "sequence-mean", "sequence-sum"):
        correction = Correction(level)  # type: ignore[arg-type]
        weights = correction.weights(torch.where(MASK, OLD, math.nan), hostile, MASK)
        assert torch.equal(weights, correction.weights(OLD, SAMPLER, MASK)) and weights.isfinite().all()


@pytest.mark.parametrize(("settings", "says"), [
    ({"level": "sequence"}, "level is 'sequence'; it takes token or sequence-mean or sequence-sum."),
    ({"how": "clip"}, "how is 'clip'; it takes truncate or mask."),
    ({"low": -0.5}, "low is -0.5; it takes a number from 0."),
    ({"high": math.nan}, "high is nan; it takes a number from 0."),
    ({"low": 3.0, "high": 2.0}, "bounds are 3.0 and 2.0; low is the smaller one."),
    ({"high": 0.0}, "low is the smaller one."),
])  # fmt: skip
def test_a_correction_that_is_none_is_refused_in_one_sentence(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(TensorError) as caught:
        Correction(**settings)
    assert str(caught.value).endswith(says)


def test_the_one_without_the_other_is_refused_and_not_ignored() -> None:
    batch = (CATALOG["sapo"](), OLD, OLD, torch.ones(5, dtype=torch.float64), MASK)
    for given, says in (
        ({"sampler_logprobs": SAMPLER}, "there is no correction"),
        ({"correction": Correction()}, "there is a correction and no sampler_logprobs"),
        ({"correction": "token", "sampler_logprobs": SAMPLER}, "correction is 'token'"),
        ({"correction": Correction(), "sampler_logprobs": SAMPLER[:2]}, "sampler_logprobs has shape [2, 6]"),
        ({"correction": Correction(), "sampler_logprobs": MASK}, "sampler_logprobs is torch.bool"),
        ({"correction": Correction(), "sampler_logprobs": SAMPLER - math.inf}, "sampler_logprobs[0, 0] is -inf"),
    ):
        with pytest.raises(TensorError) as caught:
            policy_loss(*batch, **given)  # type: ignore[arg-type]
        assert str(caught.value).startswith(says), caught.value


def test_a_choice_by_name_is_the_correction_that_frameworks_mean_by_it() -> None:
    assert correction_of("off", 0.0, 2.0) is None
    assert correction_of("sequence-mask", 0.0, 3.0) == Correction("sequence-sum", "mask", 0.0, 3.0)
    with pytest.raises(TensorError, match="the correction is 'tis'; it takes off, token-truncate"):
        correction_of("tis", 0.0, 2.0)
    assert list(USUAL) == list(CHOICES)
    assert all((one.correction.level, one.correction.how) == CHOICES[name] for name, one in USUAL.items())
