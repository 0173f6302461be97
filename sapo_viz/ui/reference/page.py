"""The reference on a page: one section per objective, each with an address of its own, then the metrics."""

from __future__ import annotations

import streamlit as st

from sapo_viz.core.metrics import METRICS
from sapo_viz.core.objective import CATALOG, Aggregation
from sapo_viz.printed.reference import (
    NOTES,
    about,
    anchor,
    bullets,
    frameworks_of,
    knob_lines,
    metric_lines,
    name_lines,
    notes_of,
    overview,
    paper_link,
)
from sapo_viz.runs.metrics import RUN_METRICS
from sapo_viz.ui.nav import page_file
from sapo_viz.ui.reference.formulas import take_home
from sapo_viz.ui.words import _, declared


def objective_table(names: list[str]) -> None:
    with st.container(key="overview"):
        st.markdown(overview({name: CATALOG[name] for name in names}))


def objective_section(name: str, aggregation: Aggregation | None = None) -> None:
    """`?objective=<name>` leads here, and `#<label>` on the whole page."""
    cls = CATALOG[name]
    st.header(cls.label, anchor=anchor(cls), divider="gray")
    st.markdown(f"`{cls.name}` · {paper_link(cls)}  \n{declared(cls.idea)}")
    st.latex(r"\small J_t = " + cls.formula)
    st.markdown(about(cls))
    st.markdown("**" + _("Knobs") + "**\n" + bullets(knob_lines(cls)) if cls.knobs() else _("It has no knobs."))
    if frameworks_of(cls):
        st.markdown("**" + _("Elsewhere") + "**\n" + bullets(name_lines(cls)))
    else:
        st.markdown(_("None of the frameworks listed here has it, as far as we know."))
    if notes_of(cls):
        st.markdown("**" + _("Where implementations differ") + "**\n" + bullets(notes_of(cls)))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            page_file("curves"), label=_("Its curves"), icon=":material/show_chart:", query_params={"objectives": name}
        )
        st.page_link(
            page_file("reference"),
            label=_("Link to this entry"),
            icon=":material/link:",
            query_params={"objective": name},
        )
    with st.expander(_("LaTeX and PyTorch"), icon=":material/code:"):
        take_home(cls(), aggregation)


def differences() -> None:
    st.header(_("Where implementations differ"), anchor="differences", divider="gray")
    st.markdown(bullets(NOTES))


def metric_lists() -> None:
    st.header(_("Metrics"), anchor="metrics", divider="gray")
    for title, metrics in ((_("Of a batch"), METRICS), (_("Of a training step"), RUN_METRICS)):
        st.subheader(title)
        st.markdown(bullets(metric_lines(metrics.values())))
