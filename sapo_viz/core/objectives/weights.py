"""A·log π with a weight that is a number: none at all, a cap, a band, a reciprocal; no gradient through the ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sapo_viz.core.knobs import knob
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Family, Objective, register
from sapo_viz.core.objectives.clipped import Gspo

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class Gpg(Objective):
    """GPG (arXiv 2504.02546): the plain policy gradient, A·log π. Off-policy data count as if they were on-policy.

    Its coefficient is 1 at any ratio; the gate weight drawn, coefficient over ratio, is therefore 1/r.
    """

    name = "gpg"
    label = "GPG"
    family: ClassVar[Family] = "no gate"
    paper = "2504.02546"
    formula = r"A\,\log\pi_\theta"
    idea = "No ratio at all: every token counts the same, however far the policy has moved since it was sampled."
    frameworks = {"verl": "loss_mode=gpg"}
    notes = (
        "The paper also scales advantages by the share of groups that carry signal, which is not in this formula.",
    )
    aggregation = "token-mean"
    reads_logprobs = True

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        return advantages * logprobs


@register
@dataclass(frozen=True)
class Topr(Objective):
    """TOPR (arXiv 2503.14286): good sequences count in full, bad ones by their ratio, held between 0 and 1.

    J = A·log π for A > 0, sg[min(W, 1)]·A·log π for A ≤ 0, with W = Π r over the sequence: what the policy has
    unlearned already is not pushed further.
    """

    name = "topr"
    label = "TOPR"
    family: ClassVar[Family] = "stopped ratio"
    paper = "2503.14286"
    formula = (
        r"\begin{cases}A\log\pi_\theta&A>0\\ \operatorname{sg}[\min(W,1)]\,A\log\pi_\theta&A\le 0\end{cases},"
        r"\ \ W=\prod_t r_t"
    )
    idea = "Good sequences are imitated; bad ones lose weight once the policy has made them unlikely."
    notes = (
        "In the paper A is the reward itself, without a baseline (a run's Advantage = none).",
        "Trinity-RFT's `topr` takes each token's own ratio in place of the sequence's product.",
    )
    ratio_level = "sequence-product"
    reads_logprobs = True

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        tapered = torch.where(advantages > 0, 0.0, log_ratio.clamp(max=0.0)).exp()
        tapered = tapered.detach()  # a weight, as in CISPO
        return tapered * advantages * logprobs


@register
@dataclass(frozen=True)
class IcePop(Objective):
    """IcePop (arXiv 2510.18855): tokens whose ratio leaves a wide band are dropped, on both sides and for both signs.

    J = sg[r·1(α ≤ r ≤ β)]·A·log π. It was made for the mismatch between sampler and trainer: r is then the trainer's
    probability over the sampler's.
    """

    name = "icepop"
    label = "IcePop"
    family: ClassVar[Family] = "stopped ratio"
    paper = "2510.18855"
    formula = r"\operatorname{sg}\big[r\,\mathbf 1[\alpha\le r\le\beta]\big]\,A\,\log\pi_\theta"
    idea = "Tokens on which two engines disagree too much are left out, whichever way they disagree."
    frameworks = {"verl": "algorithm.rollout_correction.rollout_is=token, rollout_is_threshold=0.5_5.0"}
    notes = (
        "In the paper and in verl's decoupled mode this weight (trainer over sampler) multiplies a clipped loss whose "
        "own ratio is new over old; with old log-probs from the sampler there is one ratio, as in verl's bypass mode.",
    )
    aggregation = "token-mean"
    reads_logprobs = True

    low: float = knob(
        0.5,
        lo=0.0,
        hi=1.0,
        symbol="α",
        latex=r"\alpha",
        help="Tokens with a smaller ratio get no gradient.",
    )
    high: float = knob(
        5.0,
        lo=1.0,
        hi=1000.0,
        symbol="β",
        latex=r"\beta",
        ui=(1.0, 20.0),
        step=0.1,
        help="Tokens with a larger ratio get no gradient.",
    )

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        ratio = log_ratio.exp()
        weight = torch.where((ratio < self.low) | (ratio > self.high), 0.0, ratio)
        weight = weight.detach()  # a weight, as in CISPO
        return weight * advantages * logprobs


@register
@dataclass(frozen=True)
class Aspo(Objective):
    """ASPO (arXiv 2510.06062): for A > 0 the ratio is turned over, so that unlikely good tokens get the larger push.

    The coefficient is min(1/r, c) for A > 0 and min(r, c) for A ≤ 0, and 0 beyond GRPO's clip on the harmful side.
    """

    name = "aspo"
    label = "ASPO"
    family: ClassVar[Family] = "stopped ratio"
    paper = "2510.06062"
    formula = (
        r"\operatorname{sg}[k]\,A\,\log\pi_\theta,\ \ k=\begin{cases}"
        r"\min(1/r,\,c)\,\mathbf 1[r\le 1+\varepsilon_{\text{high}}]&A>0\\"
        r"\min(r,\,c)\,\mathbf 1[r\ge 1-\varepsilon_{\text{low}}]&A\le 0\end{cases}"
    )
    idea = "GRPO's switch; inside it a good token counts the more, the further the policy has left it behind."
    notes = (
        "The authors' code (wizard-III/Archer2.0) writes it with a differentiable ratio inside the clip, which has the "
        "same gradient and another value, and has a second pair of ε for tokens of high entropy.",
    )
    aggregation = "token-mean"
    reads_logprobs = True

    eps_low: float = knob(
        0.2,
        lo=1e-5,
        hi=1.0,
        symbol="ε_low",
        latex=r"\varepsilon_{\text{low}}",
        ui=(0.01, 0.99),
        help="How far below 1 the ratio may fall before tokens with negative advantage get no gradient.",
    )
    eps_high: float = knob(
        0.2,
        lo=1e-5,
        hi=5e8,
        symbol="ε_high",
        latex=r"\varepsilon_{\text{high}}",
        ui=(0.01, 0.99),
        help="How far above 1 the ratio may rise before tokens with positive advantage get no gradient.",
    )
    cap: float = knob(
        3.0,
        lo=1.01,
        hi=100.0,
        symbol="c",
        latex="c",
        ui=(1.1, 20.0),
        step=0.1,
        help="Largest coefficient; beyond it the gradient stays, at the cap.",
    )

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        ratio = log_ratio.exp()
        good = torch.where(ratio > 1 + self.eps_high, 0.0, torch.exp(-log_ratio).clamp(max=self.cap))
        bad = torch.where(ratio < 1 - self.eps_low, 0.0, ratio.clamp(max=self.cap))
        weight = torch.where(advantages > 0, good, bad)
        weight = weight.detach()  # a weight, as in CISPO
        return weight * advantages * logprobs


@register
@dataclass(frozen=True)
class GspoToken(Gspo):
    """GSPO-token (arXiv 2507.18071): GSPO's ratio and clip, with a gradient of each token's own.

    Each token has s_t = sg[s]·π_θ/sg[π_θ], which is s in value. With one advantage for a sequence it is GSPO; with one
    for each token (several turns, process rewards) a token gets its own A and not the sequence's mean.
    """

    name = "gspo_token"
    label = "GSPO-token"
    family = "sequence level"
    paper = "2507.18071"
    formula = (
        r"\min\!\big(s_tA,\ \operatorname{clip}(s_t,\,1-\varepsilon_{\text{low}},\,1+\varepsilon_{\text{high}})\,A"
        r"\big),\ \ s_t=\operatorname{sg}[s]\,\tfrac{\pi_\theta}{\operatorname{sg}[\pi_\theta]}"
    )
    idea = "GSPO's one switch for the whole sequence; each token then carries its own advantage."
    frameworks = {
        "verl": "loss_mode=gspo, loss_agg_mode=seq-mean-token-mean",
        "torchforge": "GSPOLoss",
        "SkyRL": "policy_loss_type=gspo, loss_reduction=sequence_mean",
    }
    notes = ("verl holds log s below 10, and not from below.",)

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        own = log_ratio.detach() + logprobs - logprobs.detach()  # s in value, the token's own in gradient
        return super().surrogate(own, advantages, logprobs, old_logprobs)
