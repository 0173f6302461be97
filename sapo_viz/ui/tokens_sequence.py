"""One sequence of a file: its tokens under each objective, what is kept of it, and what to see in it."""

from __future__ import annotations

import streamlit as st

from sapo_viz.core.objective import Objective
from sapo_viz.ui.tokens_source import Source
from sapo_viz.ui.tokens_strip import token_strip
from sapo_viz.ui.tokens_tables import (
    analysis_of,
    choose_sequence,
    first_look,
    sequence_facts,
    sequence_table,
    shares,
    token_table,
)
from sapo_viz.ui.words import _


def sequence_view(source: Source, objectives: dict[str, Objective]) -> None:
    """Which sequence, its strip, its shares, the table of all, every token; the strip before the file is weighed."""
    first = first_look(source, objectives)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left:
        index = choose_sequence(source, first)
    with right:
        sequence_facts(first, index)
    token_strip("tokens: strip", first, index)

    st.subheader(_("How much of the gradient is kept?"))
    analysis = analysis_of(source, objectives)
    shares(analysis, index)
    if len(source.rollouts) > 1:
        st.subheader(_("Which sequences?"))
        sequence_table(analysis, index)
    token_table(first, index)

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
