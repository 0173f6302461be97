"""A quadratic penalty in place of the clip, or beside a mask: far from the old policy the gradient turns round.

Where the penalty is scaled by |A| the coefficient depends on the sign of A alone. Where it is not, it pulls tokens back
whatever they earned, those with A = 0 too (`pulls_without_advantage`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sapo_viz.core.knobs import knob
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Family, Objective, register

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class Cfpo(Objective):
    """CFPO (arXiv 2601.22801): a parabola in r in place of the clip, with its summit at r = 1 ± ε.

    J = rA − |A|(r−1)²/2ε, so the gate is 1 − sign(A)(r−1)/ε: it falls in a straight line to 0 at GRPO's edge and goes
    on below 0, which pulls the token back; on the other side of 1 it rises above 1. It is SPO's (arXiv 2401.16025).
    """

    name = "cfpo"
    label = "CFPO"
    family: ClassVar[Family] = "soft gate"
    paper = "2601.22801"
    formula = r"rA-\frac{|A|}{2\varepsilon}(r-1)^2"
    idea = "A rubber band: the gradient fades to 0 at the band's edge, and beyond it pulls the token back."

    eps: float = knob(
        0.2,
        lo=1e-4,
        hi=1000.0,
        symbol="ε",
        latex=r"\varepsilon",
        ui=(0.01, 0.99),
        help="How far from 1 the ratio is where the gradient turns round.",
    )

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        away = torch.expm1(log_ratio)  # r − 1
        return torch.exp(log_ratio) * advantages - advantages.abs() * away**2 / (2 * self.eps)


@register
@dataclass(frozen=True)
class Drpo(Objective):
    """DRPO (arXiv 2606.09821): CFPO's parabola on how far the token's *probability* moved, not its ratio.

    J = rA − |A|·π_old·(r−1)²/2ε, so the gate is 1 − sign(A)(π_θ − π_old)/ε: DPPO-TV's distance, as a slope in place
    of a switch. The paper's ε is 12.5, with which no gate falls below 0.92; 0.2 is where DPPO has its switch.
    """

    name = "drpo"
    label = "DRPO"
    family: ClassVar[Family] = "soft gate"
    paper = "2606.09821"
    formula = r"rA-\frac{|A|\,\pi_{\text{old}}}{2\varepsilon}(r-1)^2"
    idea = "A rubber band on the token's probability: rare tokens may double freely, common ones are pulled back."
    notes = ("UniRL's `drpo` is verl's spo_adaptive_eps of the authors' fork; verl 0.9.1 does not have it.",)
    aggregation = "token-mean"
    reads_logprobs = True

    eps: float = knob(
        12.5,
        lo=1e-4,
        hi=1000.0,
        symbol="ε",
        latex=r"\varepsilon",
        scale="log",
        ui=(0.05, 50.0),
        help="How far the token's probability has moved where the gradient turns round; above 1 it never does.",
    )

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        away = torch.expm1(log_ratio)  # r − 1
        penalty = advantages.abs() * old_logprobs.exp() * away**2 / (2 * self.eps)
        return torch.exp(log_ratio) * advantages - penalty


@register
@dataclass(frozen=True)
class Dro(Objective):
    """DRO (arXiv 2405.19107), as in Kimi k1.5 (arXiv 2501.12599): policy gradient with a parabola in log r.

    J = A·log π − β/2·log² r. The pull back does not depend on A.
    """

    name = "dro"
    label = "DRO"
    family: ClassVar[Family] = "no gate"
    paper = "2405.19107"
    formula = r"A\,\log\pi_\theta-\tfrac{\beta}{2}(\log r)^2"
    idea = "Plain policy gradient on a rubber band: every token is pulled back the harder, the further log r is from 0."
    frameworks = {"verl": "loss_mode=dro, dro_beta=0.1"}
    notes = (
        "verl has no default for β and asks for one. In Kimi k1.5 the parabola is in the sequence's sum of log r.",
    )
    aggregation = "token-mean"
    reads_logprobs = True
    pulls_without_advantage = True

    beta: float = knob(
        0.1,
        lo=0.0,
        hi=100.0,
        symbol="β",
        latex=r"\beta",
        ui=(0.0, 2.0),
        help="Strength of the pull.",
        names={"verl": "dro_beta"},
    )

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        return advantages * logprobs - self.beta / 2 * log_ratio**2


def _kl_tau() -> Any:
    return knob(
        1e-3,
        lo=0.0,
        hi=10.0,
        symbol="τ_KL",
        latex=r"\tau_{\text{KL}}",
        ui=(0.0, 0.1),
        step=0.001,
        help="Strength of the pull towards the old policy, on every token.",
        names={"prime-rl": "kl_tau"},
    )


_PRIME = (
    "This is prime-rl's of August 2026; it divides sums by the tokens of the global batch. Its adv_tau, a factor of "
    "A, is 1.",
)


@register
@dataclass(frozen=True)
class PrimeDppo(Objective):
    """prime-rl's default loss: DPPO-TV's mask (arXiv 2602.04879) on r·A, and a parabola in log r on every token.

    J = r·A·1[π_θ − π_old ≤ δ_high or A ≤ 0, and π_old − π_θ ≤ δ_low or A > 0] − τ·log² r. Unlike DPPO the ratio is not
    stopped and not capped.
    """

    name = "prime_dppo"
    label = "DPPO + KL (prime-rl)"
    family: ClassVar[Family] = "hard clip"
    paper = "2602.04879"
    formula = (
        r"rA\,\mathbf 1\big[|\pi_\theta-\pi_{\text{old}}|\le\delta\ \text{or corrective}\big]"
        r"-\tau_{\text{KL}}(\log r)^2"
    )
    idea = "A switch on how far the token's probability moved, and a light rubber band on all tokens."
    frameworks = {"prime-rl": '[trainer.loss] type = "default"'}
    notes = _PRIME
    aggregation = "token-mean"
    reads_logprobs = True
    pulls_without_advantage = True

    delta_low: float = knob(
        0.2,
        lo=1e-4,
        hi=1.0,
        symbol="δ_low",
        latex=r"\delta_{\text{low}}",
        ui=(0.01, 1.0),
        help="How far the probability may fall before tokens with negative advantage are left out.",
        names={"prime-rl": "dppo_mask_low"},
    )
    delta_high: float = knob(
        0.2,
        lo=1e-4,
        hi=1.0,
        symbol="δ_high",
        latex=r"\delta_{\text{high}}",
        ui=(0.01, 1.0),
        help="How far the probability may rise before tokens with positive advantage are left out.",
        names={"prime-rl": "dppo_mask_high"},
    )
    kl_tau: float = _kl_tau()

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        moved = logprobs.detach().exp() - old_logprobs.exp()  # a decision, not a path for gradient
        harmful = torch.where(advantages > 0, moved > self.delta_high, moved < -self.delta_low)
        kept = torch.where(harmful, 0.0, advantages)
        return log_ratio.exp() * kept - self.kl_tau * log_ratio**2


@register
@dataclass(frozen=True)
class PrimeIpo(Objective):
    """prime-rl's `ipo` loss: DPPO-TV's distance (arXiv 2602.04879) with one threshold, whatever the sign of A.

    J = r·A·1[|π_θ − π_old| ≤ δ] − τ·log² r: corrective moves are left out as well.
    """

    name = "prime_ipo"
    label = "IPO (prime-rl)"
    family: ClassVar[Family] = "hard clip"
    paper = "2602.04879"
    formula = r"rA\,\mathbf 1\big[|\pi_\theta-\pi_{\text{old}}|\le\delta\big]-\tau_{\text{KL}}(\log r)^2"
    idea = "A switch on how far the token's probability moved, in either direction, and a light rubber band."
    frameworks = {"prime-rl": '[trainer.loss] type = "ipo"'}
    notes = (*_PRIME, "Not the preference loss of the same name (arXiv 2310.12036).")
    aggregation = "token-mean"
    reads_logprobs = True
    pulls_without_advantage = True

    delta: float = knob(
        0.1,
        lo=1e-4,
        hi=1.0,
        symbol="δ",
        latex=r"\delta",
        ui=(0.01, 1.0),
        help="How far the token's probability may move before it is left out.",
        names={"prime-rl": "ipo_threshold"},
    )
    kl_tau: float = _kl_tau()

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        moved = (logprobs.detach().exp() - old_logprobs.exp()).abs()  # a decision, not a path for gradient
        kept = torch.where(moved > self.delta, 0.0, advantages)
        return log_ratio.exp() * kept - self.kl_tau * log_ratio**2
