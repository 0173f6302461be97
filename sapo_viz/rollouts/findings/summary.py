"""What a person wants to know of a file first, in one value: the command, the report and a notebook show the same.

Findings, how advantages were made, which τ matches which ε, where the objectives disagree most, the groups in counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.rollouts.analysis.disagree import sequences_apart, tokens_apart
from sapo_viz.rollouts.analysis.evidence import Evidence
from sapo_viz.rollouts.analysis.facts import gather
from sapo_viz.rollouts.analysis.fit import KeptCurve, Match, kept_curve, match
from sapo_viz.rollouts.analysis.groups import Normalisation, group_table, normalisation
from sapo_viz.rollouts.analysis.over_steps import Course, course
from sapo_viz.rollouts.audit.audit import Audit, audit, has_losses
from sapo_viz.rollouts.audit.claim import Claim
from sapo_viz.rollouts.findings.judge import findings
from sapo_viz.rollouts.findings.rule import Finding

if TYPE_CHECKING:
    import pandas as pd

PAIRS = (("grpo", "sapo"), ("sapo", "grpo"))  # whose share -> by whose knob: the τ for an ε, the ε for a τ


@dataclass(frozen=True)
class Summary:
    """What `summarise` found. `quick` ones hold None where more than one pass over the tokens would be needed."""

    analysis: Analysis
    findings: tuple[Finding, ...] | None
    course: Course | None  # along places and steps
    normalisation: Normalisation
    matches: tuple[Match, ...] | None  # a pair of PAIRS and a sign each
    curves: tuple[KeptCurve | None, ...]  # of the matches' targets, in their order; empty unless asked for
    sequences_apart: pd.DataFrame  # of disagree.sequences_apart
    tokens_apart: pd.DataFrame | None  # of disagree.tokens_apart
    audit: Audit | None  # of the framework's own loss; None where the file has no numbers of it
    groups: dict[str, int]  # `mixed`, `all lowest`, `all highest`, `all equal` -> groups; empty without groups


def summarise(
    analysis: Analysis,
    *,
    found: tuple[Finding, ...] | None = None,
    quick: bool = False,
    curves: bool = False,
    claim: Claim | None = None,
    cap: int = 0,
    sequences: int = 10,
    tokens: int = 10,
) -> Summary:
    """Everything that is said first about a file.

    Args:
        found: what `findings` said of it, where that is known already.
        quick: leave out findings, matches and the tokens apart, which look at every token again.
        curves: the share kept along each match's knob too, for a figure.
        claim: which loss the framework says it has, for a file that holds numbers of it.
        cap: response tokens that an answer may have, where the run has told; else 0.
        sequences, tokens: how many of those on which the objectives disagree most.
    """
    fits = tuple(_matches(analysis, curves)) if not quick else None
    facts = None if quick else gather(analysis.rollouts)
    if found is None and facts is not None:
        found = findings(analysis.rollouts, analysis.objectives, facts, cap)
    table = group_table(analysis.rollouts)
    return Summary(
        analysis=analysis,
        findings=found,
        course=None if facts is None else course(facts),
        normalisation=normalisation(analysis.rollouts),
        matches=None if fits is None else tuple(one for one, _ in fits),
        curves=tuple(curve for _, curve in fits) if fits is not None and curves else (),
        sequences_apart=sequences_apart(analysis, sequences),
        tokens_apart=None if quick else _tokens(analysis, tokens),
        audit=audit(analysis.rollouts, claim, analysis.objectives.values()) if has_losses(analysis.rollouts) else None,
        groups={str(kind): int(count) for kind, count in table["spread"].value_counts().items()},
    )


def _tokens(analysis: Analysis, count: int) -> pd.DataFrame:
    frame = tokens_apart(analysis.rollouts, analysis.objectives, count, analysis.correction)
    return frame[frame["difference"] > 0].reset_index(drop=True)


def _matches(analysis: Analysis, curves: bool) -> Iterator[tuple[Match, KeptCurve | None]]:
    for sign in (1, -1):
        evidence = Evidence(analysis.rollouts, sign)  # one for all of this sign: it holds their tokens
        for source, target in PAIRS:
            found = match(evidence, _chosen(analysis, source), target, sign)
            curve = None
            if curves and found.found and found.knob is not None:
                base = _chosen(analysis, target)
                curve = kept_curve(evidence, target, found.knob.name, sign, base=base)
            yield found, curve


def _chosen(analysis: Analysis, name: str) -> Objective:
    """The first chosen objective of that name, with its knobs; else the catalogue's."""
    return next((o for o in analysis.objectives.values() if o.name == name), None) or CATALOG[name]()


def most_telling_token(analysis: Analysis, index: int) -> int:
    """Position of the token of sequence `index` on which the objectives disagree most; without any, the largest |z|."""
    frame = analysis.token_table(index)
    c = frame[[f"coefficient_{key}" for key in analysis.objectives]].to_numpy(dtype=float)
    apart = np.nan_to_num((c.max(axis=1) - c.min(axis=1)) * np.abs(frame["advantage"].to_numpy()))
    moved = np.nan_to_num(np.abs(frame["log_ratio"].to_numpy(dtype=float)))
    return int(np.argmax(apart if apart.any() else moved))
