"""Group-relative advantages (arXiv 2402.03300): each completion against the others of its prompt."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Literal

from sapo_viz.core.lazy import torch
from sapo_viz.errors import TensorError

if TYPE_CHECKING:
    from torch import Tensor

_EPS = 1e-6  # a group whose rewards are all equal has no spread: 0/1e-6, not 0/0


def group_advantages(rewards: Tensor, *, normalize_std: bool = True) -> Tensor:
    """A = (R − mean)/(std + 1e-6) over the G completions of each prompt. [P, G] -> [P, G]

    The standard deviation is the sample one (G − 1), as in TRL and verl. With `normalize_std=False`
    A = R − mean (Dr. GRPO, arXiv 2503.20783). A group of one, or of equal rewards, has advantage 0.
    """
    if not rewards.is_floating_point():
        raise TensorError(f"rewards is {rewards.dtype}; it takes a floating-point tensor.")
    if rewards.dim() != 2:
        raise TensorError(f"rewards has shape {list(rewards.shape)}; it takes [prompts, completions].")
    bad = ~torch.isfinite(rewards)
    if bool(bad.any()):
        prompt, completion = bad.nonzero()[0].tolist()
        value = rewards[prompt, completion].item()
        raise TensorError(f"rewards[{prompt}, {completion}] is {value}; it takes finite numbers.")
    # The mean of equal floats may be a rounding off (0.1 + 0.1 + 0.1), and the division below would make
    # an advantage of order 1 of it: equal rewards are seen as such, exactly.
    equal = (rewards == rewards[:, :1]).all(-1, keepdim=True)
    centred = torch.where(equal, 0.0, rewards - rewards.mean(-1, keepdim=True))
    if not normalize_std or rewards.shape[-1] < 2:
        return centred
    return centred / (rewards.std(-1, keepdim=True) + _EPS)


def baseline_advantages(rewards: Tensor, how: Literal["std", "mean", "none"]) -> Tensor:
    """The same by name, or without any baseline: "none" gives A = R. [P, G] -> [P, G]"""
    if how == "none":
        return rewards
    return group_advantages(rewards, normalize_std=how == "std")


def advantages_of(rewards: list[float], groups: list[object], *, normalize_std: bool = True) -> list[float]:
    """The same for groups of any sizes: one reward and one group label per sequence. [N] -> [N]

    Written out, because a reader of files has no other need of torch, which takes more memory than most files.
    A reward so large that its group has no finite mean or spread gives NaN or an infinity.
    """
    members: dict[object, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    out = [0.0] * len(rewards)
    for indices in members.values():
        own = [float(rewards[i]) for i in indices]
        if all(reward == own[0] for reward in own):
            continue
        mean = sum(own) / len(own)
        centred = [reward - mean for reward in own]
        divisor = sqrt(sum(c * c for c in centred) / (len(own) - 1)) + _EPS if normalize_std else 1.0
        for i, c in zip(indices, centred, strict=True):
            out[i] = c / divisor
    return out
