"""The token strip on a page: its component, its words, and the address it writes to."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.figures.packed import pack_arrays
from sapo_viz.figures.strip.data import PAGE, parts_of, strip_data
from sapo_viz.figures.strip.words import strip_words
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.rollouts.search import Elsewhere, elsewhere
from sapo_viz.ui import address, session
from sapo_viz.ui.address import Word, write_values
from sapo_viz.ui.component import component
from sapo_viz.ui.correction import write_correction
from sapo_viz.ui.session import OPEN_SEQUENCE
from sapo_viz.ui.streamlit_internals import typesetter_path
from sapo_viz.ui.tokens.which import show_sequence
from sapo_viz.ui.words import _
from sapo_viz.ui.work import kept

_SHOWS = ("coefficient", "ratio", "change")  # what may be coloured besides the weight
_SHOWN = "tokens: strip of"  # session: the sequence that the address's token belongs to
_RELEASED = "tokens: strip released"  # session: knobs were let go, the whole page is to follow
_LONGEST = 200  # characters of a text that is looked for
_SOUGHT = "tokens: strip sought"  # session: the text that is looked for
_ARRIVING = "tokens: strip arriving"  # session: the sequence that the search went on to, and whether from its end


def token_strip(key: str, analysis: Analysis, index: int) -> None:
    """Draw sequence `index`; knobs that are let go, rows, colours and the chosen token are kept in the address."""
    session.put(OPEN_SEQUENCE, (analysis, index))
    address.read("view", Word(("compare", *CATALOG), None))  # the browser takes them from there itself
    address.read("show", Word(_SHOWS, None))
    _strip(key)


@st.fragment
def _strip(key: str) -> None:
    """A fragment: choosing a token or a colour runs only this again, and what it sends is the same bytes, which
    the browser has already. Knobs concern the whole page.

    Streamlit keeps a fragment's arguments for as long as the visit: the sequence is none of them.
    """
    shown: tuple[Analysis, int] | None = session.get(OPEN_SEQUENCE)
    if shown is None or session.take(_RELEASED, False):
        st.rerun()
    analysis, index = shown
    length = int(analysis.rollouts.lengths[index])

    def released() -> None:
        sent = session.sent(key, "values") or {}
        write_values(sent)
        write_correction(sent.get("correction") or {})
        session.put(_RELEASED, True)

    def turned() -> None:
        session.put(_ARRIVING, (None, 0))
        _write_link(session.sent(key, "link") or {}, list(analysis.objectives), length)

    def sought() -> None:
        asked = session.sent(key, "find") or {}
        session.put(_SOUGHT, str(asked.get("text", ""))[:_LONGEST])
        found, step = _elsewhere(analysis, index), asked.get("step")
        target = found.after if step == 1 else found.before if step == -1 else None
        if target is not None:
            show_sequence(target + 1, len(analysis.rollouts))
            session.put(_ARRIVING, (target, step))
            session.put(_RELEASED, True)

    here = (analysis.rollouts.name, index)
    if session.get(_SHOWN, here) != here:  # a token of another sequence means nothing here
        address.drop("token")
    session.put(_SHOWN, here)
    header, arrays = strip_data(analysis, index, part=_part(key, index, length), labels=strip_words(_))
    if len(analysis.rollouts) > 1 and session.get(_SOUGHT, ""):
        to, step = session.get(_ARRIVING, (None, 0))
        found = {"text": session.get(_SOUGHT), "arriving": step if to == index else 0}
        header["elsewhere"] = asdict(_elsewhere(analysis, index)) | found
    header["alone"] = len(analysis.rollouts) == 1
    data = pack_arrays(header | {"typesetter": typesetter_path()}, arrays)
    component("strip/strip.js")(
        key=key, data=data, on_values_change=released, on_link_change=turned, on_find_change=sought
    )


def _elsewhere(analysis: Analysis, index: int) -> Elsewhere:
    """Looked for once: whatever else is done to the strip asks again. A tokenizer gives the same file other texts."""
    text = session.get(_SOUGHT, "")
    asked = (analysis.rollouts.tokens.vocabulary, index, text)
    return kept("elsewhere", asked, lambda: elsewhere(analysis.rollouts, index, text))


def hold_token(name: str, index: int, token: int | None) -> None:
    """Let sequence `index` of file `name` open at `token` (from 0), or at none."""
    session.put(_SHOWN, (name, index))
    if token is None:
        address.drop("token")
    else:
        address.put("token", str(token + 1))


def _write_link(link: dict[str, Any], names: list[str], length: int) -> None:
    """Rows, colours and token (from 1) into the address; what the strip shows by itself is left out."""
    token = link.get("token")
    view, show = link.get("view"), link.get("show")
    address.put("view", str(view) if view in names else None)
    address.put("show", str(show) if show in _SHOWS else None)
    address.put("token", str(int(token)) if isinstance(token, (int, float)) and 1 <= token <= length else None)


def _part(key: str, index: int, length: int) -> int:
    """Which part of a very long sequence is shown; a link's token opens its own."""
    parts = parts_of(length)
    if parts == 1:
        return 0
    widget = f"{key} part {index}"
    if not session.has(widget):
        token = address.text("token", "")
        asked = int(token) if token.isdecimal() and len(token) < 10 else 1
        session.put(widget, min(max(asked - 1, 0) // PAGE + 1, parts))
    text = _("This sequence has {n:,} tokens; {page:,} are shown at a time. Part (of {parts})")
    return int(st.number_input(text.format(n=length, page=PAGE, parts=parts), 1, parts, key=widget)) - 1
