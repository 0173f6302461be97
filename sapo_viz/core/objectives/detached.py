"""Objectives whose ratio is a stopped coefficient on log π, and the baseline with no gate at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sapo_viz.core.knobs import knob
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Objective, by_sign, register

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
    family = "stopped ratio"
    paper = "2506.13585"
    formula = (
        r"\operatorname{sg}\!\big[\operatorname{clip}(r,\,1-\varepsilon_{\text{low}},\,"
        r"1+\varepsilon_{\text{high}})\big]\,A\,\log\pi_\theta"
    )
    idea = "No token is cut: a large ratio is capped instead, so its gradient stays, at the cap."
    frameworks = {
        "TRL": 'loss_type="cispo", epsilon_high=5.0',
        "verl": "loss_mode=cispo",
        "ms-swift": "--loss_type cispo --epsilon_high 5.0",
        "torchforge": "CISPOLoss",
        "SkyRL": "policy_loss_type=cispo, loss_reduction=token_mean",
    }
    notes = (
        "TRL and ms-swift take epsilon_high as the cap itself (5.0 is 1 + ε_high = 5 here) and have no lower one; "
        "not set, it is epsilon in both, and every weight is capped at 0.2. verl and torchforge clip to 1 ± ε.",
        "TRL and ms-swift divide by the tokens of the whole optimiser step over all processes.",
    )
    aggregation = "token-mean"
    reads_logprobs = True

    eps_low: float = knob(
        1.0,
        lo=0.0,
        hi=1.0,
        symbol="ε_low",
        latex=r"\varepsilon_{\text{low}}",
        help="The ratio is not taken below 1 − ε_low; 1 means no lower cap.",
        names={"verl": "clip_ratio_low", "torchforge": "clip_low", "SkyRL": "cispo_eps_clip_low"},
    )
    eps_high: float = knob(
        4.0,
        lo=0.0,
        hi=100.0,
        symbol="ε_high",
        latex=r"\varepsilon_{\text{high}}",
        ui=(0.0, 10.0),
        help="The ratio is not taken above 1 + ε_high.",
        names={
            "TRL": "epsilon_high = 1 + ε_high",
            "verl": "clip_ratio_high",
            "ms-swift": "epsilon_high = 1 + ε_high",
            "torchforge": "clip_high",
            "SkyRL": "cispo_eps_clip_high",
        },
    )

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        cap = log_ratio.exp().clamp(1 - self.eps_low, 1 + self.eps_high)
        cap = cap.detach()  # the weight is a number, not a path for gradient: that is the method
        return cap * advantages * logprobs


@register
@dataclass(frozen=True)
class Unclipped(Objective):
    """Importance-weighted policy gradient (arXiv 1707.06347), J = rA: the baseline that shows what clipping is for."""

    name = "unclipped"
    label = "Unclipped"
    family = "no gate"
    paper = "1707.06347"
    formula = "rA"
    idea = "No gate: every token keeps full weight, however far its ratio has moved."

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        return torch.exp(log_ratio) * advantages


_DPPO_ELSEWHERE = (
    "verl gives the thresholds as clip_ratio_low and clip_ratio_high, which are no band of ratios here. Its cap is "
    "clip_ratio_c, 3 unless it is set, where the paper asks for a large one; its aggregation is token-mean.",
    "TRL had a DPPOTrainer for some months of 2026; TRL 1.16 has none.",
    "SkyRL takes the ratio against the sampler's log-probs where it has them, and has no cap.",
)


def _delta(side: str) -> Any:
    return knob(
        0.2,
        lo=1e-4,
        hi=1.0,
        symbol="δ_" + side,
        latex=rf"\delta_{{\text{{{side}}}}}",
        ui=(0.01, 1.0),
        help="How far the token's probability may move in the harmful direction before it gets no gradient.",
        names={"verl": "clip_ratio_" + side, "SkyRL": "delta_" + side},
    )


@dataclass(frozen=True)
class _Dppo(Objective):
    """DPPO (arXiv 2602.04879): trust a token by how far its *probability* moved, not its ratio.

    J = sg[min(r, cap)]·A·log π·1[divergence ≤ δ, or the move is corrective]. A rare token may double or triple
    and stay; a common one may not. The divergence is that of "this token or another".
    """

    paper = "2602.04879"
    reads_logprobs = True

    delta_low: float = _delta("low")
    delta_high: float = _delta("high")
    ratio_cap: float = knob(
        20.0,
        lo=1.0,
        hi=1000.0,
        symbol="cap",
        latex=r"\text{cap}",
        ui=(1.0, 40.0),
        step=0.5,
        help="Upper cap of the ratio.",
        names={"verl": "clip_ratio_c"},
    )

    def divergence(self, new: Tensor, old: Tensor) -> Tensor:
        """How far the token's probability moved, from log-probs; ≥ 0. [B, T], [B, T] -> [B, T]"""
        raise NotImplementedError

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        moved = self.divergence(logprobs.detach(), old_logprobs)  # a decision, not a path for gradient
        up, down = log_ratio > 0, log_ratio < 0
        harmful = torch.where(advantages > 0, up & (moved > self.delta_high), down & (moved > self.delta_low))
        weight = log_ratio.exp().clamp(max=self.ratio_cap)
        weight = weight.detach()  # as in CISPO
        return torch.where(harmful, 0.0, weight * advantages * logprobs)


