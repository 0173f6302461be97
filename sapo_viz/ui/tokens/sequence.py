"""One sequence of a file: its tokens under each objective, what is kept of it, and what to see in it."""

from __future__ import annotations

import streamlit as st

from sapo_viz.core.objective import Objective
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.ui.pictures import show_picture, without_picture
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens.shares import shares
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.tokens.strip import token_strip
from sapo_viz.ui.tokens.tables import sequence_table, token_table
from sapo_viz.ui.tokens.weighed import analysis_of, first_look
from sapo_viz.ui.tokens.which import choose_sequence
from sapo_viz.ui.words import _


def sequence_view(source: Source, objectives: dict[str, Objective]) -> None:
    """Which sequence, its strip, its shares, the table of all, every token; the strip before the file is weighed."""
    first = first_look(source, objectives)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="tokens-sequence"):
        index = choose_sequence(source, first)
        show_picture(first.rollouts[index].prompt or "")
        with st.container(width="stretch"):
            _facts(first, index)
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


def _facts(analysis: Analysis, index: int) -> None:
    """One line of numbers about the sequence, and its prompt."""
    row = analysis.sequences.iloc[index]
    sequence = analysis.rollouts[index]
    facts = [
        ("A", f"{row['advantage']:.3g}"),
        (_("reward"), "–" if sequence.reward is None else f"{sequence.reward:.3g}"),
        ("s", f"{row['s']:.4f}"),
        ("Var z", f"{row['variance']:.3g}"),
        (_("tokens"), f"{row['tokens']:,}"),
    ]
    text = " · ".join(f"{name} **{plain(value)}**" for name, value in facts)
    lines = [f"**{plain(sequence.id[:80])}** · {text}"]
    if sequence.prompt:
        prompt = without_picture(sequence.prompt)
        shown = prompt if len(prompt) <= 400 else prompt[:400] + "…"
        lines.append(f"{_('Prompt')}: {plain(shown)}")
    st.markdown("  \n".join(lines))
