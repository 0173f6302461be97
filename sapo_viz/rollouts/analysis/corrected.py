"""What each usual correction for the sampler (ρ = π_old/π_sampler) would do to a file's sequences, and its names.

Weights are those of `Correction.weights`. A sum over a sequence grows with its length, so a bound on it that no short
answer ever reaches drops long ones whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sapo_viz.core.correction import Correction
from sapo_viz.core.lazy import torch
from sapo_viz.rollouts.schema import Rollouts


@dataclass(frozen=True)
class Usual:
    """A correction that frameworks offer, with the bounds that are usual and what each framework calls it."""

    label: str
    correction: Correction
    names: Mapping[str, str]


TRL_DEFAULT = "sequence, masked"
# TRL 1.16 grpo_config.py; verl 0.9 rollout_corr; SkyRL OffPolicyCorrectionConfig; slime arguments.py; prime-rl's loss.
USUAL: dict[str, Usual] = {
    one.label: one
    for one in (
        Usual(
            "token, truncated",
            Correction("token", "truncate", 0.0, 2.0),
            {
                "TRL": 'vllm_importance_sampling_mode="token_truncate"',
                "verl": 'rollout_is="token", rollout_is_threshold=2.0',
                "SkyRL": "off_policy_correction.tis_ratio_type=token, token_tis_ratio_clip_high=2.0",
                "slime": "--use-tis --tis-clip 2.0 --tis-clip-low 0",
            },
        ),
        Usual(
            "token, masked",
            Correction("token", "mask", 0.125, 8.0),
            {
                "TRL": 'vllm_importance_sampling_mode="token_mask"',
                "verl": 'rollout_is="token", rollout_is_threshold="0.125_8.0" (IcePop)',
                "prime-rl": "loss.token_mask_low = 0.125, loss.token_mask_high = 8.0",
            },
        ),
        Usual(
            "sequence, truncated",
            Correction("sequence-sum", "truncate", 0.0, 5.0),
            {
                "TRL": 'vllm_importance_sampling_mode="sequence_truncate"',
                "verl": 'rollout_is="sequence", rollout_is_threshold=5.0',
                "SkyRL": "off_policy_correction.tis_ratio_type=sequence, sequence_tis_ratio_clip_high=5.0",
            },
        ),
        Usual(
            TRL_DEFAULT,
            Correction("sequence-sum", "mask", 0.0, 3.0),
            {
                "TRL": 'the default: vllm_importance_sampling_mode="sequence_mask", …_clip_max=3',
                "verl": 'rollout_is="sequence", rollout_is_threshold="0_3.0"',
                "SkyRL": "off_policy_correction.sequence_mask_metric=product, product_mask_low=0, product_mask_high=3",
            },
        ),
        Usual(
            "sequence mean, masked",
            Correction("sequence-mean", "mask", 0.99, 1.01),
            {"SkyRL": "off_policy_correction.sequence_mask_metric=geometric (0.99 to 1.01)"},
        ),
    )
}


@dataclass(frozen=True)
class Corrected:
    """One correction on one file. Arrays are [N], a number a sequence."""

    usual: Usual
    sums: np.ndarray  # Σ log ρ
    lengths: np.ndarray  # response tokens
    dropped: np.ndarray  # bool: every token has weight 0
    tokens_dropped: float  # share of response tokens with weight 0
    weight: float  # mean over response tokens
    ess: float  # effective sample size of the weights, as a share of the tokens

    @property
    def sequences_dropped(self) -> float:
        return float(self.dropped[self.lengths > 0].mean()) if (self.lengths > 0).any() else 0.0

    @property
    def length_dropped(self) -> float:
        """Mean length of what is dropped whole; NaN where nothing is."""
        return float(self.lengths[self.dropped].mean()) if self.dropped.any() else math.nan

    @property
    def length_kept(self) -> float:
        kept = ~self.dropped & (self.lengths > 0)
        return float(self.lengths[kept].mean()) if kept.any() else math.nan


def corrected(rollouts: Rollouts, usual: Usual) -> Corrected | None:
    """What it does to the file; None where there are no log-probs of who drew the tokens."""
    if rollouts.sampler_logprobs is None or np.isnan(rollouts.sampler_logprobs).all():
        return None
    mask = rollouts.mask & ~np.isnan(rollouts.old_logprobs)
    apart = np.where(mask, rollouts.old_logprobs - rollouts.sampler_logprobs, 0.0)
    apart[np.isnan(apart)] = 0.0  # the sampler gave none for this token: equal, as in TRL
    starts = rollouts.offsets[:-1]
    sums, lengths = np.add.reduceat(apart, starts), np.add.reduceat(mask, starts, dtype=np.int64)
    if usual.correction.level == "token":
        weights = _weights(usual.correction, apart, mask)
    else:  # one number a sequence, which is a sequence of one token to the correction
        one = sums / np.maximum(lengths, 1) if usual.correction.level == "sequence-mean" else sums
        weights = np.where(mask, np.repeat(_weights(usual.correction, one, lengths > 0), rollouts.lengths), 0.0)
    tokens = max(int(mask.sum()), 1)
    total, squares = float(weights.sum()), float((weights**2).sum())
    return Corrected(
        usual=usual,
        sums=sums,
        lengths=lengths,
        dropped=(lengths > 0) & (np.add.reduceat(weights, starts) == 0),
        tokens_dropped=float((weights[mask] == 0).mean()) if mask.any() else 0.0,
        weight=total / tokens,
        ess=total**2 / max(squares * tokens, 1e-300),
    )


def _weights(correction: Correction, log_ratios: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """[K] log ρ -> [K] weights, each by itself."""
    rho = torch.from_numpy(np.ascontiguousarray(log_ratios))[:, None]
    return np.asarray(correction.weights(rho, torch.zeros_like(rho), torch.from_numpy(np.array(mask))[:, None])[:, 0])
