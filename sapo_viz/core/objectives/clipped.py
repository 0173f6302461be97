"""Hard clipping and its variants: full weight inside a band, none beyond it on the harmful side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sapo_viz.core.knobs import knob
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Family, Objective, register

if TYPE_CHECKING:
    from torch import Tensor


# 1 and 5e8 switch the clips off exactly: a ratio lies above 0 and, its log being held within ±20, below 4.9e8.


def _eps_low(default: float, **more: Any) -> Any:
    text = "How far below 1 the ratio may fall before tokens with negative advantage get no gradient."
    names = {"TRL": "epsilon", "verl": "clip_ratio_low", "ms-swift": "epsilon", "torchforge": "clip_low"}
    names |= {"SkyRL": "eps_clip_low", "AReaL": "eps_clip"}
    latex = r"\varepsilon_{\text{low}}"
    more = {"hi": 1.0} | more
    return knob(default, lo=1e-5, symbol="ε_low", latex=latex, help=text, names=names, **more)


def _eps_high(default: float, **more: Any) -> Any:
    text = "How far above 1 the ratio may rise before tokens with positive advantage get no gradient."
    names = {"TRL": "epsilon_high", "verl": "clip_ratio_high", "ms-swift": "epsilon_high", "torchforge": "clip_high"}
    names |= {"SkyRL": "eps_clip_high", "AReaL": "eps_clip_higher"}
    latex = r"\varepsilon_{\text{high}}"
    more = {"hi": 5e8} | more
    return knob(default, lo=1e-5, symbol="ε_high", latex=latex, help=text, names=names, **more)


def _clip(ratio: str) -> str:
    band = r"1-\varepsilon_{\text{low}},\,1+\varepsilon_{\text{high}}"
    return rf"\min\!\big({ratio}A,\ \operatorname{{clip}}({ratio},\,{band})\,A\big)"


_TOKEN_BAND: dict[str, Any] = dict(ui=(0.01, 0.99))
_SEQUENCE_BAND: dict[str, Any] = dict(ui=(1e-4, 0.9), scale="log", step=1e-5)


@register
@dataclass(frozen=True)
class Grpo(Objective):
    """GRPO (arXiv 2402.03300): PPO's clipped surrogate with a group-relative advantage.

    J = min(rA, clip(r, 1−ε_low, 1+ε_high)·A). Corrective moves keep full weight, and for A < 0 nothing
    bounds r from above.
    """

    name = "grpo"
    label = "GRPO"
    family: ClassVar[Family] = "hard clip"
    paper = "2402.03300"
    formula = _clip("r")
    idea = "A switch: full gradient until the ratio leaves the band on the harmful side, then none."
    frameworks = {
        "TRL": 'loss_type="grpo"',
        "verl": "loss_mode=vanilla, loss_agg_mode=seq-mean-token-mean",
        "ms-swift": "--loss_type grpo",
        "torchforge": 'GRPOLoss(agg_type="sequence_mean", beta=0)',
        "SkyRL": "policy_loss_type=regular, loss_reduction=sequence_mean",
        "AReaL": "use_decoupled_loss=false",
    }
    notes: ClassVar[tuple[str, ...]] = (
        "verl's vanilla always has a second clip at clip_ratio_c = 3 for A < 0 (here: Dual clip), and takes the "
        "mean over all tokens unless told otherwise.",
        'TRL\'s default is loss_type="dapo", the mean over all tokens.',
        "torchforge's GRPOLoss is Dr. GRPO by default: divided by B·T, ε_high 0.28, and a KL term with β 0.1.",
        "AReaL takes the mean over all tokens, whatever the objective.",
    )

    eps_low: float = _eps_low(0.2, **_TOKEN_BAND)
    eps_high: float = _eps_high(0.2, **_TOKEN_BAND)

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1 - self.eps_low, 1 + self.eps_high)
        return torch.minimum(ratio * advantages, clipped * advantages)


@register
@dataclass(frozen=True)
class Gspo(Grpo):
    """GSPO (arXiv 2507.18071): GRPO's clip on the sequence ratio s = exp(mean z), all tokens in or out."""

    name = "gspo"
    label = "GSPO"
    family = "sequence level"
    paper = "2507.18071"
    formula = _clip("s")
    idea = "One switch for the whole sequence: the mean log-ratio decides for all of its tokens."
    ratio_level = "sequence"
    frameworks = {
        "TRL": 'loss_type="grpo", importance_sampling_level="sequence"',
        "verl": "loss_mode=gspo, loss_agg_mode=seq-mean-token-mean",
        "ms-swift": "--loss_type grpo --importance_sampling_level sequence",
        "torchforge": "GSPOLoss",
        "SkyRL": "policy_loss_type=gspo, loss_reduction=sequence_mean",
        "AReaL": "importance_sampling_level=sequence, use_decoupled_loss=false",
    }
    notes: ClassVar[tuple[str, ...]] = (
        "verl and torchforge give every token sg[s]·π/sg[π], which is s with a gradient of its own (GSPO-token); "
        "the gradient is the same as long as all tokens of a sequence share one advantage.",
        "verl holds log s below 10, and not from below.",
        "torchforge's default band is 0.2 / 0.2, some 500 times the paper's; TRL's is GRPO's 0.2 too.",
        "verl takes its loss_agg_mode here too, which is token-mean unless it is set: long sequences then count more.",
    )

    eps_low: float = _eps_low(3e-4, **_SEQUENCE_BAND)
    eps_high: float = _eps_high(4e-4, **_SEQUENCE_BAND)


