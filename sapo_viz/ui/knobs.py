"""Native controls for the knobs of objectives, made from the catalogue; used where no live figure owns them."""

from __future__ import annotations

import streamlit as st

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.ui.address import bind, knob_kind
from sapo_viz.ui.words import declared


def knob_inputs(names: list[str], *, narrow: bool = False) -> dict[str, Objective]:
    """A row of number boxes for each objective, kept in the address; the objectives with the chosen knobs.

    `narrow` puts the objective's name above its boxes: for a column at the side. Knobs out of range cannot
    be typed: the boxes carry the catalogue's bounds.
    """
    objectives: dict[str, Objective] = {}
    for name in names:
        cls = CATALOG[name]
        chosen: dict[str, float] = {}
        if cls.knobs():
            if narrow:
                st.markdown(f"**{cls.label}**")
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                if not narrow:
                    st.markdown(f"**{cls.label}**", width=84)
                for knob in cls.knobs():
                    chosen[knob] = _box(name, knob)
        objectives[name] = cls(**chosen)
    return objectives


def _box(objective: str, knob: str) -> float:
    spec, widget = CATALOG[objective].knobs()[knob], f"box-{objective}-{knob}"
    bind(f"{objective}.{knob}", knob_kind(objective, knob), widget=widget)
    small = spec.step < 0.001
    number = st.number_input(
        f"{spec.symbol} `{spec.name}`",
        min_value=spec.lo,
        max_value=spec.hi,
        step=spec.step * (10 if small else 1),
        format="%.5g" if small else "%.4g",
        key=widget,
        help=declared(spec.help),
        width=130,
    )
    return float(number)
