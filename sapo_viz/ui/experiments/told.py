"""What is said of an experiment before anything has run here: the shipped answer, the paper's, and the reasons."""

from __future__ import annotations

import streamlit as st

from sapo_viz.experiments.analysis import Result, analyse
from sapo_viz.experiments.conclusion import conclusion, verdict_in_brief
from sapo_viz.experiments.design import Preset
from sapo_viz.experiments.measured import Measured, measured, seeds_of
from sapo_viz.experiments.presets import PAPER, PRESETS
from sapo_viz.ui import address
from sapo_viz.ui.text import plain
from sapo_viz.ui.words import _, declared


def shipped_result(preset: Preset, shipped: Measured | None, switches: tuple[str, ...] = ()) -> Result | None:
    """With as many seeds as there are of every arm; None if none are."""
    seeds = seeds_of(preset, shipped, switches) if shipped else 0
    return analyse(preset, seeds, shipped.records, switches) if shipped and seeds else None


def background(preset: Preset) -> None:
    """What is said elsewhere about the question, each with its source."""
    cards: list[tuple[str, str]] = [
        (_("The paper"), f"{plain(declared(preset.paper))} *([arXiv {PAPER}](https://arxiv.org/abs/{PAPER}))*"),
        (_("Why, as far as known"), plain(declared(preset.reason))),
        (
            _("Measured when this app was designed"),
            plain(declared(preset.designed)) + " " + _("*(an earlier policy; not read by the sentence above)*")
            + (f"\n\n{plain(declared(preset.built))}" if preset.built else ""),
        ),
    ]  # fmt: skip
    for column, (title, text) in zip(st.columns(len(cards)), cards, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{title}**")
            st.markdown(text)


def questions() -> None:
    """Every question, with what was measured in ten words and over how many seeds."""
    with st.container(gap=None, key="questions"):
        for preset in PRESETS.values():
            question, verdict, seeds = st.columns([6, 5, 1], vertical_alignment="center", gap="small")
            # Not a page link: one to the page itself changes the page, and leaves the address as it was.
            label = f"**{plain(declared(preset.title))}** · {plain(declared(preset.question))}"
            question.button(label, type="tertiary", key=f"open-{preset.name}", on_click=_open, args=(preset.name,))
            shown = shipped_result(preset, measured(preset.name))
            verdict.markdown(plain(verdict_in_brief(shown, _)) if shown else _("Not measured yet."))
            seeds.markdown(f"n = {shown.n}" if shown else "–")


def shipped_answer(preset: Preset) -> str:
    """The sentence that is shipped for a preset, with its source, as Markdown."""
    shipped = measured(preset.name)
    shown = shipped_result(preset, shipped)
    if not shipped or not shown:
        return _("Not measured yet.")
    text = _("{answer} *(measured {date}, n = {n})*")
    return text.format(answer=plain(conclusion(shown, _)), date=shipped.date, n=shown.n)


def _open(name: str) -> None:
    address.go_to({"preset": name})
