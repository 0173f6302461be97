"""What is wrong with this run: the findings on a file, in words, each with the sequences worth opening."""

from __future__ import annotations

import streamlit as st

from sapo_viz.rollouts.analysis import Analysis
from sapo_viz.rollouts.findings import SEVERITIES, Finding, all_rules, findings
from sapo_viz.ui.remember import remembered
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens_open import open_sequence
from sapo_viz.ui.tokens_source import Source
from sapo_viz.ui.words import _

_ICONS = {"problem": ":red[:material/error:]", "warning": ":orange[:material/warning:]", "note": ":material/info:"}


def findings_of(source: Source, analysis: Analysis) -> tuple[Finding, ...]:
    """What the rules say, kept for the visit until file or objectives change."""
    return remembered(
        "tokens: findings",
        (source.origin, dict(analysis.objectives)),
        lambda: findings(source.rollouts, analysis.objectives),
        _("Looking for faults…"),
    )


def findings_view(source: Source, found: tuple[Finding, ...]) -> None:
    """One card a finding: what, how much, by which rule, what to do, where to look."""
    if not found:
        rules = len(all_rules())
        text = _("None of the {n} rules found anything. That is no proof of health: they see this file only.")
        st.success(text.format(n=rules), icon=":material/check_circle:")
    for finding in found:
        with st.container(border=True):
            st.markdown(f"{_ICONS[finding.severity]} **{plain(_(finding.title))}** · {plain(finding.number)}")
            st.markdown(f"**{_('What to do.')}** {plain(finding.remedy)}")
            st.caption(f"{_('Rule')}: {plain(finding.rule)} ({finding.severity}: {_(SEVERITIES[finding.severity])}).")
            _sequences(source, finding)
    with st.expander(_("Every rule, with its threshold and reason"), icon=":material/rule:"):
        st.markdown(
            "\n".join(
                f"- **{plain(rule.title)}** {plain(rule.threshold)} {plain(rule.reason)}"
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
