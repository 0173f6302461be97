"""Objectives in which other tokens affect what a token counts: those after it, or all tokens of the batch.

What the others decide is worked out first (`among`): one number per token, without gradient. The surrogate is then a
formula of the token and that number. The curves show a token by itself, and so does a
file, whose mini-batches are not known, unless the others are of the same sequence (`within_sequence`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sapo_viz.core.knobs import knob
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Family, Objective, register

if TYPE_CHECKING:
    from torch import Tensor


def _band(side: str, default: float) -> Any:
    hi, where = (1.0, "below 1 the ratio may fall") if side == "low" else (5e8, "above 1 the ratio may rise")
    sign = "negative" if side == "low" else "positive"
    return knob(
        default,
        lo=1e-5,
        hi=hi,
        symbol="ε_" + side,
        latex=rf"\varepsilon_{{\text{{{side}}}}}",
        ui=(0.01, 0.99),
        help=f"How far {where} before tokens with {sign} advantage get no gradient.",
        names={
            "verl": "clip_ratio_" + side,
            "ms-swift": "epsilon" if side == "low" else "epsilon_high",
            "SkyRL": "eps_clip_" + side,
        },
    )


_IN_FILES = "What is shown of a file is each token by itself: which tokens made up a mini-batch is not in it."


def _covariances(advantages: Tensor, logprobs: Tensor, mask: Tensor) -> Tensor:
    """(A − mean A)(log π − mean log π), means over the response tokens of the batch. [B, T] -> [B, T]"""
    count = mask.sum().clamp(min=1)
    centred = [x - torch.where(mask, x, 0.0).sum() / count for x in (advantages, logprobs)]
    return centred[0] * centred[1]


def _largest(values: Tensor, eligible: Tensor, count: int) -> Tensor:
    """True for the `count` largest values among the eligible; the earlier of two that are equal. [B, T] -> [B, T]"""
    order = torch.where(eligible, values, -torch.inf).flatten().argsort(descending=True, stable=True)
    chosen = torch.zeros_like(eligible).flatten()
    chosen[order[:count]] = True
    return chosen.view_as(eligible) & eligible


def _clipped(ratio: Tensor, advantages: Tensor, low: float, high: float) -> Tensor:
    return torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)


@register
@dataclass(frozen=True)
class Fipo(Objective):
    """FIPO (arXiv 2603.19835): GRPO's clip, times how much more likely the rest of the sequence has become.

    J = sg[f]·min(rA, clip(r)A), f = clip(exp Σ_{k≥t} γ^(k−t) log r_k, 1, 1+ε_f): tokens that lead to what the policy
    now prefers count up to ε_f more. Tokens with A < 0 and a ratio above the safety bound do not.
    """

    name = "fipo"
    label = "FIPO"
    family: ClassVar[Family] = "whole batch"
    paper = "2603.19835"
    formula = (
        r"\operatorname{sg}[f_t]\,\min\!\big(rA,\operatorname{clip}(r)A\big),\ \ "
        r"f_t=\operatorname{clip}\!\Big(e^{\sum_{k\ge t}\gamma^{k-t}\log r_k},\,1,\,1+\varepsilon_f\Big),"
        r"\ \gamma=2^{-1/h}"
    )
    idea = "GRPO's switch; a token also counts the more, the likelier what follows it has become."
    frameworks = {"ms-swift": "--loss_type fipo --epsilon_high 0.28"}
    notes = (
        "ms-swift can also let f fall below 1 (fipo_clip_high_only false), and leaves tokens above delta out of f.",
    )
    aggregation = "token-mean"
    reads_batch = True
    within_sequence = True

    eps_low: float = _band("low", 0.2)
    eps_high: float = _band("high", 0.28)
    half_life: float = knob(
        32.0,
        lo=1.0,
        hi=1e4,
        symbol="h",
        latex="h",
        scale="log",
        ui=(1.0, 512.0),
        help="Distance in tokens over which what follows counts half.",
        names={"ms-swift": "fipo_decay_rate"},
    )
    boost: float = knob(
        0.2,
        lo=0.0,
        hi=10.0,
        symbol="ε_f",
        latex=r"\varepsilon_f",
        ui=(0.0, 1.0),
        help="How much more a token may count.",
        names={"ms-swift": "fipo_clip_range"},
    )
    safety: float = knob(
        4.0,
        lo=1.0,
        hi=1000.0,
        symbol="r_safe",
        latex=r"r_{\text{safe}}",
        ui=(1.0, 20.0),
        step=0.1,
        help="Ratio above which a token with negative advantage counts no more than that.",
        names={"ms-swift": "fipo_safety_threshold"},
    )

    def among(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, mask: Tensor) -> Tensor:
        future = torch.zeros_like(log_ratio)
        total = torch.zeros_like(log_ratio[:, :1])
        decay = 2 ** (-1 / self.half_life)
        for place in reversed(range(log_ratio.shape[1])):  # a masked token adds 0
            total = decay * total + log_ratio[:, place : place + 1]
            future[:, place : place + 1] = total
        factor = future.exp().clamp(1.0, 1 + self.boost)
        unsafe = (advantages < 0) & (log_ratio.exp() > self.safety)
        return torch.where(unsafe, factor.clamp(0.8, 1.0), factor)

    def surrogate_among(
        self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor, among: Tensor
    ) -> Tensor:
        return among * _clipped(log_ratio.exp(), advantages, self.eps_low, self.eps_high)


@register
@dataclass(frozen=True)
class M2po(Objective):
    """M2PO (arXiv 2510.01161): GRPO's clip with a band that the batch sets, so that log² r stays within a budget.

    Its edges are e^±κ, κ being the largest |log r| for which the mean of log² r over the tokens on the harmful side,
    with larger ones held there, is within τ; it is never narrower than ε_low, ε_high. A calm batch is not clipped.
    """

    name = "m2po"
    label = "M2PO"
    family: ClassVar[Family] = "whole batch"
    paper = "2510.01161"
    formula = (
        r"\min\!\big(rA,\operatorname{clip}(r,\,e^{-\kappa},\,e^{\kappa})A\big),\ \ "
        r"\kappa:\ \operatorname{mean}\min(\log^2 r,\kappa^2)=\tau\ \text{where clipping harms}"
    )
    idea = "A switch whose band is as wide as the batch allows: only outliers are cut, however stale the batch is."
    notes = (
        "This is the authors' code (Infini-AI-Lab/M2PO, on verl), with its floors 0.3 and 0.5. AReaL's m2_threshold "
        "drops the largest log² r between two old policies, over all tokens.",
        _IN_FILES,
    )
    aggregation = "token-mean"
    reads_batch = True
    alone = 20.0  # no band: a ratio is held within e^±20 anyway

    budget: float = knob(
        0.04,
        lo=1e-6,
        hi=100.0,
        symbol="τ",
        latex=r"\tau",
        scale="log",
        ui=(1e-3, 1.0),
        help="Largest mean of log² r over tokens on the harmful side.",
    )
    eps_low: float = _band("low", 0.3)
    eps_high: float = _band("high", 0.5)

    def among(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, mask: Tensor) -> Tensor:
        harmful = mask & (advantages * log_ratio > 0)
        squares = (log_ratio[harmful] ** 2).sort().values
        kappa = torch.full_like(log_ratio, 20.0)
        if len(squares) == 0 or squares.mean() <= self.budget + 1e-12:
            return kappa
        rest = torch.arange(len(squares) - 1, -1, -1, device=squares.device)
        held = squares.cumsum(0) + (squares - 1e-12) * rest  # the sum, if all larger ones were held at this one
        first = int((held < self.budget * len(squares) - 1e-12).sum())
        widest = (squares[first - 1] - 1e-12).clamp(min=0.0).sqrt() if first else squares[0] * 0
        return torch.zeros_like(kappa) + widest

    def surrogate_among(
        self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor, among: Tensor
    ) -> Tensor:
        ratio = log_ratio.exp()
        low = torch.minimum(torch.exp(-among), torch.ones_like(among) - self.eps_low)
        high = torch.maximum(torch.exp(among), torch.ones_like(among) + self.eps_high)
        clipped = torch.minimum(torch.maximum(ratio, low), high)
        return torch.minimum(ratio * advantages, clipped * advantages)


@register
@dataclass(frozen=True)
class ClipCov(Objective):
    """Clip-Cov (arXiv 2505.22617): GRPO's clip, and a few tokens left out whose log π and A rise together.

    Of the tokens whose (A − mean A)(log π − mean log π) lies between two bounds some get no gradient, as many as a
    share of all tokens comes to: they are among those that lower the entropy most.
    """

    name = "clip_cov"
    label = "Clip-Cov"
    family: ClassVar[Family] = "whole batch"
    paper = "2505.22617"
    formula = (
        r"\min\!\big(rA,\operatorname{clip}(r)A\big)\cdot\mathbf 1[t\notin S],\ \ "
        r"S\subset\{\omega_l<\operatorname{cov}_t<\omega_h\}"
    )
    idea = "GRPO's switch, and a handful of tokens left out that would lower the entropy most."
    frameworks = {"verl": "loss_mode=clip_cov", "SkyRL": "policy_loss_type=clip_cov"}
    notes = (
        "Which tokens between the bounds are left out is drawn at random in the paper and in verl; here they are those "
        "with the largest covariance, so that equal batches have equal losses.",
        _IN_FILES,
    )
    aggregation = "token-mean"
    reads_batch = True
    alone = 1.0

    eps_low: float = _band("low", 0.2)
    eps_high: float = _band("high", 0.2)
    share: float = knob(
        2e-4,
        lo=1e-6,
        hi=1.0,
        symbol="k",
        latex="k",
        scale="log",
        ui=(1e-4, 0.1),
        help="Share of the batch's tokens that is left out; at least one.",
        names={"verl": "clip_cov_ratio", "SkyRL": "clip_ratio"},
    )
    bound_low: float = knob(
        1.0,
        lo=-1000.0,
        hi=1000.0,
        symbol="ω_l",
        latex=r"\omega_l",
        ui=(0.0, 10.0),
        step=0.1,
        help="Tokens with a smaller covariance stay.",
        names={"verl": "clip_cov_lb", "SkyRL": "clip_cov_lb"},
    )
    bound_high: float = knob(
        5.0,
        lo=-1000.0,
        hi=1000.0,
        symbol="ω_h",
        latex=r"\omega_h",
        ui=(0.0, 40.0),
        step=0.1,
        help="Tokens with a larger covariance stay.",
        names={"verl": "clip_cov_ub", "SkyRL": "clip_cov_ub"},
    )

    def among(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, mask: Tensor) -> Tensor:
        ratio, covariance = log_ratio.exp(), _covariances(advantages, logprobs, mask)
        cut = torch.where(advantages > 0, ratio > 1 + self.eps_high, (advantages < 0) & (ratio < 1 - self.eps_low))
        between = mask & ~cut & (covariance > self.bound_low) & (covariance < self.bound_high)
        left_out = _largest(covariance, between, max(int(self.share * int(mask.sum())), 1))
        return torch.where(left_out, torch.zeros_like(log_ratio), 1.0)

    def surrogate_among(
        self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor, among: Tensor
    ) -> Tensor:
        return among * _clipped(log_ratio.exp(), advantages, self.eps_low, self.eps_high)


@register
@dataclass(frozen=True)
class KlCov(Objective):
    """KL-Cov (arXiv 2505.22617): no clip; the few tokens whose log π and A rise together most are held near π_old.

    J = rA − β|log r| on the tokens with the largest (A − mean A)(log π − mean log π), rA on all others.
    """

    name = "kl_cov"
    label = "KL-Cov"
    family: ClassVar[Family] = "whole batch"
    paper = "2505.22617"
    formula = (
        r"rA-\beta\,|\log r|\,\mathbf 1[t\in S],\ \ "
        r"S=\operatorname{top}_k\operatorname{cov}_t"
    )
    idea = "No gate; a handful of tokens that would lower the entropy most is pulled back to where it was."
    frameworks = {"verl": "loss_mode=kl_cov", "SkyRL": "policy_loss_type=kl_cov"}
    notes = ("The paper's β is 1; verl's default is 0.1.", _IN_FILES)
    aggregation = "token-mean"
    reads_batch = True
    pulls_without_advantage = True

    share: float = knob(
        2e-4,
        lo=1e-6,
        hi=1.0,
        symbol="k",
        latex="k",
        scale="log",
        ui=(1e-4, 0.1),
        help="Share of the batch's tokens that is pulled back; at least one.",
        names={"verl": "kl_cov_ratio", "SkyRL": "kl_cov_frac"},
    )
    beta: float = knob(
        1.0,
        lo=0.0,
        hi=100.0,
        symbol="β",
        latex=r"\beta",
        ui=(0.0, 5.0),
        help="Strength of the pull.",
        names={"verl": "ppo_kl_coef", "SkyRL": "ppo_kl_coef"},
    )

    def among(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, mask: Tensor) -> Tensor:
        count = max(int(self.share * int(mask.sum())), 1)
        pulled = _largest(_covariances(advantages, logprobs, mask), mask, count)
        return torch.where(pulled, torch.ones_like(log_ratio), 0.0)

    def surrogate_among(
        self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor, among: Tensor
    ) -> Tensor:
        return log_ratio.exp() * advantages - self.beta * among * log_ratio.abs()
