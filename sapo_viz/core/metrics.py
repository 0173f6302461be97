"""What one batch looked like under one objective. Each metric states formula and healthy range here, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sapo_viz.core.kl import k3
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import LOG_RATIO_LIMIT

if TYPE_CHECKING:
    from torch import Tensor

    from sapo_viz.core.token_view import TokenView


@dataclass(frozen=True)
class Metric:
    """A number that is logged or shown: what it is, how it is computed, what is usual."""

    name: str
    label: str
    formula: str
    healthy: str
    frameworks: Mapping[str, str] = field(default_factory=dict, hash=False)  # framework -> what it logs this as


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "loss", "Loss", "−aggregate(J)", "near 0; its size says little, its jumps do",
            {
                "TRL": "loss", "verl": "actor/pg_loss", "ms-swift": "loss", "SkyRL": "policy/final_loss",
                "slime": "train/loss",
            },
        ),
        Metric("gate_mean", "Gradient kept", "Σ|A|·w / Σ|A|", "above 0.9 in calm runs; 1 on-policy"),
        Metric(
            "clip_fraction", "Clip fraction", "share of tokens with A ≠ 0 and c = 0", "below 0.2 for token clips",
            {
                "TRL": "clip_ratio/region_mean", "verl": "actor/pg_clipfrac", "ms-swift": "clip_ratio/region_mean",
                "OpenRLHF": "ppo_clip_ratio", "SkyRL": "policy/loss_metrics/clip_ratio", "slime": "train/pg_clipfrac",
                "torchforge": "`loss/clip/low_fraction` + `loss/clip/high_fraction`",
            },
        ),
        Metric(
            "kl_old", "KL to old", "mean(r − 1 − log r), from old's samples", "below 0.01 per update",
        ),
        Metric(
            "kl_old_k1", "KL to old, k1", "mean(−log r), from old's samples",
            "as KL to old on average, with more noise: it may fall below 0",
            {
                "verl": "actor/ppo_kl", "OpenRLHF": "ppo_kl", "slime": "train/ppo_kl",
                "torchforge": "loss/kl_policy/mean",
            },
        ),
        Metric("ratio_p01", "Ratio, 1 %", "1st percentile of r", "0.8 to 1"),
        Metric("ratio_p50", "Ratio, median", "median of r", "1"),
        Metric("ratio_p99", "Ratio, 99 %", "99th percentile of r", "1 to 1.3"),
        Metric("ratio_max", "Ratio, max", "largest r", "below 3; outliers drive collapses"),
    )
}  # fmt: skip


def batch_metrics(tokens: TokenView, logprobs: Tensor, old_logprobs: Tensor) -> dict[str, float]:
    """The metrics of a batch, as floats; a batch without response tokens gives the on-policy values."""
    mask = tokens.mask
    weight = tokens.advantages.abs()[mask]
    if weight.numel() == 0:
        ratios = dict.fromkeys(("ratio_p01", "ratio_p50", "ratio_p99", "ratio_max"), 1.0)
        return dict(gate_mean=1.0, clip_fraction=0.0, kl_old=0.0, kl_old_k1=0.0) | ratios
    log_ratio = (logprobs.detach().to(weight.dtype) - old_logprobs.detach().to(weight.dtype))[mask]
    signal = weight > 0
    total = weight.sum()
    kept = (weight * tokens.gate_weight[mask]).sum() / total if bool(signal.any()) else torch.ones(())
    cut = (tokens.coefficient[mask][signal] == 0).to(weight.dtype).mean() if bool(signal.any()) else torch.zeros(())
    # quantile() refuses more than 16M values; sort does not.
    ordered = log_ratio.sort().values.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    pick = [ordered[round(q * (len(ordered) - 1))] for q in (0.01, 0.5, 0.99, 1.0)]
    kl_old = k3(log_ratio.clamp(max=LOG_RATIO_LIMIT)).mean()  # only exp overflows: a token far down counts in full
    values = [kept, cut, kl_old, -log_ratio.mean(), *pick]
    names = ("gate_mean", "clip_fraction", "kl_old", "kl_old_k1", "ratio_p01", "ratio_p50", "ratio_p99", "ratio_max")
    return dict(zip(names, (float(value) for value in values), strict=True))
