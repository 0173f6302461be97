"""The one path from log-probs to loss.

Curve, inspector, trainer and export all come through `evaluate`; a picture cannot disagree with a run.
The gate weight that is drawn is the autograd of the surrogate that is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sapo_viz.core.batch import check_batch, working_dtype
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import LOG_RATIO_LIMIT, Aggregation, Objective
from sapo_viz.errors import KnobError, TensorError

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


@dataclass(frozen=True)
class PolicyLoss:
    """The loss, and on demand the tokens and metrics behind it."""

    loss: Tensor  # scalar to minimise
    objective: Objective
    logprobs: Tensor
    old_logprobs: Tensor
    advantages: Tensor  # [B, T]
    mask: Tensor

    @cached_property
    def tokens(self) -> TokenView:
        return token_view(self.objective, self.logprobs, self.old_logprobs, self.advantages, self.mask)

    @cached_property
    def metrics(self) -> dict[str, float]:
        from sapo_viz.core.metrics import batch_metrics

        return {"loss": float(self.loss.detach())} | batch_metrics(self.tokens, self.logprobs, self.old_logprobs)


def policy_loss(
    objective: Objective,
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor | None = None,
    *,
    max_length: int | None = None,
) -> PolicyLoss:
    """The loss of one batch under one objective.

    Args:
        objective: an instance from the catalogue, `CATALOG["sapo"](tau_neg=1.05)`.
        logprobs: [B, T], log π_θ of the sampled tokens, natural log, with gradient.
        old_logprobs: [B, T], log π_old of the same tokens.
        advantages: [B], one for each sequence, or [B, T].
        mask: [B, T] of 0/1 or bool, 1 on response tokens; None means all. What lies under 0 is never
            read, so padding may hold anything, NaN included.
        max_length: the generation budget T_max that Dr. GRPO divides by; T if not given.

    Returns:
        PolicyLoss; `.loss` is a scalar to minimise, float64 for float64 input and float32 for all else.

    Raises:
        TensorError: shapes that do not fit, NaN or Inf where the mask is 1, or a max_length below 1.
        KnobError: a class in place of an objective.
    """
    if not isinstance(objective, Objective):
        kind = f"the class {objective.__name__}" if isinstance(objective, type) else type(objective).__name__
        raise KnobError(f'objective is {kind}; it takes an instance such as CATALOG["sapo"]().')
    if max_length is not None and (not isinstance(max_length, int) or isinstance(max_length, bool) or max_length < 1):
        raise TensorError(f"max_length is {max_length!r}; it takes a whole number from 1.")
    logprobs, old_logprobs, advantages, mask = check_batch(logprobs, old_logprobs, advantages, mask)
    _, surrogate = evaluate(objective, logprobs, old_logprobs, advantages, mask)
    loss = -aggregate(surrogate, mask, objective.aggregation, max_length=max_length)
    return PolicyLoss(loss, objective, logprobs, old_logprobs, advantages, mask)


def evaluate(
    objective: Objective, logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """The ratio at the objective's level and its surrogate, both [B, T], for an already checked batch."""
    dtype = working_dtype(logprobs)
    # What lies under the mask may be NaN: select before subtracting, or its gradient would be NaN too.
    new = torch.where(mask, logprobs.to(dtype), 0.0)
    old = torch.where(mask, old_logprobs.detach().to(dtype), 0.0)  # π_old is data, not a parameter
    advantages = torch.where(mask, advantages.to(dtype), 0.0)
    log_ratio = objective.token_log_ratio(new - old, advantages)
    if objective.ratio_level != "token":
        log_ratio = _over_sequence(log_ratio, mask, mean=objective.ratio_level == "sequence")
    log_ratio = log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    return log_ratio.exp(), objective.surrogate(log_ratio, advantages, new, old)


def _over_sequence(log_ratio: Tensor, mask: Tensor, *, mean: bool) -> Tensor:
    """Mean (or sum) of z over the response tokens, given to each of them. [B, T] -> [B, T]"""
    total = (log_ratio * mask).sum(-1, keepdim=True)
    if mean:
        total = total / mask.sum(-1, keepdim=True).clamp(min=1)
    return torch.where(mask, total, 0.0)


def aggregate(values: Tensor, mask: Tensor, how: Aggregation, *, max_length: int | None = None) -> Tensor:
    """Bring [B, T] to a scalar. Sequences without a response token do not count.

    seq-mean-token-mean      mean over sequences of each one's token mean (GRPO, GSPO, SAPO)
    token-mean               mean over all tokens of the batch (DAPO)
    seq-mean-token-sum       mean over sequences of token sums (LUSPO)
    seq-mean-token-sum-norm  the same, divided by `max_length` (Dr. GRPO)
    """
    values = torch.where(mask, values, 0.0)
    lengths = mask.sum(-1)
    if how == "token-mean":
        return values.sum() / lengths.sum().clamp(min=1)
    sums = values.sum(-1)
    if how == "seq-mean-token-mean":
        sums = sums / lengths.clamp(min=1)
    elif how == "seq-mean-token-sum-norm":
        sums = sums / max(1, values.shape[-1] if max_length is None else max_length)
    elif how != "seq-mean-token-sum":
        raise TensorError(f"there is no aggregation {how!r}.")
    return sums.sum() / (lengths > 0).sum().clamp(min=1)


def token_view(
    objective: Objective, logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor
) -> TokenView:
    """Ratio, coefficient and gate weight of every token of an already checked batch, by autograd.

    c = ∂(Σ_t J)/∂log π / A. The sum runs over the sequence, so at sequence level, where each token's z
    moves every J, c is what the token really receives. Where A = 0 there is no gradient and c would be
    0/0: the gate shown there is that of a negative A, the side on which A = 0 lies.
    """
    advantages = torch.where(mask, advantages.to(working_dtype(logprobs)), 0.0)
    ratio, gradient = _token_gradient(objective, logprobs, old_logprobs, advantages, mask)
    coefficient = gradient / advantages
    without_signal = mask & (advantages == 0)
    if bool(without_signal.any()):
        # A batch of its own: at sequence level a stand-in for A = 0 would move its neighbours' gradient.
        _, gradient = _token_gradient(objective, logprobs, old_logprobs, -torch.ones_like(advantages), mask)
        coefficient = torch.where(without_signal, -gradient, coefficient)
    coefficient = torch.where(mask, coefficient, 0.0)
    return TokenView(ratio, coefficient, coefficient / ratio, advantages, mask)


def _token_gradient(
    objective: Objective, logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """The ratio and ∂(Σ_t J)/∂log π, both [B, T]."""
    new = logprobs.detach().to(advantages.dtype).requires_grad_(True)
    with torch.enable_grad():
        ratio, surrogate = evaluate(objective, new, old_logprobs.detach(), advantages, mask)
        total = torch.where(mask, surrogate, 0.0).sum()
        (gradient,) = torch.autograd.grad(total, new)
    return ratio.detach(), gradient
