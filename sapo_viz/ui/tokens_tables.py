"""The numbers around the strip: which sequence is shown, what is kept of it and of the file, every token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.figures.assets import ASSETS
from sapo_viz.figures.shares import shares_figure
from sapo_viz.rollouts.analysis import Analysis, analysing, unweighed
from sapo_viz.rollouts.describe import EXAMPLE_CSV, EXAMPLE_JSONL, formats_markdown, schema_markdown
from sapo_viz.rollouts.ratios import Ratios
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens_open import SEQUENCE, SEQUENCE_OF
from sapo_viz.ui.tokens_source import Source, sample_files
from sapo_viz.ui.tokens_work import kept, last, worked
from sapo_viz.ui.words import _

_TABLE = "tokens: table"


def first_look(source: Source, objectives: dict[str, Objective]) -> Analysis:
    """The file before all of its tokens are weighed: enough for one sequence and for what no objective changes."""
    ratios = kept("ratios", source.origin, lambda: Ratios(source.rollouts))
    return kept("first look", (source.origin, objectives), lambda: unweighed(source.rollouts, objectives, ratios))


def analysis_of(source: Source, objectives: dict[str, Objective]) -> Analysis:
    """The analysis, kept for the visit; when a knob changes only its objective is weighed again."""
    before = last("analysis") or first_look(source, objectives)
    return worked(
        "analysis",
        (source.origin, objectives),
        lambda: analysing(source.rollouts, objectives, before),
        _("Weighing {n:,} tokens…").format(n=len(source.rollouts.tokens)),
    )


def choose_sequence(source: Source, analysis: Analysis) -> int:
    """Previous, number, next; the number is in the address. Returns the index, from 0.

    A file opens at the sequence with the largest Var z among those with a gradient: there is most to see.
    """
    total, usual = len(source.rollouts), _liveliest(analysis)
    # Another view was open meanwhile: Streamlit forgets a widget that is not shown, the address does not.
    back = st.session_state.get(SEQUENCE_OF) == source.origin and SEQUENCE not in st.session_state
    if back or st.session_state.get(SEQUENCE_OF) != source.origin:
        asked = st.query_params.get("seq", "") if back or SEQUENCE_OF not in st.session_state else ""
        _show(int(asked) if asked.isdecimal() and len(asked) < 10 else usual, total)
        st.session_state[SEQUENCE_OF] = source.origin
    st.session_state[SEQUENCE] = min(max(1, int(st.session_state.get(SEQUENCE) or 1)), total)
    if total == 1:
        st.query_params.pop("seq", None)
        return 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        now = st.session_state[SEQUENCE]
        st.button(
            _("Previous"),
            icon=":material/chevron_left:",
            disabled=now <= 1,
            on_click=lambda: _show(now - 1, total),
        )
        st.number_input(_("Sequence, of {n:,}").format(n=total), 1, total, key=SEQUENCE, width=140)
        st.button(
            _("Next"),
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=now >= total,
            on_click=lambda: _show(now + 1, total),
        )
    index = int(st.session_state[SEQUENCE]) - 1
    if index + 1 == usual:  # without it a visit is one entry in the browser's history, not two
        st.query_params.pop("seq", None)
    else:
        st.query_params["seq"] = str(index + 1)
    return index


def _liveliest(analysis: Analysis) -> int:
    spread = np.nan_to_num(analysis.variance, nan=0.0, posinf=0.0)
    signal = analysis.ratios.advantage != 0
    return int(np.argmax(np.where(signal, spread, -1.0))) + 1


def _show(number: int, total: int) -> None:
    st.session_state[SEQUENCE] = min(max(1, number), total)


def sequence_facts(analysis: Analysis, index: int) -> None:
    """One line of numbers about the sequence, and its prompt."""
    row = analysis.sequences.iloc[index]
    sequence = analysis.rollouts[index]
    facts = [
        ("A", f"{row['advantage']:.3g}"),
        (_("reward"), "–" if sequence.reward is None else f"{sequence.reward:.3g}"),
        ("s", f"{row['s']:.4f}"),
        (_("Var z in the sequence"), f"{row['variance']:.3g}"),
        (_("response tokens"), f"{row['tokens']:,}"),
    ]
    text = " · ".join(f"{name} **{plain(value)}**" for name, value in facts)
    lines = [f"**{plain(sequence.id[:80])}** · {text}"]
    if sequence.prompt:
        shown = sequence.prompt if len(sequence.prompt) <= 400 else sequence.prompt[:400] + "…"
        lines.append(f"{_('Prompt')}: {plain(shown)}")
    st.markdown("  \n".join(lines))


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
        st.plotly_chart(
            shares_figure(kept, analysis.objectives),
            key="tokens: shares",
            config={"displaylogo": False},
            alt=_("Share of gradient kept. ") + alt,
        )
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
        _download(_("Batch table, CSV"), batch, "batch.csv", "tokens: batch csv")


def sequence_table(analysis: Analysis, index: int) -> None:
    """All sequences, sortable; a click on a row shows that sequence."""
    frame = analysis.sequences
    kept = [f"kept_{key}" for key in analysis.objectives]
    frame = frame[["id", "group", "step", "reward", "advantage", "tokens", "s", "variance", *kept]].copy()
    frame = frame.dropna(axis="columns", how="all") if len(frame) else frame
    kept = [name for name in kept if name in frame]
    if len(kept) > 1:
        frame["spread"] = frame[kept].max(axis=1) - frame[kept].min(axis=1)
    st.session_state[_TABLE] = {"selection": {"rows": [index], "columns": [], "cells": []}}

    def picked() -> None:
        rows = st.session_state[_TABLE]["selection"]["rows"]
        if rows:
            _show(rows[0] + 1, len(frame))

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
    st.dataframe(
        frame,
        hide_index=True,
        placeholder="–",
        height=min(36 * (len(frame) + 1) + 3, 320),
        column_config=config,
        key=_TABLE,
        on_select=picked,
        selection_mode="single-row",
    )
    _download(_("Sequence table, CSV"), analysis.sequences, "sequences.csv", "tokens: sequences csv")


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
        frame,
        hide_index=True,
        placeholder="–",
        height=320,
        column_config={name: st.column_config.NumberColumn(format="%.5g") for name in floats}
        | {"token": st.column_config.TextColumn(_("token"))},
        key="tokens: every token",
    )
    _download(_("Token table, CSV"), frame, f"tokens-{index + 1}.csv", "tokens: tokens csv")


def _download(label: str, frame: pd.DataFrame, name: str, key: str) -> None:
    st.download_button(
        label,
        lambda: frame.to_csv(index=False).encode("utf-8"),
        file_name=name,
        mime="text/csv",
        icon=":material/download:",
        key=key,
        on_click="ignore",
    )


def notes(rollouts: Rollouts) -> None:
    """What the reader took otherwise than it was written."""
    if rollouts.notes:
        st.caption(" ".join(plain(note) for note in rollouts.notes))


def schema_help() -> None:
    """The fields of a rollout file, frameworks' own files, examples, and samples of all of them to download."""
    st.markdown(schema_markdown())
    left, right = st.columns(2)
    left.code(EXAMPLE_JSONL, language="json", wrap_lines=True)
    right.code(EXAMPLE_CSV, language="text", wrap_lines=True)
    _downloads(sample_files())
    st.markdown(f"**{_('Files of frameworks')}**")
    st.markdown(formats_markdown())
    _downloads(sorted((ASSETS / "samples" / "formats").glob("*")))


def _downloads(paths: list[Path]) -> None:
    with st.container(horizontal=True):
        for path in paths:
            st.download_button(
                path.name,
                path.read_bytes,
                file_name=path.name,
                icon=":material/download:",
                key=f"tokens: sample {path.name}",
                on_click="ignore",
            )