@register
@dataclass(frozen=True)
class Dapo(Grpo):
    """DAPO (arXiv 2503.14476): GRPO with a higher upper bound and the mean taken over all tokens.

    "Clip-higher" leaves unlikely tokens more room to grow; token-mean gives long sequences their share.
    """

    name = "dapo"
    label = "DAPO"
    family: ClassVar[Family] = "hard clip"
    paper = "2503.14476"
    idea = "GRPO's switch with more room above 1, and every token of the batch weighs the same."
    aggregation = "token-mean"
    frameworks = {
        "TRL": 'loss_type="dapo", epsilon_high=0.28',
        "verl": "loss_mode=vanilla, loss_agg_mode=token-mean, clip_ratio_high=0.28",
        "ms-swift": "--loss_type dapo --epsilon_high 0.28",
        "torchforge": "DAPOLoss",
        "SkyRL": "policy_loss_type=regular, loss_reduction=token_mean",
        "AReaL": "use_decoupled_loss=false",
    }
    notes = (
        'In TRL and ms-swift loss_type="dapo" chooses the aggregation only; ε_high has to be set beside it.',
        "TRL and ms-swift divide by the tokens of the whole optimiser step over all processes; here it is the "
        "batch that is passed in.",
        "verl's vanilla and torchforge's DAPOLoss have a second clip at c = 3 for A < 0.",
    )

    eps_high: float = _eps_high(0.28, **_TOKEN_BAND)


@register
@dataclass(frozen=True)
class DrGrpo(Grpo):
    """Dr. GRPO (arXiv 2503.20783): GRPO without its length and difficulty biases.

    The token sum is divided by B·T_max instead of each sequence's own length, and the advantage is not
    divided by the group's standard deviation.
    """

    name = "dr_grpo"
    label = "Dr. GRPO"
    family: ClassVar[Family] = "hard clip"
    paper = "2503.20783"
    idea = "GRPO's switch; long answers are no longer diluted, easy and hard prompts no longer rescaled."
    aggregation = "seq-mean-token-sum-norm"
    normalize_advantage_std = False
    frameworks = {
        "TRL": 'loss_type="dr_grpo", scale_rewards="none"',
        "verl": "loss_mode=vanilla, loss_agg_mode=seq-mean-token-sum-norm, norm_adv_by_std_in_grpo=False",
        "ms-swift": "--loss_type dr_grpo",
        "torchforge": "GRPOLoss(beta=0)",
        "SkyRL": "policy_loss_type=regular, loss_reduction=seq_mean_token_sum_norm, grpo_norm_by_std=false",
    }
    notes = (
        "The divisor T_max differs: max_completion_length in TRL and ms-swift, loss_scale_factor in verl (the padded "
        "width where it is not set), the padded width in torchforge; here max_length, or the padded width.",
        "The loss alone does not switch off the division of advantages by the group's standard deviation.",
        "SkyRL's divisor is max_seq_len, which has to be set.",
    )


