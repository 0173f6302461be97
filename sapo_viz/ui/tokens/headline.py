"""The line above every view of a file: what is wrong with it, what each objective keeps, the matching τ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from sapo_viz.core.objective import Objective
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.rollouts.analysis.fit import Match, match
from sapo_viz.rollouts.analysis.passes import in_turn
from sapo_viz.rollouts.findings.headline import headline
from sapo_viz.rollouts.findings.rule import Finding
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import at_once
from sapo_viz.ui import session
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens.findings import ICONS
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.tokens.weighed import analysis_of, weighed_already
from sapo_viz.ui.words import _
from sapo_viz.ui.work import worked

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

_IN_A_MOMENT = 300_000  # tokens: a second for the match; a larger file is matched where it is asked for
_SAID = "tokens: headline"  # session: (origin, whether it is still shown, what was said of it)
_WELL = ":green[:material/check_circle:]"
_STILL = ":material/history:"


def headline_place(source: Source, found: tuple[Finding, ...] | None, wrong: bool = False) -> DeltaGenerator:
    """Where it stands, with what is known before the view below is drawn: what was said of this file last. `wrong`: the
    audit's verdict on the loss, which is shown below, is bad; then the file is not called well above it."""
    place = st.container(key="tokens-headline").empty()
    *of, said = session.get(_SAID, (None, False, ""))
    place.markdown(said if of == [source.origin, source.still] else _said(source, found, wrong=wrong))
    return place


def complete_headline(
    place: DeltaGenerator,
    source: Source,
    objectives: dict[str, Objective],
    found: tuple[Finding, ...] | None,
    wrong: bool = False,
) -> None:
    """All of it, once the view stands: the file weighed, and τ matched where that takes a moment."""
    if found is None:
        return
    small = len(source.rollouts.tokens) <= _IN_A_MOMENT
    analysis = analysis_of(source, objectives) if small else weighed_already(source, objectives)
    said = _said(source, found, analysis, _matches(source, objectives) if small else (), wrong)
    session.put(_SAID, (source.origin, source.still, said))
    place.markdown(said)


def _matches(source: Source, objectives: dict[str, Objective]) -> tuple[Match, ...]:
    """SAPO's τ for GRPO's ε, by sign of A, where both are chosen."""
    if not {"sapo", "grpo"} <= set(objectives):
        return ()
    grpo = objectives["grpo"]
    return worked(
        "headline",
        (source.origin, grpo),
        lambda: at_once(lambda: _matched(source.rollouts, grpo)),
        _("Matching on this file…"),
    )


def _matched(rollouts: Rollouts, grpo: Objective) -> tuple[Match, ...]:
    with in_turn(rollouts):
        return tuple(match(rollouts, grpo, "sapo", sign) for sign in (1, -1))


def _said(
    source: Source,
    found: tuple[Finding, ...] | None,
    analysis: Analysis | None = None,
    matches: tuple[Match, ...] = (),
    wrong: bool = False,
) -> str:
    """Of a file that is shown in place of the one that was asked for, it says whose verdict this is."""
    if found is None:
        return _("Looking for faults…")
    worst = next((ICONS[finding.severity] for finding in found if finding.severity != "note"), _WELL)
    said = plain(headline(found, analysis, matches))
    if wrong:
        worst, said = ICONS["problem"], f"{_('**The loss is not what it says**, see below. Apart from that:')} {said}"
    return f"{_STILL} **{plain(source.rollouts.name)}:** {said}" if source.still else f"{worst} {said}"
