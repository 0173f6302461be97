"""What holds for every objective of the catalogue, whichever it is. A new objective is tested by being registered."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sapo_viz import CATALOG, Objective, policy_loss
from sapo_viz.core.objective import Aggregation

EXACT = 1e-12  # float64, sums of a few dozen terms of order 1


def token_share(mask: Tensor, how: Aggregation, max_length: int | None = None) -> Tensor:
    """What each token's J counts in the batch, written from the definitions in DESIGN. [B, T] -> [B, T]"""
    lengths = mask.sum(-1, keepdim=True).double()
    sequences = (lengths > 0).sum().double()
    share = {
        "seq-mean-token-mean": 1 / (sequences * lengths.clamp(min=1)),
        "token-mean": torch.ones_like(lengths) / lengths.sum(),
        "seq-mean-token-sum": torch.ones_like(lengths) / sequences,
        "seq-mean-token-sum-norm": torch.ones_like(lengths) / (sequences * (max_length or mask.shape[1])),
    }[how]
    return share * mask


# What a token weighs at π_θ = π_old, where that is not 1.
ON_POLICY = {"pspo": lambda objective: 1 - objective.alpha}
CUTS_ON_POLICY = {"clip_cov"}
DEPENDS_ON_THE_SIZE_OF_A = {"maspo"}
# J reads a probability, or log π itself, and its gradient is its slope all the same.
WHOLE_SLOPE = {"drpo", "dro", "prime_dppo", "prime_ipo"}
# A gate that is a number stands before a ratio that is none, so the gradient is not the slope of the loss, whether or
# not π_old moves along; test_extremes.py has their closed forms, test_frameworks.py the sources' own numbers.
STOPPED_IN_PART = {"gspo_token", "dgpo", "maspo", "fipo"}


def on_policy_weight(objective: Objective) -> float:
    return float(ON_POLICY.get(objective.name, lambda _: 1.0)(objective))


def largest(difference: Tensor) -> float:
    return float(difference.abs().max())


def test_on_policy_the_gradient_is_reinforce(objective: Objective, batches: Any, gradient_of: Any) -> None:
    """At π_θ = π_old: ∂/∂log π = A × the token's share, for every objective (w(1) = 1)."""
    if objective.name in CUTS_ON_POLICY:
        pytest.skip("leaves tokens out on-policy too")
    for batch in batches:
        batch = replace(batch, logprobs=batch.old_logprobs)
        reinforce = batch.advantages[:, None] * token_share(batch.mask, objective.aggregation)
        assert largest(gradient_of(objective, batch) - on_policy_weight(objective) * reinforce) < EXACT


@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", [name for name in CATALOG if name not in CUTS_ON_POLICY])
def test_on_policy_the_gradient_is_reinforce_whatever_the_knobs(name: str, data: st.DataObject) -> None:
    cls = CATALOG[name]
    knobs = {knob.name: data.draw(st.floats(knob.lo, knob.hi), knob.name) for knob in cls.knobs().values()}
    advantage = data.draw(st.sampled_from([1.0, -1.0, 0.37, -2.5]), "A")
    logprobs = torch.full((1, 3), -1.25, dtype=torch.float64, requires_grad=True)
    advantages = torch.tensor([advantage], dtype=torch.float64)
    policy_loss(cls(**knobs), logprobs, logprobs.detach(), advantages).loss.backward()
    assert logprobs.grad is not None
    share = token_share(torch.ones(1, 3, dtype=torch.bool), cls.aggregation)
    assert largest(-logprobs.grad - on_policy_weight(cls(**knobs)) * advantage * share) < EXACT


def test_weight_times_ratio_times_advantage_times_share_is_the_training_gradient(
    objective: Objective, batches: Any, gradient_of: Any
) -> None:
    for batch in batches:
        tokens = policy_loss(objective, batch.logprobs, batch.old_logprobs, batch.advantages, batch.mask).tokens
        share = token_share(batch.mask, objective.aggregation)
        drawn = tokens.gate_weight * tokens.ratio * batch.advantages[:, None] * share
        trained = gradient_of(objective, batch)
        assert largest(drawn - trained) < EXACT * max(1.0, largest(trained))
        assert largest(tokens.coefficient - tokens.gate_weight * tokens.ratio) < EXACT * largest(tokens.ratio)


