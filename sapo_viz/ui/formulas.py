"""Each objective's formula and source, where its curves are shown."""

from __future__ import annotations

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.ui.words import _

_LEVELS = {
    "token": "each token by its own ratio r",
    "sequence": "all tokens of a sequence by s = exp(mean log r)",
    "sequence-product": "all tokens of a sequence by the product of their ratios",
}


def formula_cards(names: list[str]) -> None:
    """One bordered card an objective: idea, formula, ratio level, aggregation, paper."""
    st.subheader(_("Formulas"))
    for name in names:
        cls = CATALOG[name]
        with st.container(border=True):
            st.markdown(f"**{cls.label}** · [arXiv {cls.paper}](https://arxiv.org/abs/{cls.paper})  \n{_(cls.idea)}")
            st.latex(r"\small J_t = " + cls.formula)
            st.caption(
                _("Ratio level: {level}. Aggregation: `{how}`.").format(
                    level=_(_LEVELS[cls.ratio_level]), how=cls.aggregation
                )
            )
