"""Native controls for the knobs of objectives, made from the catalogue; used where no live figure owns them."""

from __future__ import annotations

import streamlit as st

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.ui.state import read_values, write_values
from sapo_viz.ui.words import _


def knob_inputs(names: list[str], *, narrow: bool = False) -> dict[str, Objective]:
    """A row of number boxes an objective, kept in the address; the objectives with the chosen knobs.

    `narrow` puts the objective's name above its boxes: for a column at the side. Knobs out of range cannot
    be typed: the boxes carry the catalogue's bounds.
    """
    values = read_values(names)
    objectives: dict[str, Objective] = {}
    for name in names:
        cls = CATALOG[name]
        knobs = cls.knobs()
        chosen: dict[str, float] = {}
        if knobs:
            if narrow:
                st.markdown(f"**{cls.label}**")
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                if not narrow:
                    st.markdown(f"**{cls.label}**", width=84)
                for spec in knobs.values():
                    chosen[spec.name] = _box(name, spec.name, values[name][spec.name])
        objectives[name] = cls(**chosen)
    write_values(
        {name: {k: getattr(objective, k) for k in objective.knobs()} for name, objective in objectives.items()}
    )
    return objectives


def _box(objective: str, knob: str, value: float) -> float:
    """One number box; a change of the address (a link, the back button) wins over what was typed before."""
    spec = CATALOG[objective].knobs()[knob]
    key, seen = f"box-{objective}-{knob}", f"box-{objective}-{knob}@url"
    text = st.query_params.get(f"{objective}.{knob}")
    if key not in st.session_state or text != st.session_state.get(seen):
        st.session_state[key] = value
    small = spec.step < 0.001
    number = st.number_input(
        f"{spec.symbol} `{spec.name}`",
        min_value=spec.lo,
        max_value=spec.hi,
        step=spec.step * (10 if small else 1),
        format="%.5g" if small else "%.4g",
        key=key,
        help=_(spec.help),
        width=130,
    )
    st.session_state[seen] = None if number == spec.default else f"{number:.6g}"
    return float(number)
