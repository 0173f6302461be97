"""From log-probs to the surrogate of each token, and from there to one number: the path that everything takes.

Curve, inspector, trainer and export all come through `evaluate`; a picture cannot disagree with a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapo_viz.core.batch import working_dtype
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import AGGREGATIONS, LOG_RATIO_LIMIT, Aggregation, Objective
from sapo_viz.errors import TensorError

if TYPE_CHECKING:
    from torch import Tensor


def evaluate(
    objective: Objective,
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    alone: bool = False,
) -> tuple[Tensor, Tensor]:
    """The ratio at the objective's level and its surrogate, both [B, T], for an already checked batch.

    `alone` takes each token as if the batch had nothing to say about it, which makes a difference where objectives
    read the batch.
    """
    dtype = working_dtype(logprobs)
    # What is under the mask may be NaN: select before subtracting, or its gradient would be NaN too.
    new = torch.where(mask, logprobs.to(dtype), 0.0)
    old = torch.where(mask, old_logprobs.detach().to(dtype), 0.0)  # π_old is data, not a parameter
    advantages = torch.where(mask, advantages.to(dtype), 0.0)
    log_ratio = objective.token_log_ratio(new - old, advantages)
    if objective.ratio_level != "token":
        log_ratio = _over_sequence(log_ratio, mask, mean=objective.ratio_level == "sequence")
    log_ratio = log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    if alone or not objective.reads_batch:
        return log_ratio.exp(), objective.surrogate(log_ratio, advantages, new, old)
    with torch.no_grad():  # a decision, not a path for gradient
        among = objective.among(log_ratio, advantages, new, mask)
    return log_ratio.exp(), objective.surrogate_among(log_ratio, advantages, new, old, among)


def _over_sequence(log_ratio: Tensor, mask: Tensor, *, mean: bool) -> Tensor:
    """Mean (or sum) of z over the response tokens, given to each of them. [B, T] -> [B, T]"""
    total = (log_ratio * mask).sum(-1, keepdim=True)
    if mean:
        total = total / mask.sum(-1, keepdim=True).clamp(min=1)
    return torch.where(mask, total, 0.0)


def aggregate(values: Tensor, mask: Tensor, how: Aggregation, *, max_length: int | None = None) -> Tensor:
    """Bring [B, T] to a scalar. Sequences without a response token do not count. The names are verl's.

    seq-mean-token-mean      mean over sequences of each one's token mean (GRPO, GSPO, SAPO)
    token-mean               mean over all tokens of the batch (DAPO; of a local batch: BNPO)
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
        raise TensorError(f"aggregation is {how!r}; it takes {' or '.join(AGGREGATIONS)}.")
    return sums.sum() / (lengths > 0).sum().clamp(min=1)