def test_the_training_gradient_is_the_slope_of_the_loss(objective: Objective, batches: Any, gradient_of: Any) -> None:
    """Central differences. An objective with a stopped ratio is moved together with π_old, so z stays put:
    what remains is the slope in log π that its method keeps."""
    if objective.name in STOPPED_IN_PART:
        pytest.skip("stopped in part")
    h = 1e-6
    for batch in batches:

        def loss(step: Tensor, *, with_old: bool, batch: Any = batch) -> float:
            old = batch.old_logprobs + step * with_old
            return policy_loss(objective, batch.logprobs + step, old, batch.advantages, batch.mask).loss.item()

        everywhere = torch.full_like(batch.logprobs, 0.1)
        stopped = (
            objective.name not in WHOLE_SLOPE
            and abs(loss(everywhere, with_old=True) - loss(0 * everywhere, with_old=True)) > 1e-9
        )
        gradient = gradient_of(objective, batch)
        for row, column in batch.mask.nonzero().tolist():
            step = torch.zeros_like(batch.logprobs)
            step[row, column] = h
            slope = -(loss(step, with_old=stopped) - loss(-step, with_old=stopped)) / (2 * h)
            # Rounding of the loss (1e-16 × its size) over 2h, plus the third derivative's h².
            assert abs(slope - gradient[row, column].item()) < 1e-8 * max(1.0, largest(gradient))


def test_masked_tokens_do_not_matter_even_when_they_are_nan(
    objective: Objective, batches: Any, gradient_of: Any
) -> None:
    for batch in batches:
        rows = torch.where(batch.mask, 0.0, math.nan)
        dirty = replace(batch, logprobs=batch.logprobs + rows, old_logprobs=batch.old_logprobs - rows)
        clean = policy_loss(objective, batch.logprobs, batch.old_logprobs, batch.advantages, batch.mask)
        out = policy_loss(objective, dirty.logprobs, dirty.old_logprobs, dirty.advantages, dirty.mask)
        assert out.loss.item() == clean.loss.item()
        assert torch.equal(gradient_of(objective, dirty), gradient_of(objective, batch))
        assert torch.equal(out.tokens.gate_weight, clean.tokens.gate_weight)
        assert out.metrics == clean.metrics


def test_masked_tokens_get_no_gradient_and_weight_0(objective: Objective, batch: Any, gradient_of: Any) -> None:
    tokens = policy_loss(objective, batch.logprobs, batch.old_logprobs, batch.advantages, batch.mask).tokens
    assert (gradient_of(objective, batch)[~batch.mask] == 0).all()
    assert (tokens.gate_weight[~batch.mask] == 0).all() and (tokens.ratio[~batch.mask] == 1).all()


def test_the_order_of_sequences_does_not_matter(objective: Objective, batch: Any, gradient_of: Any) -> None:
    order = torch.tensor([3, 0, 4, 2, 1])
    shuffled = replace(
        batch,
        logprobs=batch.logprobs[order],
        old_logprobs=batch.old_logprobs[order],
        advantages=batch.advantages[order],
        mask=batch.mask[order],
    )
    before = policy_loss(objective, batch.logprobs, batch.old_logprobs, batch.advantages, batch.mask).loss
    after = policy_loss(objective, shuffled.logprobs, shuffled.old_logprobs, shuffled.advantages, shuffled.mask).loss
    assert abs(after.item() - before.item()) < EXACT
    assert largest(gradient_of(objective, shuffled) - gradient_of(objective, batch)[order]) < EXACT