@register
@dataclass(frozen=True)
class DppoTv(_Dppo):
    """DPPO with total variation (arXiv 2602.04879): |π_θ − π_old| of the token."""

    name = "dppo_tv"
    label = "DPPO-TV"
    family = "stopped ratio"
    formula = (
        r"\operatorname{sg}[\min(r,\text{cap})]\,A\log\pi_\theta\cdot"
        r"\mathbf 1\big[|\pi_\theta-\pi_{\text{old}}|\le\delta\ \text{or corrective}\big]"
    )
    idea = "A switch on how far the token's probability moved (total variation), whatever its ratio."
    frameworks = {"verl": "loss_mode=dppo_tv", "SkyRL": "policy_loss_type=dppo, dppo_type=binary_tv"}
    notes = _DPPO_ELSEWHERE

    def divergence(self, new: Tensor, old: Tensor) -> Tensor:
        return (new.exp() - old.exp()).abs()


@register
@dataclass(frozen=True)
class DppoKl(_Dppo):
    """DPPO with the binary KL divergence from π_old to π_θ (arXiv 2602.04879)."""

    name = "dppo_kl"
    label = "DPPO-KL"
    family = "stopped ratio"
    formula = (
        r"\operatorname{sg}[\min(r,\text{cap})]\,A\log\pi_\theta\cdot"
        r"\mathbf 1\big[\mathrm{KL}_2(\pi_{\text{old}}\|\pi_\theta)\le\delta\ \text{or corrective}\big]"
    )
    idea = "A switch on how far the token's probability moved (binary KL), whatever its ratio."
    frameworks = {"verl": "loss_mode=dppo_kl", "SkyRL": "policy_loss_type=dppo, dppo_type=binary_kl"}
    notes = (*_DPPO_ELSEWHERE, "verl adds 1e-8 to the probabilities of the rest before it takes their logarithm.")

    def divergence(self, new: Tensor, old: Tensor) -> Tensor:
        rest_new, rest_old = -torch.expm1(new), -torch.expm1(old)  # 1 − p, exact near p = 1
        of_rest = rest_old * (rest_old.log() - rest_new.log())
        # π_old = 1 leaves no rest: 0·log 0 is 0 there, and the NaN it computes to would pass for "has not moved".
        return old.exp() * (old - new) + torch.where(rest_old > 0, of_rest, 0.0)


def _shape(default: float, symbol: str, latex: str, name: str, meaning: str) -> Any:
    names = {"TRL": "vespo_" + name}
    more: dict[str, Any] = dict(ui=(0.0, 10.0), step=0.1, help=meaning, names=names)
    return knob(default, lo=0.0, hi=20.0, symbol=symbol, latex=latex, **more)


@register
@dataclass(frozen=True)
class Vespo(Objective):
    """VESPO (arXiv 2602.10693): a smooth bell on the whole sequence's importance weight W = Π r.

    J = sg[φ(W)]·A·log π with φ(W) = e^λ·W^k·e^(−λW), so φ(1) = 1. W multiplies over tokens, so a long sequence
    is damped sooner than by GSPO's mean.
    """

    name = "vespo"
    label = "VESPO"
    family = "stopped ratio"
    paper = "2602.10693"
    formula = (
        r"\operatorname{sg}[\varphi(W)]\,A\log\pi_\theta,"
        r"\ \ \varphi(W)=e^{\lambda}W^{k}e^{-\lambda W},\ \ W=\prod_t r_t"
    )
    idea = "One dimmer for the whole sequence, on the product of its ratios."
    frameworks = {"TRL": 'loss_type="vespo"'}
    notes = (
        "TRL clamps each token's log r to ±20 and then their sum to [log 1e-8, 20]; here the sum is held within ±20.",
    )
    ratio_level = "sequence-product"
    aggregation = "token-mean"
    reads_logprobs = True

    k_pos: float = _shape(2.0, "k₊", "k_+", "k_pos", "Power of W for positive advantage.")
    lambda_pos: float = _shape(3.0, "λ₊", r"\lambda_+", "lambda_pos", "Decay in W for positive advantage.")
    k_neg: float = _shape(3.0, "k₋", "k_-", "k_neg", "Power of W for negative advantage.")
    lambda_neg: float = _shape(2.0, "λ₋", r"\lambda_-", "lambda_neg", "Decay in W for negative advantage.")

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        k = by_sign(advantages, self.k_pos, self.k_neg)
        decay = by_sign(advantages, self.lambda_pos, self.lambda_neg)
        weight = torch.exp(k * log_ratio - decay * torch.expm1(log_ratio))
        weight = weight.detach()  # as in CISPO
        return weight * advantages * logprobs
