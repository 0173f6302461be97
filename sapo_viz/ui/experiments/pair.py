"""Two experiments read side by side: the same switches, and what they do in each."""

from __future__ import annotations

import streamlit as st

from sapo_viz.experiments.analysis import Result
from sapo_viz.experiments.conclusion import conclusion
from sapo_viz.experiments.design import Preset, SideBySide
from sapo_viz.experiments.measured import measured
from sapo_viz.experiments.presets import PRESETS, SAME_CLIP
from sapo_viz.experiments.text import difference_rows
from sapo_viz.figures.experiment import result_figure
from sapo_viz.ui import address
from sapo_viz.ui.experiments.page import table
from sapo_viz.ui.experiments.told import shipped_result
from sapo_viz.ui.plot import plot
from sapo_viz.ui.text import plain
from sapo_viz.ui.words import _, declared


def side_by_side(preset: Preset, pair: SideBySide = SAME_CLIP) -> None:
    """Under each of the two presets: both, if both are measured."""
    if preset.name not in pair.presets:
        return
    shown = {name: _of(name, pair) for name in pair.presets}
    if not all(shown.values()):
        return
    st.subheader(declared(pair.title))
    st.markdown(declared(pair.text))
    for column, (name, result) in zip(st.columns(2, gap="medium"), shown.items(), strict=True):
        with column.container(border=True, height="stretch"):
            assert result is not None
            _side(PRESETS[name], result, preset, pair)


def _of(name: str, pair: SideBySide) -> Result | None:
    return shipped_result(PRESETS[name].opened(pair.switches), measured(name))


def _side(preset: Preset, shown: Result, here: Preset, pair: SideBySide) -> None:
    shipped = measured(preset.name)
    assert shipped is not None
    st.markdown(f"**{plain(declared(preset.title))}**: {plain(declared(preset.conditions))}")
    picture = result_figure(shown, _)
    plot(picture.figure, f"pair-{preset.name}", picture.alt)
    st.markdown(f"**{plain(conclusion(shown, _))}**")
    st.markdown(
        table([_("Difference, seed by seed"), _("Mean (95 % interval over all looks)"), _("n")], difference_rows(shown))
    )
    st.caption(plain(_("Measured {date} with {machine}").format(date=shipped.date, machine=shipped.machine)))
    if preset.name != here.name:
        text = _("Open it with these switches")
        st.button(
            text,
            icon=":material/arrow_forward:",
            key=f"pair-open-{preset.name}",
            on_click=_open,
            args=(preset.name, pair),
        )


def _open(name: str, pair: SideBySide) -> None:
    address.go_to({"preset": name, "switch": ",".join(pair.switches)})
