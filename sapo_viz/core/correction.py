"""What to do about a sampler that is not the trainer: a weight ρ = π_old/π_sampler on each token's surrogate.

Objectives gate π_θ/π_old, how far updates have moved the policy. Tokens that another engine drew (vLLM in bf16, weights
of a step ago) come from π_sampler and not from π_old; importance sampling corrects that by ρ, of a token or of a whole
sequence, bounded by truncation (TIS) or by a mask that drops what lies outside (IcePop). ρ is a constant: it changes
the measure and not the objective.

    here                 TRL vllm_importance_sampling_mode   verl rollout_is, rollout_is_threshold
    token-truncate       token_truncate                      token, "2.0"
    token-mask           token_mask                          token, "0.5_2.0" (IcePop)
    sequence-truncate    sequence_truncate                   sequence, "2.0"          ρ from the sum of log-ratios
    sequence-mask        sequence_mask, its default, high 3  sequence, "0.5_2.0"      the same
    sequence-mean-mask   –                                   – (its seq_mean_k1 only rejects, with ρ = 1)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from sapo_viz.core.batch import working_dtype
from sapo_viz.core.knobs import Knob
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import LOG_RATIO_LIMIT
from sapo_viz.errors import TensorError

if TYPE_CHECKING:
    from torch import Tensor

CorrectionLevel = Literal["token", "sequence-mean", "sequence-sum"]
CorrectionHow = Literal["truncate", "mask"]

# The choices by the one name that they have everywhere: settings, addresses, controls.
CHOICES: dict[str, tuple[CorrectionLevel, CorrectionHow]] = {
    "token-truncate": ("token", "truncate"),
    "token-mask": ("token", "mask"),
    "sequence-truncate": ("sequence-sum", "truncate"),
    "sequence-mask": ("sequence-sum", "mask"),
    "sequence-mean-mask": ("sequence-mean", "mask"),
}
OFF = "off"
LOW = Knob(
    "low", 0.0, 0.0, 1.0, "ρ_low", r"\rho_{\mathrm{low}}", "The smallest ρ that counts as it is.",
    ui_lo=0.0, ui_hi=1.0, step=0.005,
)  # fmt: skip
HIGH = Knob(
    "high", 2.0, 1.0, 1e6, "ρ_high", r"\rho_{\mathrm{high}}", "The largest ρ that counts as it is.",
    ui_lo=1.0, ui_hi=10.0, step=0.01,
)  # fmt: skip


@dataclass(frozen=True)
class Correction:
    """How tokens are weighed by ρ = π_old/π_sampler.

    Args:
        level: ρ of each token; or one of a sequence, from the mean of its tokens' log-ratios or from their sum. The sum
            is what importance sampling asks for, and grows with length: a mask at a fixed bound drops long answers.
        how: truncate holds ρ between the bounds; mask gives weight 0 to what lies outside.
        low, high: the bounds of ρ, 0 ≤ low ≤ high and high > 0; infinity for none.

    Raises:
        TensorError: a level or a way that there is not, or bounds that are none.
    """

    level: CorrectionLevel = "token"
    how: CorrectionHow = "truncate"
    low: float = 0.0
    high: float = 2.0

    def __post_init__(self) -> None:
        for name, taken in (("level", get_args(CorrectionLevel)), ("how", get_args(CorrectionHow))):
            if getattr(self, name) not in taken:
                raise TensorError(f"the correction's {name} is {getattr(self, name)!r}; it takes {' or '.join(taken)}.")
        for name in ("low", "high"):
            bound: Any = getattr(self, name)
            if isinstance(bound, bool) or not isinstance(bound, (int, float)) or not bound >= 0:  # false for NaN
                raise TensorError(f"the correction's {name} is {bound!r}; it takes a number from 0.")
        if not (self.low <= self.high and self.high > 0 and self.low < math.inf):
            raise TensorError(f"the correction's bounds are {self.low} and {self.high}; low is the smaller one.")

    def weights(self, old_logprobs: Tensor, sampler_logprobs: Tensor, mask: Tensor) -> Tensor:
        """[B, T] old and sampler log-probs and a bool mask -> [B, T] weights without gradient; 0 under the mask.

        A NaN among the sampler's means that it gave none for this token, which then counts as equal (as in TRL). log ρ
        is held within ±20, as verl holds it.
        """
        dtype = working_dtype(old_logprobs)
        with torch.no_grad():  # a change of measure, not a path for gradient
            told = mask & ~sampler_logprobs.isnan()
            old = torch.where(told, old_logprobs.to(dtype), 0.0)
            log_ratio = old - torch.where(told, sampler_logprobs.to(dtype), 0.0)
            if self.level != "token":
                total = log_ratio.sum(-1, keepdim=True)
                if self.level == "sequence-mean":
                    total = total / mask.sum(-1, keepdim=True).clamp(min=1)
                log_ratio = total.expand_as(mask)
            return torch.where(mask, bounded(self.how, log_ratio, self.low, self.high), 0.0)


def bounded(how: CorrectionHow, log_ratio: Tensor, low: Any, high: Any) -> Tensor:
    """log ρ at the correction's level -> the weight, of any shape; the browser's copy is printed from here."""
    ratio = log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    if how == "truncate":
        return ratio.clamp(low, high)
    return torch.where((ratio >= low) & (ratio <= high), ratio, 0.0)


def choice_of(correction: Correction | None) -> str:
    """The name among `CHOICES`; `off` for none, and for one that no framework offers."""
    levels = None if correction is None else (correction.level, correction.how)
    return next((name for name, both in CHOICES.items() if both == levels), OFF)


def correction_of(choice: str, low: float, high: float) -> Correction | None:
    """The correction of this name with these bounds; None for `off`.

    Raises:
        TensorError: there is no such choice, or the bounds are none.
    """
    if choice == OFF:
        return None
    if choice not in CHOICES:
        raise TensorError(f"the correction is {choice!r}; it takes {OFF}, {', '.join(CHOICES)}.")
    level, how = CHOICES[choice]
    return Correction(level, how, low, high)


def check_sampler(sampler_logprobs: Tensor, logprobs: Tensor, mask: Tensor) -> None:
    """TensorError that names what does not fit; NaN is allowed, infinity under the mask alone."""
    if not isinstance(sampler_logprobs, torch.Tensor) or not sampler_logprobs.is_floating_point():
        kind = str(getattr(sampler_logprobs, "dtype", type(sampler_logprobs).__name__))
        raise TensorError(f"sampler_logprobs is {kind}; it takes a floating-point tensor.")
    if sampler_logprobs.shape != logprobs.shape:
        shapes = f"{list(sampler_logprobs.shape)}; it takes that of logprobs, {list(logprobs.shape)}"
        raise TensorError(f"sampler_logprobs has shape {shapes}.")
    bad = mask & sampler_logprobs.isinf()
    if bool(bad.any()):
        row, column = bad.nonzero()[0].tolist()
        value = sampler_logprobs[row, column].item()
        says = "it takes finite numbers, or NaN where the sampler gave none"
        raise TensorError(f"sampler_logprobs[{row}, {column}] is {value}; {says}.")
