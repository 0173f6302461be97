"""The exhibits' component on a page, and what they keep in the address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from sapo_viz.core.knobs import Knob
from sapo_viz.ui import session
from sapo_viz.ui.address import Number, Word, read, write, write_number
from sapo_viz.ui.component import component
from sapo_viz.ui.nav import page_file
from sapo_viz.ui.pack import pack
from sapo_viz.ui.words import _


def exhibit(kind: str, data: dict[str, Any], keep: Callable[[dict[str, Any]], None]) -> None:
    """Draw one; `keep` gets the values at which the hand let go, to put them into the address."""

    def released() -> None:
        sent = session.sent(kind, "values")
        if sent:
            keep(sent)

    component(f"exhibits/{kind}.js")(key=kind, data=pack(data), on_values_change=released)


def shared_words() -> dict[str, str]:
    """Words on every exhibit."""
    return dict(
        takes=_("It takes values from {lo} to {hi}."),
        number=_("as a number"),
        reset=_("Back to the start"),
        cases=_("Cases worth seeing"),
        own_case=_("Your own case. The read-out under the figure says what it comes to."),
        linear=_("linear"),
        log=_("log"),
    )


def read_controls(controls: dict[str, Knob], owner: str) -> dict[str, float]:
    """control -> number, from the address."""
    return {name: read(name, Number(spec, owner)) for name, spec in controls.items()}


def write_controls(controls: dict[str, Knob], owner: str, values: dict[str, Any]) -> None:
    """Put the numbers that were sent into the address."""
    for name, spec in controls.items():
        if name in values:
            write_number(name, Number(spec, owner), values[name])


def read_option(key: str, options: list[str]) -> str:
    """One of a few words from the address; the first is the usual one."""
    return read(key, Word(tuple(options), options[0])) or options[0]


def write_option(key: str, options: list[str], value: Any) -> None:
    """Put the word that a browser sent into the address."""
    kind = Word(tuple(options), options[0])
    write(key, kind, kind.fit(value))


def exhibit_links() -> None:
    """One line that leads to the three exhibits."""
    st.subheader(_("Three exhibits"))
    st.markdown(_("The paper's three arguments, each under your hand, with the places where it stops holding:"))
    links = [
        ("outlier", _("Outlier tokens"), ":material/scatter_plot:"),
        ("coherence", _("Sequence coherence"), ":material/bubble_chart:"),
        ("asymmetry", _("Asymmetric temperatures"), ":material/balance:"),
    ]
    with st.container(horizontal=True):
        for name, title, icon in links:
            st.page_link(page_file(name), label=title, icon=icon)
