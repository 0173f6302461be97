"""The token strip on a page: its component, its words, and the address it writes to."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import streamlit as st

from sapo_viz.figures.assets import formulas_js, read
from sapo_viz.figures.strip import PAGE, parts_of, strip_data
from sapo_viz.rollouts.analysis import Analysis
from sapo_viz.ui.state import write_values
from sapo_viz.ui.words import _


@lru_cache
def _component(formulas: str) -> Any:
    """Registered once; anew when an objective joins the catalogue."""
    name = f"sapo_viz.tokens_{hash(formulas) & 0xFFFFFFFF:x}"
    js = "\n".join([formulas, *map(read, ("plot.js", "sliders.js", "token_text.js", "strip.js"))])
    return st.components.v2.component(name, js=js, css=read("sliders.css") + read("strip.css"), isolate_styles=False)


def _labels() -> dict[str, str]:
    return dict(
        reset=_("Back to the usual values"),
        no_knobs=_("No knobs."),
        takes=_("It takes values from {lo} to {hi}."),
        number=_("as a number"),
        strip=_("Tokens, coloured by weight. Arrow keys move from token to token."),
        view=_("Rows"),
        compare=_("Compare"),
        weight=_("weight"),
        kept=_("Share of this sequence's gradient that is kept"),
        above=_("above 1"),
        cut=_("cut: no gradient"),
        masked=_("masked: not part of the loss"),
        masked_note=_("Masked: this token is not part of the loss and gets no gradient."),
        no_gradient=_("A = 0: no gradient flows here. The weights are those of a small negative A."),
        point=_("Point at a token, tap it, or walk with the arrow keys to see its numbers."),
        place=_("token {i} of {n}"),
        token_id=_("id"),
        objective=_("Objective"),
        ratio=_("ratio"),
    )


def token_strip(key: str, analysis: Analysis, index: int) -> None:
    """Draw sequence `index`; what the knobs are let go at, and the chosen row, are kept in the address."""
    names = list(analysis.objectives)
    view = st.query_params.get("view", "compare")

    def released() -> None:
        write_values(st.session_state[key].get("values") or {})

    def turned() -> None:
        chosen = st.session_state[key].get("view")
        if chosen in names:
            st.query_params["view"] = chosen
        else:
            st.query_params.pop("view", None)

    data = strip_data(analysis, index, part=_part(analysis, index), view=view, labels=_labels())
    _component(formulas_js())(key=key, data=data, on_values_change=released, on_view_change=turned)


def _part(analysis: Analysis, index: int) -> int:
    """Which part of a very long sequence is shown."""
    length = int(analysis.rollouts.lengths[index])
    parts = parts_of(length)
    if parts == 1:
        return 0
    text = _("This sequence has {n:,} tokens; {page:,} are shown at a time. Part (of {parts})")
    return int(st.number_input(text.format(n=length, page=PAGE, parts=parts), 1, parts, key=f"part {index}")) - 1
