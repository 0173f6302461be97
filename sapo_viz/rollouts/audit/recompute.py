"""A loss and its gradient computed again from a file's tokens, as claimed or with a fault put in.

One micro-batch at a time, through `evaluate` and `aggregate` as everything else; ∂loss/∂log π_θ is their autograd.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sapo_viz.core.kl import k3
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import Objective, RatioLevel
from sapo_viz.core.surrogate import aggregate, evaluate
from sapo_viz.rollouts.audit.claim import Claim
from sapo_viz.rollouts.schema import Rollouts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MicroBatch:
    """One micro-batch. All [B, T], float64; `there` is False on padding. NaN: the file has none."""

    name: str
    logprobs: Tensor
    old: Tensor
    advantages: Tensor
    mask: Tensor
    there: Tensor
    gradients: Tensor | None  # the framework's ∂loss/∂log π_θ
    loss: float | None  # the framework's, where the whole micro-batch is here
    sampler: Tensor | None
    ref: Tensor | None
    sequences: tuple[int, ...]  # their numbers in the file

    def tokens(self) -> int:
        return int(self.mask.sum())


@dataclass(frozen=True)
class Fault:
    """One way to get a loss wrong: a change of what is claimed, or of what goes in. `says` completes "… : ⟨says⟩"."""

    id: str
    says: str
    claim: Claim
    advantage: str = "as it is"  # or: ones, sign, lost, negative
    old: str = "as it is"  # or: ignored
    mask: str = "as it is"  # or: ignored, seen, seen over its own length


def parts_of(rollouts: Rollouts) -> Iterator[MicroBatch]:
    """The micro-batches that hold something to check. Without their names a step is taken for one."""
    names = rollouts.microbatches or tuple(f"step {step}" for step in rollouts.steps)
    order: dict[str | None, list[int]] = {}
    for index, name in enumerate(names):
        order.setdefault(name, []).append(index)
    slopes = rollouts.loss_gradients
    for name, indices in order.items():
        places = [slice(int(rollouts.offsets[i]), int(rollouts.offsets[i + 1])) for i in indices]
        with_slopes = slopes is not None and not any(np.isnan(slopes[p][rollouts.mask[p]]).any() for p in places)
        loss = rollouts.losses[indices[0]] if rollouts.losses and rollouts.microbatches else None
        if not with_slopes and loss is None:
            continue
        columns = {
            "logprobs": rollouts.logprobs,
            "old": rollouts.old_logprobs,
            "advantages": rollouts.advantages,
            "mask": rollouts.mask,
            "gradients": slopes if with_slopes else None,
            "sampler": rollouts.sampler_logprobs,
            "ref": rollouts.ref_logprobs,
        }
        padded = {key: None if flat is None else _padded([flat[p] for p in places]) for key, flat in columns.items()}
        there = _padded([np.ones(p.stop - p.start, bool) for p in places])
        yield MicroBatch(str(name), loss=loss, there=there, sequences=tuple(indices), **padded)  # type: ignore[arg-type]


def _padded(rows: list[np.ndarray]) -> Tensor:
    out = np.zeros((len(rows), max(map(len, rows))), rows[0].dtype)
    for row, values in zip(out, rows, strict=True):
        row[: len(values)] = values
    return torch.from_numpy(out)


def recompute(part: MicroBatch, fault: Fault) -> tuple[float, Tensor]:
    """(loss, ∂loss/∂log π_θ [B, T]) of this micro-batch with this fault; the gradient is 0 where nothing is there."""
    claim = fault.claim
    mask, lengths = _mask(part, fault.mask)
    new = torch.where(part.there, part.logprobs.nan_to_num(), 0.0).requires_grad_()
    old = new.detach() if fault.old == "ignored" else part.old.nan_to_num()
    advantages, weights = _advantages(part.advantages, fault.advantage)
    ratio, surrogate = evaluate(_at_level(claim.objective, claim.level), new, old, advantages, mask)
    values = surrogate * weights
    if claim.correction is not None and part.sampler is not None:
        values = values * claim.correction.weights(part.old, part.sampler, mask)
    loss = -aggregate(torch.where(mask, values, 0.0), lengths, claim.aggregation)
    if claim.kl and part.ref is not None:
        term = k3(part.ref.nan_to_num() - new)
        term = torch.where(mask, term * ratio if claim.kl_by_ratio else term, 0.0)
        loss = loss + claim.kl * aggregate(term, lengths, claim.kl_aggregation or claim.aggregation)
    (gradient,) = torch.autograd.grad(loss, new)
    return float(loss.detach()), gradient


def _mask(part: MicroBatch, how: str) -> tuple[Tensor, Tensor]:
    """Which tokens count, and which the loss is divided by."""
    if how == "ignored":
        return part.there, part.there
    if how.startswith("seen") and part.gradients is not None:
        seen = part.there & (part.gradients != 0)
        return seen, seen if how == "seen over its own length" else part.mask
    return part.mask, part.mask


def _advantages(advantages: Tensor, how: str) -> tuple[Tensor, Tensor]:
    """What goes in for A, and a factor on each token's surrogate."""
    one = torch.ones_like(advantages)
    sign = torch.where(advantages > 0, one, -one)
    match how:
        case "ones":
            return one, one
        case "sign":
            return torch.where(advantages == 0, 0.0, sign), one
        case "lost":  # the sign still chooses τ or ε; a surrogate is |A|·J(z, ±1)
            return sign, sign
        case "negative":
            return advantages, -one
    return advantages, one


def _at_level(objective: Objective, level: RatioLevel) -> Objective:
    """The objective with the ratio of a token, or of a sequence."""
    if objective.ratio_level == level:
        return objective
    return _leveled(type(objective), level)(**{name: getattr(objective, name) for name in objective.knobs()})


def _leveled(kind: type[Objective], level: RatioLevel) -> type[Objective]:
    return type(kind.__name__, (kind,), {"ratio_level": level})
