"""Reference: every objective, knob and metric, and its name in other frameworks."""

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.printed.reference import search as search_for
from sapo_viz.ui.address import bind_choice, known
from sapo_viz.ui.reference.formulas import aggregation_choice
from sapo_viz.ui.reference.page import differences, metric_lists, objective_section, objective_table
from sapo_viz.ui.text import plain
from sapo_viz.ui.words import _

st.title(_("What is it, and what do others call it?"))
st.caption(
    _(
        "Every objective, knob and metric of this app, with its names in eight frameworks, and where "
        "implementations of the same name differ. A dash means: not there, or not known."
    )
)

search, choice, code = st.columns(3, vertical_alignment="bottom")
known("q")  # Streamlit's own, below
with search:
    wanted = st.text_input(
        _("Search"),
        key="q",
        bind="query-params",
        icon=":material/search:",
        placeholder=_("τ, clip_ratio_c, sequence, 2507.18071 …"),
        help=_("Finds objectives by name, paper, ratio level, aggregation, knobs, and their names elsewhere."),
    )
with choice:
    bind_choice("objective", CATALOG, None)
    chosen = st.selectbox(
        _("Objective"),
        list(CATALOG),
        index=None,
        format_func=lambda name: CATALOG[name].label,
        placeholder=_("all {count}").format(count=len(CATALOG)),
        key="objective",
        help=_("Choose one to see its entry alone; clear the choice to see all."),
    )
with code:
    aggregation = aggregation_choice()

names = [chosen] if chosen else search_for(CATALOG, wanted or "")
if not names:
    st.info(
        _("Nothing matches “{wanted}”; clear the search to see everything.").format(wanted=plain(wanted)),
        icon=":material/search_off:",
    )
if len(names) > 1:
    objective_table(names)
for name in names:
    objective_section(name, aggregation)
if not chosen and not wanted:
    differences()
    metric_lists()
