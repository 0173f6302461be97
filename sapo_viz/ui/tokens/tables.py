"""The tables under the strip: all sequences, and every token of the shown one."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.ui import session
from sapo_viz.ui.csv_button import csv_button
from sapo_viz.ui.text import visible
from sapo_viz.ui.tokens.rows import row_table
from sapo_viz.ui.tokens.which import show_sequence
from sapo_viz.ui.tools import lead_to_strip
from sapo_viz.ui.words import _

_TABLE = "tokens: table"


def sequence_table(analysis: Analysis, index: int) -> None:
    """All sequences, sortable; a click on a row shows that sequence."""
    frame = analysis.sequences
    kept = [f"kept_{key}" for key in analysis.objectives]
    frame = frame[["id", "group", "step", "reward", "advantage", "tokens", "s", "variance", *kept]].copy()
    frame = frame.dropna(axis="columns", how="all") if len(frame) else frame
    kept = [name for name in kept if name in frame]
    if len(kept) > 1:
        frame["spread"] = frame[kept].max(axis=1) - frame[kept].min(axis=1)
    session.put(_TABLE, {"selection": {"rows": [index], "columns": [], "cells": []}})

    def choose(row: int) -> None:
        show_sequence(row + 1, len(frame))
        lead_to_strip()

    number = st.column_config.NumberColumn
    config: dict[str, Any] = {
        "id": st.column_config.TextColumn(_("sequence"), pinned=True),
        "advantage": number("A", format="%.3f", help=_("Mean over the response tokens.")),
        "reward": number(_("reward"), format="%.3f"),
        "group": st.column_config.TextColumn(_("group")),
        "step": number(_("step")),
        "tokens": number(_("tokens"), format="localized"),
        "s": number("s", format="%.4f", help=_("Sequence ratio: exp of the mean log-ratio.")),
        "variance": number("Var z", format="%.3g", help=_("Variance of the log-ratio within the sequence.")),
        "spread": number(_("disagreement"), format="%.3f", help=_("Largest minus smallest share kept.")),
    }
    for name in kept:
        key = name.removeprefix("kept_")
        label = CATALOG[analysis.objectives[key].name].label
        config[name] = number(_("kept, {name}").format(name=label), format="%.3f")
    row_table(_TABLE, frame, config, choose)
    csv_button(_("Sequence table, CSV"), analysis.sequences, "sequences.csv", "tokens: sequences csv")


def token_table(analysis: Analysis, index: int) -> None:
    """Every token of the sequence with its numbers under each objective, once it is asked for: it may be megabytes."""
    asked = st.expander(
        _("Every token of this sequence"), icon=":material/table_rows:", key="tokens: every", on_change="rerun"
    )
    if asked.open:
        with asked:
            _token_table(analysis, index)


def _token_table(analysis: Analysis, index: int) -> None:
    frame = analysis.token_table(index)
    floats = frame.select_dtypes(np.floating).columns
    st.dataframe(
        frame.assign(token=frame["token"].map(visible)),
        hide_index=True,
        placeholder="–",
        height=320,
        column_config={name: st.column_config.NumberColumn(format="%.5g") for name in floats}
        | {"token": st.column_config.TextColumn(_("token"))},
        key="tokens: every token",
    )
    frame.insert(0, "sequence", analysis.rollouts[index].id)  # so that the file can be opened again
    csv_button(_("Token table, CSV"), frame, f"tokens-{index + 1}.csv", "tokens: tokens csv")