@register
@dataclass(frozen=True)
class DualClip(Grpo):
    """Dual-clip PPO (arXiv 1912.09729): for A < 0 the surrogate does not fall below c·A.

    That is the bound that GRPO lacks: beyond r = c a token with negative advantage gets no gradient.
    """

    name = "dual_clip"
    label = "Dual clip"
    family: ClassVar[Family] = "hard clip"
    paper = "1912.09729"
    formula = r"\begin{cases}J^{\text{GRPO}}_t&A\ge 0\\ \max\big(J^{\text{GRPO}}_t,\ cA\big)&A<0\end{cases}"
    idea = "GRPO's switch with a second one: a token with negative advantage is cut once r exceeds c."
    frameworks = {
        "TRL": 'loss_type="grpo", delta=3.0',
        "verl": "loss_mode=vanilla, loss_agg_mode=seq-mean-token-mean",
        "ms-swift": "--loss_type grpo --delta 3.0",
        "torchforge": 'DAPOLoss(agg_type="sequence_mean")',
        "SkyRL": "policy_loss_type=dual_clip, loss_reduction=sequence_mean",
        "AReaL": "use_decoupled_loss=false",
    }
    notes = (
        "TRL and ms-swift cap the ratio at delta for both signs (INTELLECT-2, arXiv 2505.07291); that is this "
        "objective as long as delta is at least 1 + ε_high.",
    )

    dual_clip: float = knob(
        3.0,
        lo=1.01,  # at 1 the bound would cut half of the gradient on-policy; verl asks for more than 1 too
        hi=100.0,
        symbol="c",
        latex="c",
        ui=(1.1, 20.0),
        step=0.1,
        help="Ratio above which tokens with negative advantage get no gradient.",
        names={
            "TRL": "delta",
            "verl": "clip_ratio_c",
            "ms-swift": "delta",
            "torchforge": "dual_clip_c",
            "SkyRL": "clip_ratio_c",
            "AReaL": "c_clip",
        },
    )

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        clipped = super().surrogate(log_ratio, advantages, logprobs, old_logprobs)
        bounded = torch.maximum(clipped, advantages * self.dual_clip)
        return torch.where(advantages < 0, bounded, clipped)


@register
@dataclass(frozen=True)
class Luspo(Gspo):
    """LUSPO (arXiv 2602.05261): GSPO's surrogate times the length |y|, so that long answers keep their share.

    The factor is the aggregation here: token sums instead of token means.
    """

    name = "luspo"
    label = "LUSPO"
    family = "sequence level"
    paper = "2602.05261"
    formula = (
        r"|y|\,\min\!\big(sA,\ \operatorname{clip}(s,1-\varepsilon_{\text{low}},1+\varepsilon_{\text{high}})A\big)"
    )
    idea = "GSPO's switch for the whole sequence; each sequence counts by its length."
    aggregation = "seq-mean-token-sum"
    frameworks = {"TRL": 'loss_type="luspo", importance_sampling_level="sequence"'}
    notes = ("TRL's importance_sampling_level is token unless it is set, and then this is not LUSPO.",)


@register
@dataclass(frozen=True)
class Gmpo(Objective):
    """GMPO (arXiv 2507.20673): the geometric mean of ratios that are clipped in log space, sign-aware.

    J = A·exp(mean_t z̃), z̃ = min(z, ε_high) if A > 0 else max(z, −ε_low): a clipped token drops out of the
    gradient, the others keep the geometric mean as their coefficient.
    """

    name = "gmpo"
    label = "GMPO"
    family = "sequence level"
    paper = "2507.20673"
    formula = (
        r"A\prod_t \tilde r_t^{1/|y|},\ \ \log\tilde r_t=\begin{cases}\min(\log r_t,\varepsilon_{\text{high}})&A>0\\"
        r"\max(\log r_t,-\varepsilon_{\text{low}})&A\le 0\end{cases}"
    )
    idea = "One switch per token, in log space; those left share the sequence's geometric mean as coefficient."
    ratio_level = "sequence"
    frameworks = {"TRL": "`GMPOConfig` with `GMPOTrainer` (trl.experimental.gmpo)", "verl": "loss_mode=geo_mean"}
    notes = (
        "verl's mean runs over all sequences, those without a response token included, whatever its loss_agg_mode; "
        "log r is not held within ±20 before it is clipped.",
    )

    eps_low: float = _eps_low(0.4, hi=20.0, **_TOKEN_BAND)  # in log r
    eps_high: float = _eps_high(0.4, hi=20.0, **_TOKEN_BAND)

    def token_log_ratio(self, log_ratio: Tensor, advantages: Tensor) -> Tensor:
        clipped = log_ratio.clamp(-self.eps_low, self.eps_high)
        return torch.where(advantages > 0, torch.minimum(log_ratio, clipped), torch.maximum(log_ratio, clipped))

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        return torch.exp(log_ratio) * advantages
