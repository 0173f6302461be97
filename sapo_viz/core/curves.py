"""Surrogate, coefficient and weight as functions of the ratio: one-token sequences through the same path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sapo_viz.core.lazy import torch
from sapo_viz.core.surrogate import evaluate
from sapo_viz.core.token_view import token_view
from sapo_viz.errors import TensorError

if TYPE_CHECKING:
    from torch import Tensor

    from sapo_viz.core.objective import Objective


@dataclass(frozen=True)
class Curve:
    """All [N], float64."""

    ratio: Tensor
    surrogate: Tensor
    coefficient: Tensor
    weight: Tensor


def curve(objective: Objective, ratio: Tensor, advantage: float, *, old_logprob: float = 0.0) -> Curve:
    """An objective's curves over `ratio` [N] (> 0) for one advantage (usually +1 or −1).

    `old_logprob` is log π_old of the token, which only objectives that read log π look at.
    """
    bad = ~(torch.isfinite(ratio) & (ratio > 0))
    if bool(bad.any()):
        index = int(bad.nonzero()[0])
        raise TensorError(f"ratio[{index}] is {ratio[index].item()}; it takes finite numbers above 0.")
    log_ratio = ratio.to(torch.float64).log()[:, None]
    old = torch.full_like(log_ratio, old_logprob)
    logprobs = old + log_ratio
    mask = torch.ones_like(log_ratio, dtype=torch.bool)
    advantages = torch.full_like(log_ratio, advantage)
    _, surrogate = evaluate(objective, logprobs, old, advantages, mask, alone=True)
    view = token_view(objective, logprobs, old, advantages, mask, alone=True)
    return Curve(ratio, surrogate[:, 0], view.coefficient[:, 0], view.gate_weight[:, 0])
