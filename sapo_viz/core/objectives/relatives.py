"""Relatives of SAPO's gate (arXiv 2602.19345): other sigmoids in its place, one τ for both signs.

Each f has f′(1) = 1, so the weight on-policy is 1; they differ in how fast it falls far from r = 1. In that
paper τ of 10 to 12 did best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Objective, register
from sapo_viz.core.objectives.gates import tau

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class ErfGate(Objective):
    """Erf gate (arXiv 2602.19345): f′ = exp(−τ²(r−1)²/2), a Gaussian, the thinnest tail of the four."""

    name = "erf"
    label = "Erf gate"
    family = "soft gate"
    paper = "2602.19345"
    formula = r"\tfrac{1}{\tau}\sqrt{\tfrac{\pi}{2}}\,\operatorname{erf}\!\big(\tfrac{\tau(r-1)}{\sqrt2}\big)A"
    idea = "A dimmer with a Gaussian foot: close to 1 like SAPO's, far out it lets almost nothing through."

    tau: float = tau(10.0)

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        scaled = self.tau * torch.expm1(log_ratio)
        return math.sqrt(math.pi / 2) / self.tau * torch.erf(scaled / math.sqrt(2)) * advantages


@register
@dataclass(frozen=True)
class ArctanGate(Objective):
    """Arctan gate (arXiv 2602.19345): f′ = 1/(1 + τ²(r−1)²), a Cauchy bell, the heaviest tail."""

    name = "arctan"
    label = "Arctan gate"
    family = "soft gate"
    paper = "2602.19345"
    formula = r"\tfrac{1}{\tau}\arctan\!\big(\tau(r-1)\big)A"
    idea = "A dimmer with a long foot: outliers are dimmed, never forgotten."

    tau: float = tau(10.0)

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        return torch.atan(self.tau * torch.expm1(log_ratio)) / self.tau * advantages


@register
@dataclass(frozen=True)
class SoftsignGate(Objective):
    """Softsign gate (arXiv 2602.19345): f′ = (1 + τ²(r−1)²)^(−3/2), between arctan's and SAPO's tail."""

    name = "softsign"
    label = "Softsign gate"
    family = "soft gate"
    paper = "2602.19345"
    formula = r"\frac{r-1}{\sqrt{1+\tau^2(r-1)^2}}\,A"
    idea = "A dimmer whose foot falls as 1/r³: between SAPO's and arctan's."

    tau: float = tau(10.0)

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        away = torch.expm1(log_ratio)
        return away * torch.rsqrt(1 + (self.tau * away) ** 2) * advantages
