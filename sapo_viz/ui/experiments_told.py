"""What is said of an experiment before anything has run here: the shipped answer, the paper's, and the reasons."""

from __future__ import annotations

import streamlit as st

from sapo_viz.runs.conclusion import conclusion
from sapo_viz.runs.experiment import Result, analyse
from sapo_viz.runs.experiment_design import Preset
from sapo_viz.runs.measured import Measured, measured, seeds_of
from sapo_viz.runs.presets import PAPER, PRESETS
from sapo_viz.ui.text import plain
from sapo_viz.ui.words import _


def shipped_result(preset: Preset, shipped: Measured | None, switches: tuple[str, ...] = ()) -> Result | None:
    """With as many seeds as there are of every arm; None if none are."""
    seeds = seeds_of(preset, shipped, switches) if shipped else 0
    return analyse(preset, seeds, shipped.records, switches) if shipped and seeds else None


def background(preset: Preset) -> None:
    """What is said elsewhere about the question, each with its source."""
    cards: list[tuple[str, str]] = [
        (_("The paper"), f"{plain(_(preset.paper))} *([arXiv {PAPER}](https://arxiv.org/abs/{PAPER}))*"),
        (_("Why, as far as known"), plain(_(preset.reason))),
        (
            _("Measured when this app was designed"),
            plain(_(preset.designed)) + " " + _("*(an earlier policy; not read by the sentence above)*")
            + (f"\n\n{plain(_(preset.built))}" if preset.built else ""),
        ),
    ]  # fmt: skip
    for column, (title, text) in zip(st.columns(len(cards)), cards, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{title}**")
            st.markdown(text)


def at_a_glance() -> None:
    """Every question with the answer that is shipped."""
    st.subheader(_("All questions at a glance"))
    for preset in PRESETS.values():
        with st.container(border=True, gap=None):
            # Not a page link: one to the page itself changes the page, and leaves the address as it was.
            st.button(f"**{plain(_(preset.title))}**", type="tertiary", key=f"open-{preset.name}", on_click=_open,
                      args=(preset.name,))  # fmt: skip
            st.markdown(f"{plain(_(preset.question))}  \n{shipped_answer(preset)}")


def shipped_answer(preset: Preset) -> str:
    """The sentence that is shipped for a preset, with its source, as Markdown."""
    shipped = measured(preset.name)
    shown = shipped_result(preset, shipped)
    if not shipped or not shown:
        return _("Not measured yet.")
    text = _("{answer} *(measured {date}, n = {n})*")
    return text.format(answer=plain(conclusion(shown, _)), date=shipped.date, n=shown.n)


def _open(name: str) -> None:
    st.query_params.from_dict({"preset": name})
