"""Each objective's formula and source, where its curves are shown, and the formula and the code to copy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import cast

import streamlit as st

from sapo_viz.core.objective import AGGREGATIONS, CATALOG, Aggregation, Objective
from sapo_viz.errors import KnobError
from sapo_viz.printed.reference import LEVELS, paper_link
from sapo_viz.printed.standalone import latex, standalone
from sapo_viz.ui.address import bind_choice
from sapo_viz.ui.text import plain
from sapo_viz.ui.words import _, declared


def formula_cards(names: list[str], values: Mapping[str, Mapping[str, float]] | None = None) -> None:
    """One bordered card per objective: idea, formula, ratio level, aggregation, paper, code.

    `values` are the knobs in force, objective -> knob -> number; the usual ones if not given.
    """
    title, choice = st.columns([2, 1], vertical_alignment="bottom")
    title.subheader(_("Formulas"))
    with choice:
        how = aggregation_choice()
    columns = st.columns(2)
    for place, name in enumerate(names):
        with columns[place % 2].container(border=True):
            _card(CATALOG[name])
            # Filled when it is opened: what is closed costs the page's first picture nothing.
            home = st.expander(_("LaTeX and PyTorch"), icon=":material/code:", key=f"home-{name}", on_change="rerun")
            if home.open:
                with home:
                    take_home(CATALOG[name].from_knobs(dict((values or {}).get(name, {}))), how)


def aggregation_choice() -> Aggregation | None:
    """The aggregation that the code to take home has; None for each objective's own."""
    labels = {"auto": _("each objective's own")}
    bind_choice("aggregation", ("auto", *AGGREGATIONS), "auto")
    chosen = st.selectbox(
        _("Aggregation in the code"),
        ("auto", *AGGREGATIONS),
        format_func=lambda name: labels.get(name, name),
        key="aggregation",
        help=_("How a batch's tokens become one loss; the names are verl's. The curves do not depend on it."),
    )
    return None if chosen == "auto" else cast(Aggregation, chosen)


def _card(cls: type[Objective]) -> None:
    st.markdown(f"**{cls.label}** · {paper_link(cls)}  \n{declared(cls.idea)}")
    st.latex(r"\small J_t = " + cls.formula)
    level = declared(LEVELS[cls.ratio_level])
    st.caption(_("Ratio level: {level}. Aggregation: `{how}`.").format(level=level, how=cls.aggregation))


def take_home(objective: Objective, aggregation: Aggregation | None = None) -> None:
    """The formula for a paper and the loss for a training script, with the knobs in force; each can be copied."""
    try:
        formula, code = _texts(objective, aggregation)
    except KnobError as error:  # an objective of the user's own whose source cannot be read
        st.info(plain(str(error)), icon=":material/info:")
        return
    st.code(formula, language="latex")
    st.caption(_("One line for an `align` environment (amsmath)."))
    st.code(code, language="python", height=320)
    st.caption(_("A PyTorch file that runs without this app; tested to give the same loss and gradient."))
    st.download_button(
        _("Download {file}").format(file=f"{objective.name}_loss.py"),
        code,
        file_name=f"{objective.name}_loss.py",
        mime="text/x-python",
        icon=":material/download:",
        on_click="ignore",  # a download changes nothing on the page
        key=f"take-home-{objective.name}",
    )


@lru_cache(maxsize=256)
def _texts(objective: Objective, aggregation: Aggregation | None) -> tuple[str, str]:
    return latex(objective, aggregation), standalone(objective, aggregation)
