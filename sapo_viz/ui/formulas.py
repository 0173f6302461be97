"""Each objective's formula and source, where its curves are shown."""

from __future__ import annotations

import streamlit as st

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.ui.words import _

_LEVELS = {
    "token": "each token by its own ratio r",
    "sequence": "all tokens of a sequence by s = exp(mean log r)",
    "sequence-product": "all tokens of a sequence by the product of their ratios",
}


def formula_cards(names: list[str]) -> None:
    """One bordered card an objective: idea, formula, ratio level, aggregation, paper."""
    st.subheader(_("Formulas"))
    columns = st.columns(2)
    for place, name in enumerate(names):
        with columns[place % 2].container(border=True):
            _card(CATALOG[name])


def _card(cls: type[Objective]) -> None:
    st.markdown(f"**{cls.label}** · [arXiv {cls.paper}](https://arxiv.org/abs/{cls.paper})  \n{_(cls.idea)}")
    st.latex(r"\small J_t = " + cls.formula)
    level = _(_LEVELS[cls.ratio_level])
    st.caption(_("Ratio level: {level}. Aggregation: `{how}`.").format(level=level, how=cls.aggregation))
