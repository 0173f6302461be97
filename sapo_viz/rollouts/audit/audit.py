"""Is a framework's loss the one it claims? Its gradients and losses, compared with ours from the same tokens.

A run's log shows one number, and a loss that has lost its advantages shows a plausible one. The gradient of each token
tells: it is computed again as claimed, and where that does not fit with each known fault put in, one or two at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.rollouts.audit.claim import Claim
from sapo_viz.rollouts.audit.faults import as_claimed, double_faults, other_objectives, single_faults
from sapo_viz.rollouts.audit.recompute import Fault, MicroBatch, parts_of, recompute
from sapo_viz.rollouts.schema import Rollouts

Outcome = Literal["matches", "fault", "unexplained", "nothing"]

_FLOAT32 = 1e-5  # of the largest gradient: z of two float32 log-probs is off by 1e-6, times τ·r where r is large
_BF16 = 0.03  # where log-probs are bf16 numbers, r has two digits
_TOKENS = 500_000  # of the micro-batches that are looked at, from the first
_SEARCHED = 6  # micro-batches in which faults are looked for; what is found is then compared with all
_LOSSES = 3  # that a fault has to explain where a file has losses alone
_EDGE = 1e-3  # share of tokens that may lie on the other side of a clip, by rounding


@dataclass(frozen=True)
class Audit:
    """What was found. `sentence` says it; the rest is behind it."""

    status: Outcome
    claim: str  # the loss as it is called: TRL's `sapo`
    faults: tuple[str, ...]  # their ids
    sentence: str
    notes: tuple[str, ...]  # what else a reader must know, such as r = 1
    off: float  # largest difference of a gradient, over the largest gradient; NaN without gradients
    off_as_claimed: float
    loss_off: float  # largest difference of a loss; NaN without losses
    tokens: int
    parts: int  # micro-batches
    on_policy: bool  # every ratio is 1


@dataclass(frozen=True)
class _Fit:
    """How well one hypothesis explains the parts."""

    off: float  # NaN: no gradients
    mean: float  # difference of a gradient, over the largest; NaN: no gradients
    beyond: float  # share of tokens beyond the tolerance
    loss_off: float  # NaN: no losses
    loss_size: float
    scale: float  # theirs/ours: what the framework divides by, accumulation above all
    tolerance: float

    @property
    def gradients_fit(self) -> bool:
        return self.beyond <= _EDGE and self.scale > 0

    @property
    def losses_fit(self) -> bool:
        return self.loss_off <= max(1e-6, self.tolerance * self.loss_size)

    @property
    def holds(self) -> bool:
        return self.losses_fit if np.isnan(self.off) else self.gradients_fit


def has_losses(rollouts: Rollouts) -> bool:
    """Whether the file has anything that can be compared with ours."""
    return rollouts.loss_gradients is not None or bool(rollouts.losses)


def audit(rollouts: Rollouts, claim: Claim | None, others: Iterable[Objective] = ()) -> Audit:
    """Hold the framework's numbers in the file against the loss that it claims.

    Args:
        claim: None where nobody says which loss it was: then `others`, and the catalogue, are tried.
        others: objectives to try first without a claim.
    """
    parts = _some(parts_of(rollouts))
    if not parts:
        return _nothing(claim)
    few = _telling(parts)
    on_policy = not rollouts.log_ratio.any()
    if claim is None:
        found = next((o for o in [*others, *(kind() for kind in CATALOG.values())] if _holds_any(few, o)), None)
        if found is None:
            return _unknown(parts)
        claim = _holds_any(few, found)
        assert claim is not None
    claimed = as_claimed(claim)
    at_first = _fit(parts, claimed)
    if at_first.holds:
        return _told("matches", claim, claimed, at_first, at_first, parts, on_policy)
    for fault in _hypotheses(few, claim):
        if _fit(few, fault).holds:
            fit = _fit(parts, fault)
            if fit.holds:
                return _told("fault", claim, _worded(fault, parts), fit, at_first, parts, on_policy)
    return _told("unexplained", claim, claimed, at_first, at_first, parts, on_policy)


def _some(parts: Iterable[MicroBatch]) -> list[MicroBatch]:
    taken: list[MicroBatch] = []
    tokens = 0
    for part in parts:
        taken.append(part)
        tokens += part.there.numel()
        if tokens > _TOKENS:
            break
    return taken


def _hypotheses(parts: Sequence[MicroBatch], claim: Claim) -> Iterable[Fault]:
    yield from single_faults(claim)
    enough = parts[0].gradients is not None or sum(part.loss is not None for part in parts) >= _LOSSES
    if enough:
        yield from _fitted_knobs(parts, claim)
    yield from other_objectives(claim)
    if enough:  # two faults and a few losses always fit
        yield from double_faults(claim)


def _fitted_knobs(parts: Sequence[MicroBatch], claim: Claim) -> Iterable[Fault]:
    """Each knob at the value that explains most, to say "acts as τ₋ = 2": a grid over its range, narrowed twice."""
    for name, spec in claim.objective.knobs().items():
        low, high, best = spec.ui_lo, spec.ui_hi, getattr(claim.objective, name)
        log = spec.scale == "log" and low > 0
        for _ in range(6):
            grid = np.geomspace(low, high, 17) if log else np.linspace(low, high, 17)
            tried = [_fit(parts, as_claimed(claim.with_knobs(**{name: float(value)}))) for value in grid]
            at = int(np.argmin([fit.mean if fit.mean == fit.mean else fit.loss_off for fit in tried]))
            best, low, high = float(grid[at]), float(grid[max(0, at - 1)]), float(grid[min(16, at + 1)])
            if tried[at].holds:
                break
        if best != getattr(claim.objective, name):
            says = f"{spec.symbol} acts as {best:.4g} and is said to be {getattr(claim.objective, name):g}"
            yield Fault(f"knob {name}", says, claim.with_knobs(**{name: best}))


def _fit(parts: Sequence[MicroBatch], fault: Fault) -> _Fit:
    """Gradients are compared up to one factor for all parts, since frameworks divide by what they accumulate."""
    scales, pairs, losses = [], [], []
    tolerance = max(map(_tolerance, parts))
    for part in parts:
        loss, ours = recompute(part, fault)
        if part.gradients is not None:
            theirs = torch_to_numpy(part.gradients)[torch_to_numpy(part.there)]
            own = torch_to_numpy(ours)[torch_to_numpy(part.there)]
            pairs.append((theirs, own))
            scales.append(float(theirs @ own) / max(float(own @ own), 1e-300))
        if part.loss is not None:
            losses.append((part.loss, loss))
    weights = [float(own @ own) for _, own in pairs]
    scale = float(np.average(scales, weights=weights)) if sum(weights) > 0 else 1.0
    if not pairs and losses:
        theirs_all, ours_all = np.array(losses).T
        ratio = float(theirs_all @ ours_all) / max(float(ours_all @ ours_all), 1e-300)
        scale = _accumulated(ratio)
    off, wrong, count, total = (0.0 if pairs else np.nan), 0, 0, 0.0
    for theirs, own in pairs:
        size = max(float(np.abs(theirs).max(initial=0.0)), 1e-300)
        apart = np.abs(theirs - scale * own) / size
        off = max(off, float(np.partition(apart, -1 - int(_EDGE * len(apart)))[-1 - int(_EDGE * len(apart))]))
        wrong += int((apart > tolerance).sum())
        count += len(apart)
        total += float(apart.sum())
    differences = [abs(theirs - scale * ours) for theirs, ours in losses]
    return _Fit(
        off=off,
        mean=total / count if count else np.nan,
        beyond=wrong / max(count, 1),
        loss_off=max(differences, default=np.nan),
        loss_size=max((abs(theirs) for theirs, _ in losses), default=0.0),
        scale=scale,
        tolerance=tolerance,
    )


def _accumulated(ratio: float) -> float:
    """1, or 1/2, 1/3 …: without gradients no other factor is believed."""
    steps = round(1 / ratio) if ratio > 0 else 1
    return 1 / steps if 1 <= steps <= 4096 and abs(ratio * steps - 1) < 1e-4 else 1.0


def _tolerance(part: MicroBatch) -> float:
    """By the numbers' own grain: a bf16 log-prob has the lower half of its float32 bits empty."""
    bits = torch_to_numpy(part.logprobs)[torch_to_numpy(part.mask)].astype(np.float32).view(np.uint32)
    return _BF16 if len(bits) and not (bits & 0xFFFF).any() else _FLOAT32


