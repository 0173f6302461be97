"""The token strip on a page: its component, its words, and the address it writes to."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from sapo_viz.figures.assets import formulas_js
from sapo_viz.figures.packed import pack_arrays
from sapo_viz.figures.strip import PAGE, parts_of, strip_code, strip_data
from sapo_viz.figures.strip_words import strip_words
from sapo_viz.rollouts.analysis import Analysis
from sapo_viz.ui.state import write_values
from sapo_viz.ui.words import _

_SHOWS = ("coefficient", "ratio", "change")  # what may be coloured besides the weight
_SHOWN = "tokens: strip of"  # session: the sequence that the address's token belongs to
_RELEASED = "tokens: strip released"  # session: knobs were let go, the whole page is to follow


@lru_cache
def _component(formulas: str) -> Any:
    """Registered once; anew when an objective joins the catalogue."""
    name = f"sapo_viz.tokens_{hash(formulas) & 0xFFFFFFFF:x}"
    js, css = strip_code(formulas)
    return st.components.v2.component(name, js=js, css=css, isolate_styles=False)


@lru_cache
def typesetter_path() -> str:
    """The address of what sets LaTeX for `st.latex`; Streamlit's build puts a hash into the file's name.

    Streamlit's other copy of KaTeX, a newer one, does not fit its style sheet. Empty when there is none:
    formulas are then shown as LaTeX text.
    """
    root = Path(st.__file__).parent / "static"
    found = sorted(root.glob("static/js/rehype-katex.*.js"))
    return found[0].relative_to(root).as_posix() if found else ""


@st.fragment
def token_strip(key: str, analysis: Analysis, index: int) -> None:
    """Draw sequence `index`; knobs that are let go, rows, colours and the chosen token are kept in the address.

    A fragment: choosing a token or a colour runs only this again, and what it sends is the same bytes, which
    the browser has already. Knobs concern the whole page.
    """
    if st.session_state.pop(_RELEASED, False):
        st.rerun()
    length = int(analysis.rollouts.lengths[index])

    def released() -> None:
        write_values(st.session_state[key].get("values") or {})
        st.session_state[_RELEASED] = True

    def turned() -> None:
        _write_link(st.session_state[key].get("link") or {}, list(analysis.objectives), length)

    here = (analysis.rollouts.name, index)
    if st.session_state.setdefault(_SHOWN, here) != here:  # a token of another sequence means nothing here
        st.query_params.pop("token", None)
    st.session_state[_SHOWN] = here
    header, arrays = strip_data(analysis, index, part=_part(key, index, length), labels=strip_words(_))
    data = pack_arrays(header | {"typesetter": typesetter_path()}, arrays)
    _component(formulas_js())(key=key, data=data, on_values_change=released, on_link_change=turned)


def hold_token(name: str, index: int, token: int | None) -> None:
    """Let sequence `index` of file `name` open at `token` (from 0), or at none."""
    st.session_state[_SHOWN] = (name, index)
    if token is None:
        st.query_params.pop("token", None)
    else:
        st.query_params["token"] = str(token + 1)


def _write_link(link: dict[str, Any], names: list[str], length: int) -> None:
    """Rows, colours and token (from 1) into the address; what the strip shows by itself is left out."""
    token = link.get("token")
    known = isinstance(token, (int, float)) and 1 <= token <= length
    for name, value, good in (
        ("view", link.get("view"), link.get("view") in names),
        ("show", link.get("show"), link.get("show") in _SHOWS),
        ("token", str(int(token)) if known else "", known),
    ):
        if good:
            st.query_params[name] = str(value)
        else:
            st.query_params.pop(name, None)


def _part(key: str, index: int, length: int) -> int:
    """Which part of a very long sequence is shown; a link's token opens its own."""
    parts = parts_of(length)
    if parts == 1:
        return 0
    widget = f"{key} part {index}"
    if widget not in st.session_state:
        token = st.query_params.get("token", "")
        asked = int(token) if token.isdecimal() and len(token) < 10 else 1
        st.session_state[widget] = min(max(asked - 1, 0) // PAGE + 1, parts)
    text = _("This sequence has {n:,} tokens; {page:,} are shown at a time. Part (of {parts})")
    return int(st.number_input(text.format(n=length, page=PAGE, parts=parts), 1, parts, key=widget)) - 1
