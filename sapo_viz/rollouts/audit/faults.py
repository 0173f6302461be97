"""The ways in which losses of this family have been wrong, each as a change of what is claimed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from sapo_viz.core.objective import AGGREGATIONS, CATALOG, Aggregation
from sapo_viz.rollouts.audit.claim import Claim
from sapo_viz.rollouts.audit.recompute import Fault

CLAIMED = "as claimed"
_AVERAGED: dict[Aggregation, str] = {
    "seq-mean-token-mean": "aggregation is the mean over sequences of each one's token mean",
    "token-mean": "aggregation is over tokens: long answers weigh more than short ones",
    "seq-mean-token-sum": "aggregation is over token sums: a token of a long answer weighs as much as one of a short",
    "seq-mean-token-sum-norm": "aggregation is over token sums divided by a fixed length",
}
_SIGN = {"pos": "positive", "neg": "negative"}


def as_claimed(claim: Claim) -> Fault:
    return Fault(CLAIMED, "", claim)


def single_faults(claim: Claim) -> Iterator[Fault]:
    """One thing that is wrong, the commonest first."""
    yield from _advantage_faults(claim)
    yield from _knob_faults(claim)
    yield from _mask_faults(claim)
    yield from _ratio_faults(claim)
    yield from _averaging_faults(claim)
    yield from _added_faults(claim)


def double_faults(claim: Claim) -> Iterator[Fault]:
    """Two of them at once, of different kinds."""
    kinds = (_advantage_faults, _knob_faults, _mask_faults, _ratio_faults, _averaging_faults, _added_faults)
    for first, second in product(range(len(kinds)), repeat=2):
        if first < second:
            for one in kinds[first](claim):
                for other in kinds[second](one.claim):
                    yield _together(one, other)


def _together(one: Fault, other: Fault) -> Fault:
    usual = "as it is"
    return Fault(
        f"{one.id}+{other.id}",
        f"{one.says}; {other.says}",
        other.claim,
        **{
            name: getattr(other, name) if getattr(other, name) != usual else getattr(one, name)
            for name in ("advantage", "old", "mask")
        },
    )


def _advantage_faults(claim: Claim) -> Iterator[Fault]:
    missing = "the advantages are missing: every token is pushed up alike, good or bad"
    yield Fault("advantages missing", missing, claim, advantage="lost")
    yield Fault("advantages missing", missing, claim, advantage="ones")
    yield Fault("advantages signs", "only the sign of the advantages is used, not their size", claim, advantage="sign")
    says = "the sign of the loss is wrong: what was good is pushed down"
    yield Fault("sign", says, claim, advantage="negative")


def _knob_faults(claim: Claim) -> Iterator[Fault]:
    """A knob of one sign used for the other one too."""
    specs = claim.objective.knobs()
    for name, spec in specs.items():
        stem, _, sign = name.rpartition("_")
        twin = f"{stem}_{'neg' if sign == 'pos' else 'pos'}"
        if sign not in _SIGN or twin not in specs or getattr(claim.objective, name) == getattr(claim.objective, twin):
            continue
        what = "temperature" if stem == "tau" else spec.symbol
        says = f"the {what} of {_SIGN[sign]} tokens is used for {_SIGN[twin.rpartition('_')[2]]} ones"
        yield Fault(f"{stem} {sign}", says, claim.with_knobs(**{twin: getattr(claim.objective, name)}))
        if sign == "pos":
            both = {name: getattr(claim.objective, twin), twin: getattr(claim.objective, name)}
            yield Fault(f"{stem} swapped", f"the {what}s of positive and negative tokens are swapped",
                        claim.with_knobs(**both))  # fmt: skip


def _mask_faults(claim: Claim) -> Iterator[Fault]:
    yield Fault("mask ignored", "the mask is ignored: tokens that the policy did not write get gradient", claim,
                mask="ignored")  # fmt: skip
    for over in ("seen over its own length", "seen"):
        yield Fault("mask", "other tokens get gradient than the mask says", claim, mask=over)


def _ratio_faults(claim: Claim) -> Iterator[Fault]:
    yield Fault("old ignored", "π_old is not used: the gradient is that of r = 1 on every token", claim, old="ignored")
    for level in ("token", "sequence"):
        if level != claim.level:
            says = f"the ratio is that of a {level}, not of a {claim.level.partition('-')[0]}"
            yield Fault(f"{level} level", says, replace(claim, level=level))


def _averaging_faults(claim: Claim) -> Iterator[Fault]:
    # token-mean, and sums divided by a fixed length, differ by a factor alone, which nobody knows here
    for how in AGGREGATIONS:
        if how != claim.aggregation and how != "seq-mean-token-sum-norm":
            yield Fault(f"aggregation {how}", _AVERAGED[how], replace(claim, aggregation=how))


def _added_faults(claim: Claim) -> Iterator[Fault]:
    if claim.correction is not None:
        says = "the correction for the sampler (π_old/π_sampler) is not applied"
        yield Fault("correction missing", says, replace(claim, correction=None))
    if claim.kl:
        says = f"the KL term (β = {claim.kl:g}) is not in the gradient"
        yield Fault("kl missing", says, replace(claim, kl=0.0))


def other_objectives(claim: Claim) -> Iterator[Fault]:
    """The gradient is right, and of something else."""
    for name, kind in CATALOG.items():
        if name != claim.objective.name and not kind.reads_other_sequences():
            other = kind()
            for aggregation in {claim.aggregation: 0, other.aggregation: 0}:
                changed = replace(claim, objective=other, level=other.ratio_level, aggregation=aggregation)
                yield Fault(f"is {name}", f"this is the gradient of {other.label} ({changed.knobs})", changed)
