"""The address as state: what a page shows is in its URL, so that a link opens on the same picture.

Choices are kept by name (`objectives=sapo,gspo`; Streamlit's own binding would put the translated label
there), knobs as `sapo.tau_neg=1.2`. What equals the usual value is left out, to keep links short.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import KnobError
from sapo_viz.ui.text import plain

READ_AT = 1.2  # where the read-out stands at first


def url_choice(key: str, options: Iterable[str], usual: str | list[str]) -> None:
    """Tie the choice widget `key` to the address; call it just before the widget, and give that no default.

    A list as `usual` means that several may be chosen. Names in the address that are not options are left
    out. The address wins when it has changed (a link, the back button), the widget otherwise.
    """
    known = list(options)
    many = isinstance(usual, list)
    text = st.query_params.get(key)
    seen = f"{key}@url"
    if key not in st.session_state or text != st.session_state.get(seen):
        named = [name for name in (text or "").split(",") if name in known]
        st.session_state[key] = usual if text is None else (named if many else (named or [usual])[0])
    else:
        chosen = st.session_state[key]
        if chosen == usual:
            st.query_params.pop(key, None)
        else:
            st.query_params[key] = ",".join(chosen) if many else str(chosen)
    st.session_state[seen] = st.query_params.get(key)


def read_values(names: list[str]) -> dict[str, Any]:
    """objective -> knob -> number, and `read_at`, from the address; what cannot be used is said and left out."""
    values: dict[str, Any] = {}
    for name in names:
        values[name] = {knob.name: _read_knob(name, knob.name) for knob in CATALOG[name].knobs().values()}
    values["read_at"] = READ_AT
    with contextlib.suppress(ValueError):
        at = float(st.query_params.get("r", READ_AT))
        if 1e-3 <= at <= 1e3:
            values["read_at"] = at
    return values


def _read_knob(name: str, knob: str) -> float:
    spec = CATALOG[name].knobs()[knob]
    text = st.query_params.get(f"{name}.{knob}")
    if text is None:
        return spec.default
    try:
        value: float | str = float(text)
    except ValueError:
        value = text
    try:
        return spec.check(CATALOG[name].label, value)
    except KnobError as error:
        st.warning(plain(f"{error} The link's value is not used; {spec.default:g} is."), icon=":material/link_off:")
        return spec.default


def write_values(values: dict[str, Any]) -> None:
    """Put knobs (and `read_at`) into the address; numbers that are out of range are not taken."""
    for name, knobs in values.items():
        if name == "read_at":
            _put("r", float(knobs), READ_AT)
        elif name in CATALOG:
            for knob, spec in CATALOG[name].knobs().items():
                if knob in knobs:
                    with contextlib.suppress(KnobError):
                        _put(f"{name}.{knob}", spec.check(CATALOG[name].label, knobs[knob]), spec.default)


def _put(key: str, value: float, usual: float) -> None:
    if value == usual:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = f"{value:.6g}"
