"""What an objective does to each token: the autograd of the surrogate that is trained, drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sapo_viz.core.batch import working_dtype
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Objective
from sapo_viz.core.surrogate import evaluate

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TokenView:
    """What an objective does to each token. All [B, T]; masked tokens have ratio 1 and weight 0."""

    ratio: Tensor  # r, or s (the same for every token of a sequence) at sequence level
    coefficient: Tensor  # c: ∂J/∂log π = c·A
    gate_weight: Tensor  # w = c / ratio
    advantages: Tensor
    mask: Tensor


def token_view(
    objective: Objective,
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    alone: bool = False,
) -> TokenView:
    """Ratio, coefficient and gate weight of every token of an already checked batch, by autograd.

    c = ∂(Σ_t J)/∂log π / A. The sum runs over the sequence, so at sequence level, where each token's z
    moves every J, c is what the token really receives. Where A = 0 there is no gradient and c would be
    0/0: the gate shown there is that of a negative A, the side on which A = 0 lies. `alone` as in `evaluate`.
    """
    advantages = torch.where(mask, advantages.to(working_dtype(logprobs)), 0.0)
    ratio, gradient = _token_gradient(objective, logprobs, old_logprobs, advantages, mask, alone)
    coefficient = gradient / advantages
    without_signal = mask & (advantages == 0)
    if bool(without_signal.any()):
        # A batch of its own: at sequence level a stand-in for A = 0 would move its neighbours' gradient.
        _, gradient = _token_gradient(objective, logprobs, old_logprobs, -torch.ones_like(advantages), mask, alone)
        coefficient = torch.where(without_signal, -gradient, coefficient)
    coefficient = torch.where(mask, coefficient, 0.0)
    return TokenView(ratio, coefficient, coefficient / ratio, advantages, mask)


def _token_gradient(
    objective: Objective, logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, alone: bool
) -> tuple[Tensor, Tensor]:
    """The ratio and ∂(Σ_t J)/∂log π, both [B, T]."""
    new = logprobs.detach().to(advantages.dtype).requires_grad_(True)
    with torch.enable_grad():
        ratio, surrogate = evaluate(objective, new, old_logprobs.detach(), advantages, mask, alone=alone)
        total = torch.where(mask, surrogate, 0.0).sum()
        (gradient,) = torch.autograd.grad(total, new)
    return ratio.detach(), gradient
