"""The report of the Tokens page: everything about this file under these objectives, as one HTML file to pass on."""

from __future__ import annotations

import re

import streamlit as st

from sapo_viz.figures.report import report_html
from sapo_viz.rollouts.analysis import Analysis
from sapo_viz.rollouts.findings import Finding
from sapo_viz.rollouts.summary import summarise
from sapo_viz.ui.words import _


def report_button(analysis: Analysis, found: tuple[Finding, ...]) -> None:
    """The file is made when the button is pressed, from what the page shows now."""
    st.download_button(
        _("Report, one HTML file"),
        lambda: report_html(summarise(analysis, found=found, curves=True)).encode("utf-8"),
        file_name=report_name(analysis.rollouts.name),
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
