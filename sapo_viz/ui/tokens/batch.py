"""The whole file at once: where its ratios lie, what each objective keeps, where they disagree most."""

from __future__ import annotations

from typing import Any

import streamlit as st

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.figures.batch import Picture, kept_figure, ratio_figure, sequence_ratio_figure, variance_figure
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.rollouts.analysis.disagree import comparing, sequences_apart
from sapo_viz.ui.plot import plot
from sapo_viz.ui.text import plain, visible
from sapo_viz.ui.tokens.open import open_sequence
from sapo_viz.ui.tokens.rows import row_table
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.tokens.weighed import analysis_of
from sapo_viz.ui.words import _
from sapo_viz.ui.work import worked

_SEQUENCES, _TOKENS = "tokens: apart", "tokens: tokens apart"


def batch_view(source: Source, objectives: dict[str, Objective]) -> None:
    """Four figures, and the two tables that lead into the sequences."""
    analysis = analysis_of(source, objectives)
    show(kept_figure(analysis), "kept")
    left, right = st.columns(2)
    with left:
        show(ratio_figure(analysis), "ratios")
    with right:
        show(sequence_ratio_figure(analysis), "sequence ratios")
        show(variance_figure(analysis), "variance")
    if len(analysis.objectives) < 2:
        st.info(_("Choose a second objective above to see where they disagree."), icon=":material/touch_app:")
        return
    st.subheader(_("Where do they disagree most?"))
    st.caption(_("Choose a row to open the sequence, or the token, and see why."))
    _sequences(source, analysis)
    _tokens(source, analysis)


def show(picture: Picture, key: str) -> None:
    """What the figure says, and the figure; its menu saves it as a picture."""
    st.markdown(f"**{plain(picture.takeaway)}**")
    plot(picture.untitled, f"tokens: {key}", picture.alt)


def _sequences(source: Source, analysis: Analysis) -> None:
    frame = sequences_apart(analysis)
    if frame.empty:
        st.info(_("They keep the same share of every sequence."), icon=":material/balance:")
        return
    names = _names(analysis)
    number = st.column_config.NumberColumn
    config: dict[str, Any] = {
        "sequence": None,
        "id": st.column_config.TextColumn(_("sequence"), pinned=True),
        "tokens": number(_("tokens"), format="localized"),
        "advantage": number("A", format="%.3f"),
        "s": number("s", format="%.4f"),
        "variance": number("Var z", format="%.3g"),
        "spread": number(_("disagreement"), format="%.3f", help=_("Largest minus smallest share kept.")),
        "most": _("keeps most"),
        "least": _("keeps least"),
    } | {f"kept_{key}": number(_("kept, {name}").format(name=name), format="%.3f") for key, name in names.items()}

    def choose(row: int) -> None:
        open_sequence(source, int(frame["sequence"].iloc[row]))

    row_table(_SEQUENCES, frame.replace({"most": names, "least": names}), config, choose)


def _tokens(source: Source, analysis: Analysis) -> None:
    frame = worked(
        "tokens apart",
        (source.origin, dict(analysis.objectives), analysis.correction),
        lambda: comparing(source.rollouts, analysis.objectives, 100, analysis.correction),
        _("Comparing every token…"),
    )
    if frame.empty or not (frame["difference"] > 0).any():
        return
    names = _names(analysis)
    number = st.column_config.NumberColumn
    config: dict[str, Any] = {
        "sequence": number(_("sequence")),
        "position": number(_("position")),
        "token": st.column_config.TextColumn(_("token"), pinned=True),
        "log_ratio": number("log r", format="%.3f"),
        "advantage": number("A", format="%.3f"),
        "difference": number(
            _("difference"),
            format="%.3f",
            help=_("|A|·(largest c − smallest c), in units of an average on-policy token's gradient."),
        ),
        "most": _("most"),
        "least": _("least"),
    } | {f"c_{key}": number(f"c, {name}", format="%.3f") for key, name in names.items()}

    def choose(row: int) -> None:
        open_sequence(source, int(frame["sequence"].iloc[row]), int(frame["position"].iloc[row]))

    shown = frame.assign(
        sequence=frame["sequence"] + 1, position=frame["position"] + 1, token=frame["token"].map(visible)
    )
    row_table(_TOKENS, shown.replace({"most": names, "least": names}), config, choose)


def _names(analysis: Analysis) -> dict[str, str]:
    return {key: CATALOG[objective.name].label for key, objective in analysis.objectives.items()}
