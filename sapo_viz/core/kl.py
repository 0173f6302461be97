"""KL estimators from samples (Schulman, "Approximating KL divergence", 2020).

All take log_ratio = log q − log p at samples x ~ p and estimate KL(p ‖ q). With x from π_old and
log_ratio = log π_θ − log π_old that is KL(π_old ‖ π_θ). Shapes pass through.

As a penalty, with x from the trained p, autograd sees the estimator but not the sampling, and the gradient is
another thing than the value: E k1 gives 0, E k2 gives ∇KL(p ‖ q), and E k3 gives ∇KL(q ‖ p), the other direction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapo_viz.core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def k1(log_ratio: Tensor) -> Tensor:
    """−log(q/p): unbiased, noisy, may be negative."""
    return -log_ratio


def k2(log_ratio: Tensor) -> Tensor:
    """½·log(q/p)²: biased, never negative."""
    return log_ratio**2 / 2


def k3(log_ratio: Tensor) -> Tensor:
    """q/p − 1 − log(q/p): unbiased, never negative."""
    return torch.expm1(log_ratio) - log_ratio
