"""What a correction for the sampler (ρ = π_old/π_sampler) would do to a file's sequences.

Weights are those of `Correction.weights`. A sum over a sequence grows with its length, so a bound on it that no short
answer ever reaches drops long ones whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from sapo_viz.core.correction import Correction, choice_of
from sapo_viz.core.correction_choices import USUAL, Usual
from sapo_viz.core.lazy import torch
from sapo_viz.rollouts.schema import Rollouts


@dataclass(frozen=True)
class Corrected:
    """One correction on one file. Arrays are [N], one number per sequence."""

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

    @property
    def takeaway(self) -> str:
        """Which answers are lost, in numbers."""
        used, lost = int((self.lengths > 0).sum()), int(self.dropped.sum())
        if not lost:
            return f"{self.usual.label}: none of {used:,} answers is dropped whole."
        text = f"{self.usual.label}: {lost:,} of {used:,} answers ({lost / used:.0%}) are dropped whole"
        if lost < used:
            return (
                f"{text}; they have {self.length_dropped:,.0f} tokens on average, the others {self.length_kept:,.0f}."
            )
        return text + "."


def corrected_as(rollouts: Rollouts, correction: Correction) -> Corrected | None:
    """The same for one of the choices with bounds of its own."""
    return corrected(rollouts, replace(USUAL[choice_of(correction)], correction=correction))


def corrected(rollouts: Rollouts, usual: Usual) -> Corrected | None:
    """What it does to the file; None where the sampler's log-probs are missing."""
    if rollouts.sampler_logprobs is None or np.isnan(rollouts.sampler_logprobs).all():
        return None
    mask = rollouts.mask & ~np.isnan(rollouts.old_logprobs)
    apart = np.where(mask, rollouts.old_logprobs - rollouts.sampler_logprobs, 0.0)
    apart[np.isnan(apart)] = 0.0  # the sampler gave none for this token: equal, as in TRL
    starts = rollouts.offsets[:-1]
    sums, lengths = np.add.reduceat(apart, starts), np.add.reduceat(mask, starts, dtype=np.int64)
    if usual.correction.level == "token":
        weights = _weights(usual.correction, apart, mask)
    else:  # one number per sequence, which is a sequence of one token to the correction
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
