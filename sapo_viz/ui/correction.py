"""The correction for the sampler: in the address, where every page reads it, and as widgets where no figure has the
control (browser/shared/correction.js) beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from sapo_viz.core.correction import CHOICES, HIGH, LOW, OFF, Correction, correction_of
from sapo_viz.core.correction_choices import USUAL
from sapo_viz.core.knobs import Knob
from sapo_viz.figures.correction import correction_value, correction_words
from sapo_viz.ui import address, session
from sapo_viz.ui.address import Kind, Number, Word, write, write_number
from sapo_viz.ui.words import _, declared

_KEYS = {"low": "correction.low", "high": "correction.high"}
_CHOICE = Word((OFF, *CHOICES), OFF)
_WIDGETS = {name: f"correction: {name}" for name in ("choice", "low", "high")}


def correction_in_force() -> Correction | None:
    """The address's; of a link that asks for what cannot be, what is usual (`say_what_is_unknown` says so)."""
    choice = _value("correction", _CHOICE)
    bounds = _bounds(choice)
    return correction_of(choice, **{name: _value(key, bounds[name]) for name, key in _KEYS.items()})


def correction_chosen() -> dict[str, Any]:
    """The same as the browser takes it."""
    return correction_value(correction_in_force())


def say_what_is_unknown() -> None:
    """Once a page: what the link asks of a correction that is not available."""
    choice = address.read("correction", _CHOICE) or OFF
    for name, kind in _bounds(choice).items():
        address.read(_KEYS[name], kind)


def write_correction(sent: Mapping[str, Any]) -> None:
    """Put what the browser sent into the address; what is none of its choices, or out of range, is not taken."""
    choice = sent.get("choice")
    if choice not in (OFF, *CHOICES):
        return
    write("correction", _CHOICE, choice)
    for name, kind in _bounds(choice).items():
        if choice == OFF:
            address.drop(_KEYS[name])
        else:
            write_number(_KEYS[name], kind, sent.get(name))


def correction_inputs() -> None:
    """Choice and bounds as widgets. What is chosen goes into the address before the page runs again."""
    value = correction_chosen()
    session.put(_WIDGETS["choice"], value["choice"])
    words = correction_words(_)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.segmented_control(
            words["title"], [OFF, *CHOICES], required=True, wrap=True, key=_WIDGETS["choice"], help=words["help"],
            on_change=_taken,
        )  # fmt: skip
        if value["choice"] == OFF:
            return
        for knob in (LOW, HIGH):
            session.put(_WIDGETS[knob.name], value[knob.name])
            st.number_input(
                knob.symbol, knob.lo, knob.hi, step=knob.step, format="%.4g", key=_WIDGETS[knob.name],
                help=declared(knob.help), width=130, on_change=_taken,
            )  # fmt: skip


def _taken() -> None:
    before = correction_chosen()["choice"]
    sent = {name: session.get(widget) for name, widget in _WIDGETS.items()}
    if sent["choice"] in USUAL and sent["choice"] != before:  # its own bounds, not those of the one before
        usual = USUAL[sent["choice"]].correction
        sent |= {"low": usual.low, "high": usual.high}
    write_correction(sent)


def _value(key: str, kind: Kind[Any]) -> Any:
    return kind.read(key, address.text(key)).value if address.has(key) else kind.usual


def _bounds(choice: str) -> dict[str, Number]:
    """Of which what is usual is the choice's own."""
    usual = USUAL[choice].correction if choice in USUAL else Correction()
    return {"low": _bound(LOW, usual.low), "high": _bound(HIGH, usual.high)}


def _bound(knob: Knob, usual: float) -> Number:
    return Number(replace(knob, default=usual), _("Sampler correction"))
