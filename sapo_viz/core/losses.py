"""The loss of a batch under one objective: the call that users and the trainer make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sapo_viz.core.batch import check_batch
from sapo_viz.core.correction import Correction, check_sampler
from sapo_viz.core.metrics import batch_metrics
from sapo_viz.core.objective import Aggregation, Objective
from sapo_viz.core.surrogate import aggregate, evaluate
from sapo_viz.core.token_view import TokenView, token_view
from sapo_viz.errors import KnobError, TensorError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PolicyLoss:
    """The loss, and on demand the tokens and metrics behind it."""

    loss: Tensor  # scalar to minimise
    objective: Objective
    logprobs: Tensor
    old_logprobs: Tensor
    advantages: Tensor  # [B, T]
    mask: Tensor
    correction: Tensor | None = None  # [B, T] weight of each token for a sampler that is not the trainer

    @cached_property
    def tokens(self) -> TokenView:
        return token_view(self.objective, self.logprobs, self.old_logprobs, self.advantages, self.mask)

    @cached_property
    def metrics(self) -> dict[str, float]:
        return {"loss": float(self.loss.detach())} | batch_metrics(self.tokens, self.logprobs, self.old_logprobs)


def policy_loss(
    objective: Objective,
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor | None = None,
    *,
    sampler_logprobs: Tensor | None = None,
    correction: Correction | None = None,
    aggregation: Aggregation | None = None,
    max_length: int | None = None,
) -> PolicyLoss:
    """The loss of one batch under one objective.

    Args:
        objective: an instance from the catalogue, `CATALOG["sapo"](tau_neg=1.05)`.
        logprobs: [B, T], log π_θ of the sampled tokens, natural log, with gradient.
        old_logprobs: [B, T], log π_old of the same tokens.
        advantages: [B], one for each sequence, or [B, T].
        mask: [B, T] of 0/1 or bool, 1 on response tokens; None means all. What is under 0 is never
            read, so padding may hold anything, NaN included.
        sampler_logprobs: [B, T], log-probs by the engine that drew the tokens, where that is not π_old; NaN for a
            token of which it gave none.
        correction: how tokens are weighed by π_old/π_sampler; both of these or neither. The weight multiplies each
            token's surrogate and changes nothing in what the loss is divided by.
        aggregation: how tokens become one number, as verl names it ("seq-mean-token-mean", "token-mean",
            "seq-mean-token-sum", "seq-mean-token-sum-norm"); the objective's own if not given.
        max_length: the generation budget T_max that "seq-mean-token-sum-norm" divides by; T if not given.

    Returns:
        PolicyLoss; `.loss` is a scalar to minimise, float64 for float64 input and float32 for all else.

    Raises:
        TensorError: shapes that do not fit, NaN or Inf where the mask is 1, a max_length below 1, an aggregation that
            there is not, or one of sampler_logprobs and correction without the other.
        KnobError: a class in place of an objective.
    """
    if not isinstance(objective, Objective):
        kind = f"the class {objective.__name__}" if isinstance(objective, type) else type(objective).__name__
        raise KnobError(f'objective is {kind}; it takes an instance such as CATALOG["sapo"]().')
    if max_length is not None and (not isinstance(max_length, int) or isinstance(max_length, bool) or max_length < 1):
        raise TensorError(f"max_length is {max_length!r}; it takes a whole number from 1.")
    logprobs, old_logprobs, advantages, mask = check_batch(logprobs, old_logprobs, advantages, mask)
    _, surrogate = evaluate(objective, logprobs, old_logprobs, advantages, mask)
    weights = _weights(correction, old_logprobs, sampler_logprobs, mask)
    if weights is not None:
        surrogate = surrogate * weights
    loss = -aggregate(surrogate, mask, aggregation or objective.aggregation, max_length=max_length)
    return PolicyLoss(loss, objective, logprobs, old_logprobs, advantages, mask, weights)


def _weights(correction: Correction | None, old: Tensor, sampler: Tensor | None, mask: Tensor) -> Tensor | None:
    if correction is None and sampler is None:
        return None
    if not isinstance(correction, Correction):
        says = "there is no correction" if correction is None else f"correction is {correction!r}"
        raise TensorError(f"{says} beside sampler_logprobs; give Correction(level=…, how=…, low=…, high=…).")
    if sampler is None:
        raise TensorError("there is a correction and no sampler_logprobs; give the log-probs of who drew the tokens.")
    check_sampler(sampler, old, mask)
    return correction.weights(old, sampler, mask)
