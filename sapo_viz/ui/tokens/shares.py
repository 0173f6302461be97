"""How much of the gradient each objective keeps, of one sequence and of the file: figure, table, download."""

from __future__ import annotations

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.figures.shares import shares_figure
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.ui.csv_button import csv_button
from sapo_viz.ui.plot import plot
from sapo_viz.ui.words import _


def shares(analysis: Analysis, index: int) -> None:
    """What each objective keeps of this sequence and of the file: figure, table, download."""
    here = analysis.sequences.iloc[index]
    scopes = [(_("this sequence"), None), (_("whole file"), 0), (_("file, A > 0"), 1), (_("file, A < 0"), -1)]
    if len(analysis.rollouts) == 1:
        scopes = scopes[:1]
    kept = {
        label: {
            key: float(here[f"kept_{key}"]) if sign is None else analysis.share(key, sign).kept
            for key in analysis.objectives
        }
        for label, sign in scopes
        if sign is None or analysis.share(next(iter(analysis.objectives)), sign).tokens
    }
    left, right = st.columns([3, 2])
    with left:
        alt = "; ".join(
            f"{scope}: " + ", ".join(f"{key} {value:.3f}" for key, value in row.items()) for scope, row in kept.items()
        )
        plot(shares_figure(kept, analysis.objectives), "tokens: shares", _("Share of gradient kept. ") + alt)
    with right:
        batch = analysis.batch[analysis.batch["tokens"] > 0]
        st.dataframe(
            batch.replace({"objective": {key: CATALOG[o.name].label for key, o in analysis.objectives.items()}}),
            hide_index=True,
            placeholder="–",
            column_config={
                "objective": _("objective"),
                "sign": st.column_config.TextColumn("A"),
                "tokens": st.column_config.NumberColumn(_("tokens"), format="localized"),
                "kept": st.column_config.NumberColumn(_("kept"), format="%.4f", help="Σ|A|·w / Σ|A|"),
                "clip_fraction": st.column_config.NumberColumn(
                    _("clipped"), format="%.4f", help=_("Share of tokens with A ≠ 0 that get no gradient.")
                ),
                "ess": st.column_config.NumberColumn(
                    "ESS",
                    format="%.4f",
                    help=_("Effective sample size as a share of the tokens: (Σc)² / (n·Σc²)."),
                ),
            },
        )
        csv_button(_("Batch table, CSV"), batch, "batch.csv", "tokens: batch csv")
