"""The address as state: what a page shows is in its URL, so that a link opens on the same picture.

Choices are kept by name (`objectives=sapo,gspo`; Streamlit's own binding would put the translated label
there), knobs as `sapo.tau_neg=1.2`. What equals the usual value is left out, to keep links short.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from sapo_viz.core.knobs import Knob
from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import KnobError
from sapo_viz.ui.text import plain

# What else a live figure keeps in the address: name -> (parameter, usual value, lowest, highest).
EXTRAS = {
    "read_at": ("r", 1.2, 1e-3, 1e3),  # where the read-out stands
    "spread": ("spread", 0.2, 1e-3, 3.0),  # standard deviation of log r over the tokens drawn in grey
    "p_old": ("p", 0.3, 1e-4, 0.9999),  # old probability of the token, for objectives that read log π
}

OPEN_FILE = "tokens: shown"  # session: what the Tokens page shows (tokens_source.Source), for other pages too


def url_choice(key: str, options: Iterable[str], usual: str | list[str]) -> None:
    """Tie the choice widget `key` to the address; call it just before the widget, and give that no default.

    A list as `usual` means that several may be chosen. Names in the address that are not options are left
    out. The address wins when it has changed (a link, the back button), the widget otherwise. Where neither says
    anything, what was chosen last in a widget of this key, on this page or another, is taken over as far as it
    is an option here.
    """
    known = set(options)
    many = isinstance(usual, list)
    text = st.query_params.get(key)
    seen, page, last = f"{key}@url", f"{key}@page", f"{key}@last"
    # Streamlit forgets a widget that is not shown; one on another page is another widget to it, whatever its key.
    gone = key not in st.session_state or st.session_state.get(page) != _page()
    changed = text != st.session_state.get(seen)
    linked = text is not None and (gone or changed)
    if linked:
        named = [name for name in str(text).split(",") if name in known]
        chosen = named if many else (named or [usual])[0]
    elif gone:
        before = st.session_state.get(last) or usual
        fitting = [name for name in (before if many else [before]) if name in known]
        chosen = (fitting or usual) if many else (fitting or [usual])[0]
    else:
        chosen = usual if changed else st.session_state[key]
    st.session_state[key] = chosen
    if not linked and chosen == usual:
        st.query_params.pop(key, None)
    elif not linked:
        st.query_params[key] = ",".join(chosen) if many else str(chosen)
    st.session_state[seen] = st.query_params.get(key)
    st.session_state[page] = _page()
    st.session_state[last] = None if chosen == usual else chosen  # on another page something else may be usual


def _page() -> str:
    """What tells the page that runs from the others."""
    context = get_script_run_ctx()
    return context.page_script_hash if context else ""


def read_values(names: list[str]) -> dict[str, Any]:
    """objective -> knob -> number, and the EXTRAS, from the address; what cannot be used is said and left out."""
    values: dict[str, Any] = {}
    for name in names:
        values[name] = {knob.name: _read_knob(name, knob.name) for knob in CATALOG[name].knobs().values()}
    for name, (parameter, usual, low, high) in EXTRAS.items():
        values[name] = usual
        with contextlib.suppress(ValueError):
            at = float(st.query_params.get(parameter, usual))
            values[name] = at if low <= at <= high else usual
    return values


def _read_knob(name: str, knob: str) -> float:
    return read_number(f"{name}.{knob}", CATALOG[name].knobs()[knob], CATALOG[name].label)


def read_number(key: str, spec: Knob, owner: str) -> float:
    """A number from the address; one that cannot be used is said, in the name of `owner`, and left out."""
    text = st.query_params.get(key)
    if text is None:
        return spec.default
    try:
        value: float | str = float(text)
    except ValueError:
        value = text
    try:
        return spec.check(owner, value)
    except KnobError as error:
        st.warning(plain(f"{error} The link's value is not used; {spec.default:g} is."), icon=":material/link_off:")
        return spec.default


def write_number(key: str, spec: Knob, owner: str, value: float) -> None:
    """Put a number into the address; one that is out of range is not taken."""
    with contextlib.suppress(KnobError):
        _put(key, spec.check(owner, value), spec.default)


def write_values(values: dict[str, Any]) -> None:
    """Put knobs (and the EXTRAS) into the address; numbers that are out of range are not taken."""
    for name, knobs in values.items():
        if name in EXTRAS:
            parameter, usual, _low, _high = EXTRAS[name]
            _put(parameter, float(knobs), usual)
        elif name in CATALOG:
            for knob, spec in CATALOG[name].knobs().items():
                if knob in knobs:
                    write_number(f"{name}.{knob}", spec, CATALOG[name].label, knobs[knob])


def _put(key: str, value: float, usual: float) -> None:
    if value == usual:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = f"{value:.6g}"
