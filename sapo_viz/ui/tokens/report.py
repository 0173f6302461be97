"""The report of the Tokens page: everything about this file under these objectives, as one HTML file to pass on."""

from __future__ import annotations

import re

import streamlit as st

from sapo_viz.core.objective import Objective
from sapo_viz.figures.report.document import report_html
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.findings.rule import Finding
from sapo_viz.rollouts.findings.summary import summarise
from sapo_viz.ui.correction import correction_in_force
from sapo_viz.ui.tokens.audit import claim_for
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.tokens.weighed import weighed_already
from sapo_viz.ui.words import _


def report_button(source: Source, objectives: dict[str, Objective], found: tuple[Finding, ...] | None) -> None:
    """The file is made when the button is pressed, from what the page shows now and whatever is not there yet."""
    rollouts = source.rollouts
    analysis, correction = weighed_already(source, objectives), correction_in_force()

    def make() -> bytes:
        weighed = analysis or analyse(rollouts, objectives, correction)
        return report_html(summarise(weighed, found=found, curves=True, claim=claim_for(source))).encode()

    st.download_button(
        _("Report, one HTML file"),
        make,
        file_name=report_name(rollouts.name),
        mime="text/html",
        icon=":material/ios_share:",
        help=_("Live figures, findings and tokens in one file that needs no network: attach it to a ticket."),
        key="tokens: report",
        on_click="ignore",
    )


def report_name(file_name: str) -> str:
    """`step 12.jsonl` -> `step-12-report.html`: letters and digits of the name, in whatever script."""
    stem = re.sub(r"[^\w]+", "-", file_name.rsplit(".", 1)[0])[:60].strip("-")
    return f"{stem or 'rollouts'}-report.html"
