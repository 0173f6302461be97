"""What is wrong with this run: the findings on a file, in words, each with the sequences worth opening."""

from __future__ import annotations

import streamlit as st

from sapo_viz.core.objective import Objective
from sapo_viz.figures.course import course_figure
from sapo_viz.rollouts.analysis.facts import gathering
from sapo_viz.rollouts.analysis.over_steps import course
from sapo_viz.rollouts.findings.judge import all_rules, findings
from sapo_viz.rollouts.findings.rule import SEVERITIES, Finding
from sapo_viz.ui.text import plain, prose
from sapo_viz.ui.tokens.batch import show
from sapo_viz.ui.tokens.open import open_sequence
from sapo_viz.ui.tokens.recorded import cap_of
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.words import _, declared
from sapo_viz.ui.work import done, kept, worked

_IN_A_MOMENT = 300_000  # tokens: a tenth of a second
ICONS = {"problem": ":red[:material/error:]", "warning": ":orange[:material/warning:]", "note": ":material/info:"}


def findings_of(source: Source, objectives: dict[str, Objective]) -> tuple[Finding, ...]:
    """What the rules say. The pass over the tokens is made once a file; the rules are asked again with each knob."""
    facts = worked("facts", source.origin, lambda: gathering(source.rollouts), _("Looking for faults…"))
    return kept(
        "findings", (source.origin, objectives), lambda: findings(source.rollouts, objectives, facts, cap_of(source))
    )


def course_view(source: Source) -> None:
    """Where along the sequences, and at which step, the two policies differ."""
    facts = worked("facts", source.origin, lambda: gathering(source.rollouts), _("Looking for faults…"))
    picture = kept("course", (source.origin,), lambda: course_figure(course(facts)))
    show(picture, "course")


def findings_by_now(source: Source, objectives: dict[str, Objective]) -> tuple[Finding, ...] | None:
    """The same if it is there in a moment; None for a large file that is not looked through yet."""
    soon = len(source.rollouts.tokens) <= _IN_A_MOMENT or done("facts", source.origin)
    return findings_of(source, objectives) if soon else None


def findings_view(source: Source, found: tuple[Finding, ...]) -> None:
    """One card per finding: what, how much, by which rule, what to do, where to look."""
    if not found:
        rules = len(all_rules())
        text = _("None of the {n} rules found anything. That is no proof of health: they see this file only.")
        st.success(text.format(n=rules), icon=":material/check_circle:")
    for finding in found:
        with st.container(border=True):
            st.markdown(f"{ICONS[finding.severity]} **{plain(declared(finding.title))}** · {plain(finding.number)}")
            st.markdown(f"**{_('What to do.')}** {prose(finding.remedy)}")
            st.caption(
                f"{_('Rule')}: {prose(finding.rule)} ({finding.severity}: {declared(SEVERITIES[finding.severity])})."
            )
            _sequences(source, finding)
    course_view(source)
    with st.expander(_("Every rule, with its threshold and reason"), icon=":material/rule:"):
        st.markdown(
            "\n".join(
                f"- **{plain(rule.title)}** {prose(rule.threshold)} {prose(rule.reason)}"
                for rule in all_rules().values()
            )
        )


def _sequences(source: Source, finding: Finding) -> None:
    if not finding.where or len(source.rollouts) == 1:
        return
    with st.container(horizontal=True):
        for index in finding.where[:6]:
            st.button(
                _("Sequence {n:,}").format(n=index + 1),
                icon=":material/arrow_forward:",
                key=f"tokens: {finding.id} {index}",
                on_click=open_sequence,
                args=(source, index),
            )
