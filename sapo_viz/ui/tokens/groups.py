"""The completions of one prompt side by side: rewards, advantages, what is kept of each."""

from __future__ import annotations

from typing import Any

import streamlit as st

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.figures.batch import group_figure
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.rollouts.analysis.groups import completion_table, group_table, normalisation
from sapo_viz.ui import session
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens.batch import show
from sapo_viz.ui.tokens.open import open_sequence
from sapo_viz.ui.tokens.rows import row_table
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.tokens.weighed import analysis_of
from sapo_viz.ui.words import _
from sapo_viz.ui.work import kept

_GROUPS, _COMPLETIONS = "tokens: groups", "tokens: completions"
_CHOSEN = "tokens: group"  # session: (origin, row of the group table)


def groups_view(source: Source, objectives: dict[str, Objective]) -> None:
    """The groups of the file; one of them with its completions."""
    analysis = analysis_of(source, objectives)
    asked = (source.origin, objectives, analysis.correction)
    table = kept("groups", asked, lambda: group_table(source.rollouts, analysis))
    if table.empty:
        st.info(
            _("Nothing here has both `reward` and `group`, so completions cannot be put side by side."),
            icon=":material/group_off:",
        )
        return
    st.markdown(plain(kept("normalisation", source.origin, lambda: normalisation(source.rollouts)).sentence))
    chosen = _chosen(source, table)
    left, right = st.columns([3, 2])
    with left:
        _table(source, analysis, table)
    completions = completion_table(source.rollouts, int(table["first"].iloc[chosen]), analysis)
    name = str(table["group"].iloc[chosen])
    with right:
        show(group_figure(completions, name), "group")
    _completions(source, analysis, completions)


def _chosen(source: Source, table: Any) -> int:
    """The first group with different rewards, until one is chosen."""
    kept = session.get(_CHOSEN)
    if kept is None or kept[0] != source.origin or kept[1] >= len(table):
        mixed = (table["spread"] == "mixed").to_numpy()
        kept = (source.origin, int(mixed.argmax()))
        session.put(_CHOSEN, kept)
    return int(kept[1])


def _table(source: Source, analysis: Analysis, table: Any) -> None:
    number = st.column_config.NumberColumn
    config: dict[str, Any] = {
        "group": st.column_config.TextColumn(_("group"), pinned=True),
        "step": number(_("step")),
        "first": None,
        "completions": number(_("completions")),
        "reward_mean": number(_("mean reward"), format="%.3f"),
        "reward_std": number(_("std"), format="%.3f", help=_("Sample standard deviation of the rewards.")),
        "spread": st.column_config.TextColumn(_("rewards"), help=_("A group whose rewards are equal teaches nothing.")),
        "tokens": number(_("tokens"), format="localized"),
    } | _kept(analysis)

    def choose(row: int) -> None:
        session.put(_CHOSEN, (source.origin, row))

    shown = table.drop(columns=["reward_min", "reward_max", "advantage_min", "advantage_max"])
    row_table(_GROUPS, shown, config, choose, tallest=420)


def _completions(source: Source, analysis: Analysis, completions: Any) -> None:
    number = st.column_config.NumberColumn
    config: dict[str, Any] = {
        "sequence": number(_("sequence"), pinned=True),
        "id": st.column_config.TextColumn("id"),
        "reward": number(_("reward"), format="%.3f"),
        "advantage": number("A", format="%.3f"),
        "advantage_std": number("(R − mean)/std", format="%.3f"),
        "advantage_mean": number("R − mean", format="%.3f"),
        "length": number(_("tokens"), format="localized"),
        "log_s": number("log s", format="%.4f"),
    } | _kept(analysis)

    def choose(row: int) -> None:
        open_sequence(source, int(completions["sequence"].iloc[row]))

    st.caption(_("The completions of this prompt. Choose a row to open its tokens."))
    row_table(_COMPLETIONS, completions.assign(sequence=completions["sequence"] + 1), config, choose)


def _kept(analysis: Analysis) -> dict[str, Any]:
    return {
        f"kept_{key}": st.column_config.NumberColumn(
            _("kept, {name}").format(name=CATALOG[objective.name].label), format="%.3f"
        )
        for key, objective in analysis.objectives.items()
    }
