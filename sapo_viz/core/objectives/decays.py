"""Where GRPO clips, the gradient decays instead; on the other side tokens keep their full weight.

The gate is a number by which r·A is multiplied, so the coefficient is r times the gate and J is not its integral.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sapo_viz.core.knobs import knob
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Family, Objective, register

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class Dgpo(Objective):
    """DGPO (arXiv 2603.14389): beyond GRPO's band the weight decays as a power of r, on each side with its own.

    J = r·sg[w]·A, w = (r/(1−ε_low))ⁿ for A < 0 below the band, ((1+ε_high)/r)^(1/m) for A > 0 above it, 1 elsewhere: it
    is continuous at the band's edges. The paper writes it as a weight on ∂π rather than on ∂log π.
    """

    name = "dgpo"
    label = "DGPO"
    family: ClassVar[Family] = "soft gate"
    paper = "2603.14389"
    formula = (
        r"r\,\operatorname{sg}[w]\,A,\ \ w=\begin{cases}\min\!\big(1,\tfrac{1+\varepsilon_{\text{high}}}{r}\big)^{1/m}"
        r"&A>0\\ \min\!\big(1,\tfrac{r}{1-\varepsilon_{\text{low}}}\big)^{n}&A\le 0\end{cases}"
    )
    idea = "GRPO's band without its switch: beyond it bad tokens fade fast, good ones slowly, and none is cut."
    notes = ("The authors' code (FlyTune/DGPO-RL, on verl) gives the same gradient and value.",)
    aggregation = "token-mean"

    eps_low: float = knob(
        0.2,
        lo=1e-5,
        hi=0.99,
        symbol="ε_low",
        latex=r"\varepsilon_{\text{low}}",
        ui=(0.01, 0.99),
        help="How far below 1 the ratio may fall before tokens with negative advantage begin to fade.",
    )
    eps_high: float = knob(
        0.28,
        lo=1e-5,
        hi=100.0,
        symbol="ε_high",
        latex=r"\varepsilon_{\text{high}}",
        ui=(0.01, 0.99),
        help="How far above 1 the ratio may rise before tokens with positive advantage begin to fade.",
    )
    n: float = knob(
        1.0,
        lo=0.0,
        hi=10.0,
        symbol="n",
        latex="n",
        ui=(0.0, 4.0),
        step=0.1,
        help="Power of the decay for negative advantage.",
    )
    m: float = knob(
        2.0,
        lo=0.1,
        hi=100.0,
        symbol="m",
        latex="m",
        ui=(0.5, 8.0),
        step=0.1,
        help="Root of the decay for positive advantage: the larger, the slower.",
    )

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        one = torch.ones_like(log_ratio)
        ratio = log_ratio.exp()
        below = (ratio / (1 - self.eps_low)).clamp(max=1.0) ** self.n
        above = ((1 + self.eps_high) / ratio).clamp(max=1.0) ** (1 / self.m)
        weight = torch.where(advantages > 0, above, torch.where(advantages < 0, below, one))
        weight = weight.detach()  # a gate, not a path for gradient
        return ratio * weight * advantages


@register
@dataclass(frozen=True)
class Maspo(Objective):
    """MASPO (arXiv 2602.17550): a Gaussian gate on the harmful side, wider for rare tokens and for good news.

    J = r·sg[w]·A, w = exp(−(r−1)²/2σ²) where A > 0 and r > 1, or A < 0 and r < 1; σ = σ₀·π_old^(−α), at most σ_max,
    times 1 + βA for A > 0 and 1/(1 − βA) for A < 0. So it depends on the size of A, not on its sign alone.
    """

    name = "maspo"
    label = "MASPO"
    family: ClassVar[Family] = "soft gate"
    paper = "2602.17550"
    formula = (
        r"r\,\operatorname{sg}\big[e^{-(r-1)^2/2\sigma^2}\big]A\ \text{on the harmful side},\ \ "
        r"\sigma=\min\!\big(\tfrac{\sigma_0}{\pi_{\text{old}}^{\alpha}},\sigma_{\max}\big)\cdot"
        r"\begin{cases}1+\beta A&A>0\\ \tfrac{1}{1-\beta A}&A<0\end{cases}"
    )
    idea = "A one-sided dimmer that leaves rare tokens more room, and good sequences a little more than bad ones."
    notes = (
        "The bounds on σ and on its factor (here 10 and 0.1 to 10) are those of the authors' code "
        "(VenomRose-Juri/MASPO-RL, on verl); the paper's formula has none.",
    )
    aggregation = "token-mean"
    reads_logprobs = True

    sigma: float = knob(
        1.0,
        lo=0.01,
        hi=10.0,
        symbol="σ₀",
        latex=r"\sigma_0",
        scale="log",
        ui=(0.05, 10.0),
        help="Width of the gate for a token that was certain.",
    )
    alpha: float = knob(
        0.3,
        lo=0.0,
        hi=2.0,
        symbol="α",
        latex=r"\alpha",
        ui=(0.0, 1.0),
        help="How much wider the gate is for rare tokens; 0: the same for all.",
    )
    beta: float = knob(
        0.03,
        lo=0.0,
        hi=1.0,
        symbol="β",
        latex=r"\beta",
        ui=(0.0, 0.5),
        help="How much the gate widens with a positive advantage and narrows with a negative one.",
    )
    sigma_max: float = knob(
        10.0,
        lo=0.01,
        hi=1000.0,
        symbol="σ_max",
        latex=r"\sigma_{\max}",
        scale="log",
        ui=(1.0, 100.0),
        help="Largest width that rarity alone gives.",
    )

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        ratio = log_ratio.exp()
        width = (self.sigma * torch.exp(-self.alpha * old_logprobs)).clamp(max=self.sigma_max)
        trust = torch.where(advantages > 0, 1 + self.beta * advantages, 1 / (1 + self.beta * advantages.abs()))
        width = width * trust.clamp(0.1, 10.0)
        away = torch.expm1(log_ratio)  # r − 1
        harmful = torch.where(advantages > 0, away > 0, (advantages < 0) & (away < 0))
        weight = torch.where(harmful, torch.exp(-(away**2) / (2 * width**2)), 1.0)
        weight = weight.detach()  # a gate, not a path for gradient
        return ratio * weight * advantages


@register
@dataclass(frozen=True)
class Pspo(Objective):
    """PSPO (arXiv 2509.21282): the policy's probability is mixed with the old one before the ratio is taken.

    J = ((1−α)r + α)·A. The value moves less with r, which is meant as a soft trust region; the gradient is (1−α)·r·A,
    the unclipped one made smaller by the same factor everywhere, on-policy too.
    """

    name = "pspo"
    label = "PSPO"
    family: ClassVar[Family] = "no gate"
    paper = "2509.21282"
    formula = r"\big((1-\alpha)\,r+\alpha\big)A"
    idea = "No gate: the whole gradient is made smaller by one factor, near the old policy as far from it."
    notes = ("In the authors' fork of TRL it is trust_region_method=pspo with smoothing_alpha.",)

    alpha: float = knob(
        0.1,
        lo=0.0,
        hi=0.99,
        symbol="α",
        latex=r"\alpha",
        help="Share of the old policy in the mixture.",
    )

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        return ((1 - self.alpha) * torch.exp(log_ratio) + self.alpha) * advantages