def torch_to_numpy(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().numpy())


def _telling(parts: Sequence[MicroBatch]) -> list[MicroBatch]:
    """A few micro-batches, those first in which ratios have moved: r = 1 tells no objective from another."""

    def moved(part: MicroBatch) -> float:
        return float((part.logprobs - part.old).nan_to_num()[part.mask].abs().mean()) if part.tokens() else 0.0

    return sorted(parts, key=moved, reverse=True)[:_SEARCHED]


def _holds_any(parts: Sequence[MicroBatch], objective: Objective) -> Claim | None:
    claim = Claim.of(objective)
    return claim if _fit(parts, as_claimed(claim)).holds else None


def _worded(fault: Fault, parts: Sequence[MicroBatch]) -> Fault:
    """Which tokens get gradient that should not, in words: a shift by one is the commonest."""
    if not fault.mask.startswith("seen"):
        return fault
    skipped_first = skipped_last = skipped = extra = 0
    for part in parts:
        assert part.gradients is not None
        mask, seen = torch_to_numpy(part.mask), torch_to_numpy(part.gradients != 0)
        signal = mask & (torch_to_numpy(part.advantages) != 0)
        before = np.pad(mask, ((0, 0), (1, 0)))[:, :-1]
        after = np.pad(mask, ((0, 0), (0, 1)))[:, 1:]
        silent = signal & ~seen & seen.any(1, keepdims=True)
        skipped += int(silent.sum())
        skipped_first += int((silent & ~before).sum())
        skipped_last += int((silent & ~after).sum())
        extra += int((seen & ~mask).sum())
    gets = f"; {extra:,} tokens outside the mask get some" if extra else ""
    if skipped and skipped_first >= 0.9 * skipped:
        says = f"the mask is shifted by one: the first token of an answer gets no gradient ({skipped:,} times{gets})"
    elif skipped and skipped_last >= 0.9 * skipped:
        says = f"the mask is shifted by one: the last token of an answer gets no gradient ({skipped:,} times{gets})"
    else:
        says = f"{skipped:,} tokens inside the mask get no gradient{gets}"
    said = fault.says.replace("other tokens get gradient than the mask says", says)
    return replace(fault, id=fault.id.replace("mask", "mask shifted" if "shifted" in says else "mask"), says=said)


