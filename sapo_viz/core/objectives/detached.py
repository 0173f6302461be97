"""Objectives whose ratio is a stopped coefficient on log π, and the baseline with no gate at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sapo_viz.core.knobs import knob
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Objective, register

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class Cispo(Objective):
    """CISPO (arXiv 2506.13585): clip the importance weight, keep every token's gradient.

    J = sg[clip(r, 1−ε_low, 1+ε_high)]·A·log π. The paper and its users tune the upper cap only; a lower
    cap of 1 (the default) switches the lower bound off. TRL states the cap as a ratio (5.0), verl as
    1+ε_high.
    """

    name = "cispo"
    label = "CISPO"
    paper = "2506.13585"
    formula = (
        r"\operatorname{sg}\!\big[\operatorname{clip}(r,\,1-\varepsilon_{\text{low}},\,"
        r"1+\varepsilon_{\text{high}})\big]\,A\,\log\pi_\theta"
    )
    idea = "No token is cut: a large ratio is capped instead, so its gradient stays, at the cap."
    aggregation = "token-mean"

    eps_low: float = knob(
        1.0,
        lo=0.0,
        hi=1.0,
        symbol="ε_low",
        latex=r"\varepsilon_{\text{low}}",
        help="The ratio is not taken below 1 − ε_low; 1 means no lower cap.",
    )
    eps_high: float = knob(
        4.0,
        lo=0.0,
        hi=100.0,
        symbol="ε_high",
        latex=r"\varepsilon_{\text{high}}",
        ui=(0.0, 10.0),
        help="The ratio is not taken above 1 + ε_high.",
    )

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor) -> Tensor:
        cap = log_ratio.exp().clamp(1 - self.eps_low, 1 + self.eps_high)
        cap = cap.detach()  # the weight is a number, not a path for gradient: that is the method
        return cap * advantages * logprobs


@register
@dataclass(frozen=True)
class Unclipped(Objective):
    """Importance-weighted policy gradient (arXiv 1707.06347), J = rA: the baseline that shows what clipping is for."""

    name = "unclipped"
    label = "Unclipped"
    paper = "1707.06347"
    formula = "rA"
    idea = "No gate: every token keeps full weight, however far its ratio has moved."

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor) -> Tensor:
        return torch.exp(log_ratio) * advantages
