"""Tokens: what each objective does to the tokens of a real sequence."""

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.ui.state import read_values, url_choice
from sapo_viz.ui.tokens_source import choose_source
from sapo_viz.ui.tokens_strip import token_strip
from sapo_viz.ui.tokens_tables import (
    analysis_of,
    choose_sequence,
    notes,
    schema_help,
    sequence_facts,
    sequence_table,
    shares,
    token_table,
)
from sapo_viz.ui.words import _

st.title(_("Which tokens does each objective keep?"))
st.caption(
    _(
        "Each token stands on the colour of its weight w: the share of its gradient that the objective lets through, "
        "given how far the policy has moved on it since it was sampled (the ratio r) and whether that was good (A)."
    )
)
source = choose_source()
url_choice("objectives", CATALOG, ["sapo", "grpo", "gspo"])
chosen = st.pills(
    _("Objectives"),
    list(CATALOG),
    selection_mode="multi",
    wrap=True,
    format_func=lambda name: CATALOG[name].label,
    key="objectives",
)
names = [name for name in CATALOG if name in chosen]
if source is None:
    st.info(_("Choose where the tokens come from; they appear here."), icon=":material/touch_app:")
elif not names:
    st.info(_("Choose at least one objective above; the tokens take its colours."), icon=":material/touch_app:")
else:
    values = read_values(names)
    analysis = analysis_of(source, {name: CATALOG[name].from_knobs(values[name]) for name in names})
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left:
        index = choose_sequence(source, analysis)
    with right:
        sequence_facts(analysis, index)
    token_strip("tokens: strip", analysis, index)
    notes(source.rollouts)

    st.subheader(_("How much of the gradient is kept?"))
    shares(analysis, index)
    if len(source.rollouts) > 1:
        st.subheader(_("Which sequences?"))
        sequence_table(analysis, index)
    with st.expander(_("Every token of this sequence"), icon=":material/table_rows:"):
        token_table(analysis, index)

    st.subheader(_("What to notice"))
    st.markdown(
        _(
            "- **One token or all.** GSPO decides by the mean log-ratio: one outlier can drop a whole sequence, and a "
            "calm mean can let an outlier through. SAPO and GRPO decide token by token. *(computed)*\n"
            "- **Where they disagree.** Sort the sequences by *disagreement* and start at the top.\n"
            "- **Coherence.** With a small Var z within a sequence SAPO's mean gate is close to a gate on s, as the "
            "paper argues; with outliers it is not. *(paper: "
            "[arXiv 2511.20347](https://arxiv.org/abs/2511.20347))*"
        )
    )
with st.expander(_("What a rollout file holds"), icon=":material/description:", expanded=source is None):
    schema_help()
