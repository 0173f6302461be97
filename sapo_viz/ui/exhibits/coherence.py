"""Sequence coherence on its page: sequences drawn in the browser, a bundled sample, or your own file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from sapo_viz.errors import RolloutError
from sapo_viz.figures.exhibits.coherence import AXES, CONTROLS, TAILS, coherence_data, file_data
from sapo_viz.paths import ASSETS
from sapo_viz.ui.address import bind_choice
from sapo_viz.ui.exhibits.shared import exhibit, read_controls, read_option, shared_words, write_controls, write_option
from sapo_viz.ui.text import plain
from sapo_viz.ui.uploads import uploaded
from sapo_viz.ui.warm import TABLES
from sapo_viz.ui.words import _

_DRAWN, _OWN = "drawn", "file"


def _samples() -> dict[str, Path]:
    """Bundled rollout files by name; where there are several formats of one, its JSONL."""
    return {path.stem: path for path in sorted((ASSETS / "samples").glob("*.jsonl"))}


# Not st.cache_data: to name it is to import pandas, which the first picture need not wait for.
@lru_cache(maxsize=8)
def _sample(path: Path, modified: int) -> dict[str, Any]:
    TABLES.ready()
    from sapo_viz.rollouts.readers.read import read_rollouts

    return file_data(read_rollouts(path))


def choose_sequences() -> dict[str, Any] | None:
    """The control for where the sequences come from: None means that the browser draws them."""
    samples = _samples()
    options = [_DRAWN, *samples, _OWN]
    bind_choice("source", options, _DRAWN)
    names = {_DRAWN: _("drawn here"), _OWN: _("my own file")}
    source = st.pills(
        _("Sequences"),
        options,
        format_func=lambda name: names.get(name) or _("sample: {name}").format(name=name),
        required=True,
        wrap=True,
        key="source",
    )
    try:
        if source in samples:
            path = samples[source]
            return _sample(path, path.stat().st_mtime_ns)
        if source == _OWN:
            upload = st.file_uploader(_("A rollout file: JSON, JSONL, CSV or Parquet"), key="coherence-file")
            if upload is None:
                st.info(_("Until you open a file, the sequences are drawn at random."), icon=":material/upload_file:")
                return None
            TABLES.ready()
            from sapo_viz.rollouts.apart.asking import reading_apart
            from sapo_viz.rollouts.readers.formats.pair import both_policies
            from sapo_viz.rollouts.steps import finish

            return file_data(both_policies(finish(reading_apart([uploaded(upload)]))))
    except RolloutError as error:
        st.error(plain(str(error)), icon=":material/error:")
    return None


def coherence(file: dict[str, Any] | None) -> None:
    """The exhibit, for a file's sequences or for drawn ones."""
    if file is not None and not file["z"]:
        st.info(
            _("This file has no response tokens; the sequences are drawn at random."), icon=":material/upload_file:"
        )
        file = None
    owner = _("Sequence coherence")
    numbers = read_controls(CONTROLS, owner)
    whole = ("sequences", "length", "seed")
    values = dict(
        numbers=numbers | {name: round(numbers[name]) for name in whole},
        axes=read_option("axes", AXES),
        tail=read_option("tail", TAILS),
    )

    def keep(sent: dict[str, Any]) -> None:
        write_controls(CONTROLS, owner, sent["numbers"])
        write_option("axes", AXES, sent["axes"])
        write_option("tail", TAILS, sent["tail"])

    exhibit("coherence", coherence_data(values, _labels(), _cases(), file), keep)


def _labels() -> dict[str, Any]:
    return shared_words() | dict(
        gate=_("Gate"),
        draws=_("Sequences drawn"),
        tail=_("Tail"),
        normal=_("normal"),
        heavy=_("heavy"),
        again=_("Draw again"),
        seed=_("seed {seed}"),
        axes=_("Axes"),
        gate_z=_("Gate in log r, as in the paper's bound"),
        gate_r=_("Gate in r, the one that is trained"),
        variance=_("spread inside the sequence, Var"),
        distance=_("distance D"),
        bound=_("(τ²/4)·Var"),
        verdict=_("{above} of {n} above the line; the furthest at {factor} × the bound"),
        verdict_short=_("{above} of {n} above the line, up to {factor} ×"),
        histogram_r=_("Where the tokens are"),
        histogram_r_out=_("Where the tokens are ({out} outside)"),
        histogram_v=_("How much sequences spread inside"),
        ratio=_("ratio r of a token"),
        table=_(
            "{n} sequences, {tokens} tokens. A1: 95 % of |log r| are below {most}. A2: the median Var is {middle}."
        ),
        columns=[_("Gate"), _("above the line"), _("furthest")],
        row_z=_("in log r"),
        row_r=_("in r (trained)"),
        alt=_(
            "Distance between the mean of token gates and one gate on the sequence, against the spread inside the "
            "sequence, for {n} sequences with {tokens} tokens at τ = {tau}; median spread {middle}. Gate in log r: "
            "{aboveZ} sequences above the bound, the furthest at {factorZ} times it. Gate in r: {aboveR} above, the "
            "furthest at {factorR} times. Below, histograms of the ratios and of the spreads."
        ),
    )


def _cases() -> dict[str, tuple[str, str]]:
    """Case -> what is on its button, and what to see in it."""
    return {
        "gentle": (
            _("The argument"),
            _(
                "Ratios near 1, little spread: D is at most about 0.02 under both gates, so SAPO's token gates act "
                "like one smooth gate on the sequence, as the paper says. The gate in r still crosses the line, often."
            ),
        ),
        "sharp": (
            _("… with τ = 5"),
            _(
                "A sharper gate: the bound grows with τ² and says less and less (two weights never differ by more "
                "than 1). No sequence crosses it now, yet the distances are ten times those of τ = 1."
            ),
        ),
        "spread": (
            _("… with spread inside (no A2)"),
            _(
                "Tokens of one sequence disagree. The mean of the gates and the gate of the mean are now far apart: "
                "here SAPO does not act like a sequence-level method, which is what the outlier exhibit shows as well."
            ),
        ),
        "high": (
            _("… with s away from 1 (no A1)"),
            _(
                "Whole sequences have moved. Where r > 1 the gate in r bends faster than the one in log r, so "
                "many sequences cross the line, which was proved for the other gate."
            ),
        ),
        "heavy": (
            _("… with a heavy tail"),
            _(
                "The same spread, with a few tokens far out, as in real ratios. A few sequences carry most of "
                "the variance; for those the bound says little, and the typical sequence stays coherent."
            ),
        ),
    }