def _told(
    status: Outcome, claim: Claim, fault: Fault, fit: _Fit, at_first: _Fit, parts: Sequence[MicroBatch], on_policy: bool
) -> Audit:
    tokens = sum(part.tokens() for part in parts)
    called = f"{claim.name} ({claim.knobs})" if claim.knobs else claim.name
    match status:
        case "matches":
            sentence = f"The loss matches {called}: {_agreement(fit, tokens, parts)}."
        case "fault":
            sentence = f"The loss is not {called}: {fault.says}. With that put in, {_agreement(fit, tokens, parts)}; " \
                       f"as claimed, {_disagreement(at_first)}."  # fmt: skip
        case _:
            sentence = f"The loss is not {called}, and no fault that is known here explains it: " \
                       f"{_disagreement(at_first)}."  # fmt: skip
    return Audit(
        status=status,
        claim=claim.name,
        faults=tuple(fault.id.split("+")) if status == "fault" else (),
        sentence=sentence,
        notes=tuple(_notes(claim, fit, status, on_policy)),
        off=fit.off,
        off_as_claimed=at_first.off,
        loss_off=fit.loss_off,
        tokens=tokens,
        parts=len(parts),
        on_policy=on_policy,
    )


def _agreement(fit: _Fit, tokens: int, parts: Sequence[MicroBatch]) -> str:
    said = []
    if fit.off == fit.off:
        said.append(f"gradients of {tokens:,} tokens agree to {_power(fit.off)} of the largest")
    if fit.loss_off == fit.loss_off and fit.losses_fit:
        whole = sum(part.loss is not None for part in parts)
        losses = "the loss of one micro-batch" if whole == 1 else f"the losses of {whole:,} micro-batches"
        said.append(f"{losses} to {_power(fit.loss_off)}")
    return " and ".join(said)


def _disagreement(fit: _Fit) -> str:
    if fit.off == fit.off:
        return f"a gradient is off by {min(fit.off, 99):.2g} of the largest"
    return f"a loss is off by {fit.loss_off:.2g}"


def _power(value: float) -> str:
    return f"{max(value, 1e-9):.0e}".replace("e-0", "e-")


def _notes(claim: Claim, fit: _Fit, status: Outcome, on_policy: bool) -> Iterable[str]:
    if on_policy:
        yield (
            "Every ratio is 1: the tokens were recorded at the first update after they were sampled, or there is only "
            "one. SAPO, GRPO and GSPO then have the same gradient, so which of them was trained cannot be seen here."
        )
    if abs(fit.scale - 1) > 1e-3 and fit.scale > 0 and status != "unexplained":
        yield f"All of it is {fit.scale:.4g} times ours: what the framework divides by, accumulated steps or tokens."
    if fit.off == fit.off and fit.loss_off == fit.loss_off and fit.gradients_fit and not fit.losses_fit:
        yield (
            f"The losses themselves differ by {fit.loss_off:.2g}: something without gradient through these log-probs "
            "is added to the policy's loss, such as an entropy bonus."
        )


def _nothing(claim: Claim | None) -> Audit:
    says = "The file holds no losses and no gradients of a loss, so there is nothing to hold against ours."
    name = "" if claim is None else claim.name
    return Audit("nothing", name, (), says, (), np.nan, np.nan, np.nan, 0, 0, False)


def _unknown(parts: Sequence[MicroBatch]) -> Audit:
    says = "The file's gradients and losses are of no objective of the catalogue at its usual knobs; choose one."
    tokens = sum(part.tokens() for part in parts)
    return Audit("unexplained", "", (), says, (), np.nan, np.nan, np.nan, tokens, len(parts), False)
