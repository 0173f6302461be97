"""Soft gates: the weight falls smoothly as the ratio leaves 1, and nothing is cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sapo_viz.core.knobs import knob
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Objective, by_sign, register

if TYPE_CHECKING:
    from torch import Tensor


def tau(
    default: float, symbol: str = "τ", latex: str = r"\tau", tokens: str = "all tokens", side: str | None = None
) -> Any:
    """The knob of a gate's temperature."""
    return knob(
        default,
        lo=0.05,
        hi=20.0,
        symbol=symbol,
        latex=latex,
        scale="log",
        ui=(0.1, 20.0),
        help=f"Temperature of the gate for {tokens}: larger closes it sooner.",
        names={
            **dict.fromkeys(("TRL", "Liger"), f"sapo_temperature_{side}"),
            **dict.fromkeys(("verl", "ms-swift", "torchforge", "SkyRL"), f"tau_{side}"),
            "AReaL": f"sapo_tau_{side}",
        }
        if side
        else None,
    )


@register
@dataclass(frozen=True)
class Sapo(Objective):
    """Soft Adaptive Policy Optimization (arXiv 2511.20347): a sigmoid in r in place of the clip.

    J = (4/τ)·σ(τ(r−1))·A, so the weight is 4p(1−p) = sech²(τ(r−1)/2) with p = σ(τ(r−1)). Unlike the
    clipped family the gate is two-sided: it damps corrective moves too.
    """

    name = "sapo"
    label = "SAPO"
    family = "soft gate"
    paper = "2511.20347"
    formula = r"\tfrac{4}{\tau}\,\sigma\big(\tau(r-1)\big)A,\ \ \tau=\begin{cases}\tau_+&A>0\\ \tau_-&A\le 0\end{cases}"
    idea = "A dimmer: the further a token's ratio is from 1, the fainter its gradient; nothing is cut."
    frameworks = {
        "TRL": 'loss_type="sapo"',
        "verl": "loss_mode=sapo",
        "ms-swift": "--loss_type sapo",
        "torchforge": "SAPOLoss",
        "SkyRL": "policy_loss_type=sapo, loss_reduction=sequence_mean",
        "AReaL": "use_sapo_loss=true, use_decoupled_loss=false",
        "Liger": 'LigerFusedLinearGRPOLoss(loss_type="sapo")',
    }
    notes = (
        "ms-swift 3.11 left out the factor 4/τ, so the gradient on-policy was τ/4; later versions have it.",
        "With importance_sampling_level=sequence TRL and ms-swift put the sequence ratio s into this same gate: "
        "one gate for all tokens of a sequence, which is not SAPO as in the paper.",
        "AReaL refuses SAPO together with use_decoupled_loss. SkyRL warns where loss_reduction is another.",
        "verl always takes the mean over sequences of token means here; its loss_agg_mode is not looked at.",
    )

    tau_pos: float = tau(1.0, "τ₊", r"\tau_+", "tokens with positive advantage", "pos")
    tau_neg: float = tau(1.05, "τ₋", r"\tau_-", "tokens with negative advantage", "neg")

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        tau = by_sign(advantages, self.tau_pos, self.tau_neg)
        return 4 / tau * torch.sigmoid(tau * torch.expm1(log_ratio)) * advantages  # expm1(z) = r − 1