def test_padding_does_not_matter(objective: Objective, batch: Any, gradient_of: Any) -> None:
    """More columns and all-masked rows change nothing, given the generation budget that Dr. GRPO divides by."""
    length = batch.logprobs.shape[1]

    def pad(rows: Tensor, value: Any) -> Tensor:
        return torch.nn.functional.pad(rows, (2, 3, 1, 2), value=value)

    padded = replace(
        batch,
        logprobs=pad(batch.logprobs, -7.0),
        old_logprobs=pad(batch.old_logprobs, -0.5),
        advantages=torch.nn.functional.pad(batch.advantages, (1, 2), value=5.0),
        mask=pad(batch.mask, False),
    )
    before = gradient_of(objective, batch, max_length=length)
    after = gradient_of(objective, padded, max_length=length)
    assert largest(after[1:-2, 2:-3] - before) < EXACT
    assert after.abs().sum().item() == pytest.approx(before.abs().sum().item(), abs=EXACT)


def test_sequences_with_advantage_0_get_no_gradient(objective: Objective, batch: Any, gradient_of: Any) -> None:
    advantages = batch.advantages.clone()
    advantages[[0, 2]] = 0.0
    batch = replace(batch, advantages=advantages)
    gradient = gradient_of(objective, batch)
    if objective.pulls_without_advantage:
        assert gradient[[0, 2]].abs().sum() > 0 or objective.reads_batch, "it is said of it, so it must be so"
        return
    assert (gradient[[0, 2]] == 0).all()
    assert gradient[1].abs().sum() > 0 or objective.ratio_level != "token"


def test_the_weight_shown_at_advantage_0_is_that_of_a_small_negative_one(objective: Objective, batch: Any) -> None:
    if objective.pulls_without_advantage or objective.name in DEPENDS_ON_THE_SIZE_OF_A:
        pytest.skip("its weight is not the same for a small A")

    def weight(value: float) -> Tensor:
        advantages = torch.full_like(batch.advantages, value)
        return policy_loss(objective, batch.logprobs, batch.old_logprobs, advantages, batch.mask).tokens.gate_weight

    assert largest(weight(0.0) - weight(-1e-3)) < EXACT * max(1.0, largest(weight(0.0)))


def test_one_advantage_for_a_sequence_or_the_same_for_each_token_is_the_same(objective: Objective, batch: Any) -> None:
    each = batch.advantages[:, None].expand_as(batch.logprobs)
    one = policy_loss(objective, batch.logprobs, batch.old_logprobs, batch.advantages, batch.mask)
    two = policy_loss(objective, batch.logprobs, batch.old_logprobs, each, batch.mask)
    assert one.loss.item() == two.loss.item()


def test_advantages_of_each_token_give_the_training_gradient_too(objective: Objective, batch: Any) -> None:
    """Rollout files may carry an advantage per token, zeros among them; c·A is still what training adds."""
    generator = torch.Generator().manual_seed(3)
    advantages = torch.randn(batch.logprobs.shape, generator=generator, dtype=torch.float64)
    advantages[:, 1::3] = 0.0
    leaf = batch.grad_leaf()
    out = policy_loss(objective, leaf, batch.old_logprobs, advantages, batch.mask)
    out.loss.backward()
    signal = batch.mask & (advantages != 0)
    drawn = out.tokens.coefficient * advantages * token_share(batch.mask, objective.aggregation)
    assert largest((drawn + leaf.grad)[signal]) < EXACT


def test_the_old_policy_gets_no_gradient(objective: Objective, batch: Any) -> None:
    old = batch.old_logprobs.clone().requires_grad_(True)
    policy_loss(objective, batch.grad_leaf(), old, batch.advantages, batch.mask).loss.backward()
    assert old.grad is None


def test_a_batch_without_a_response_token_has_loss_0_and_gradient_0(objective: Objective) -> None:
    logprobs = torch.full((2, 3), math.nan, requires_grad=True)
    out = policy_loss(objective, logprobs, logprobs.detach(), torch.ones(2), torch.zeros(2, 3))
    out.loss.backward()
    assert out.loss.item() == 0.0
    assert logprobs.grad is not None and (logprobs.grad == 0).all()
    assert out.metrics["gate_mean"] == 1.0 and out.metrics["clip_fraction"] == 0.0
