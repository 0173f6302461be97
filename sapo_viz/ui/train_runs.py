"""The runs that there are, as the page shows them: rows for the table, which of them are drawn, how long one takes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import streamlit as st

from sapo_viz.errors import RunError
from sapo_viz.figures.live import run_line
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.labels import read_label
from sapo_viz.runs.slots import slot_count
from sapo_viz.runs.store import RunStore, RunSummary
from sapo_viz.ui.duplicate import form_link
from sapo_viz.ui.words import _

MOST_LISTED = 100
_ONE_PRESS = 5.0  # seconds: runs created closer together belong to one press of the button
_SECONDS_A_STEP = 0.6  # on one core of a small machine, until a run here has told
_START = 6.0  # seconds until a worker has imported PyTorch


def rows(store: RunStore, summaries: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """One JSON object a run, with the line that it is drawn with."""
    return [_row(store, summary) for summary in summaries[:MOST_LISTED]]


def _row(store: RunStore, summary: RunSummary) -> dict[str, Any]:
    name = read_label(store, summary.id)
    return run_line(summary.config) | dict(
        id=summary.id,
        title=name or summary.config.title,
        renamed=bool(name or summary.config.label),
        status=summary.status,
        created=summary.created,
        step=summary.step,
        seconds=summary.metrics.get("seconds", 0.0),
        message=summary.message,
        reward=None if summary.live else _last_ten(str(store.root), summary.id, summary.step),
        snapshots=store.snapshots(summary.id),
        duplicate=form_link(summary.config, summary.id),
    )


@lru_cache(maxsize=1000)
def _last_ten(root: str, run_id: str, step: int) -> float | None:
    """Mean reward of the last ten steps; `step` is in the key because a resumed run has new ones."""
    events, _offset = RunStore(root).read_events(run_id)
    rewards = [event["metrics"]["reward"] for event in events if event["type"] == "step"][-10:]
    return statistics.fmean(rewards) if rewards else None


def shown_ids(summaries: Sequence[RunSummary]) -> tuple[list[str], list[str]]:
    """The runs to draw, and those of the address that are not there.

    Without `runs` in the address: the newest, with all that were started by the same press, and the live ones.
    Pinned ones (`pin` in the address) always.
    """
    there = [summary.id for summary in summaries[:MOST_LISTED]]
    asked = st.query_params.get("runs")
    pinned = st.query_params.get("pin", "").split(",")
    if asked is not None:
        wanted = [run_id for run_id in asked.split(",") if run_id]
        drawn = [run_id for run_id in there if run_id in [*wanted, *pinned]]
        return drawn, [run_id for run_id in wanted if run_id not in there]
    newest: list[str] = []
    last = None
    for summary in summaries[:MOST_LISTED]:
        together = last is None or last - summary.created < _ONE_PRESS
        if together:
            last = summary.created
        if summary.live or together:
            newest.append(summary.id)
        else:
            last = float("inf")  # an older press
    return [run_id for run_id in there if run_id in [*newest, *pinned]], []


def estimate(configs: Sequence[RunConfig], summaries: Sequence[RunSummary]) -> str:
    """How many runs, and roughly how long: from the last run of the same work here, else from a usual machine."""
    seconds = [_seconds(config, summaries) for config in configs]
    try:
        slots = slot_count()
    except RunError:
        slots = 1
    waves = -(-len(configs) // slots)
    total = _START + waves * statistics.fmean(seconds)
    span = (
        _("{n} s").format(n=max(5, round(total / 5) * 5)) if total < 100 else _("{n} min").format(n=round(total / 60))
    )
    runs = _("1 run") if len(configs) == 1 else _("{n} runs").format(n=len(configs))
    text = _("{runs}, roughly {span}").format(runs=runs, span=span)
    return text if len(configs) <= slots else text + _(", {n} at a time").format(n=slots)


def _seconds(config: RunConfig, summaries: Sequence[RunSummary]) -> float:
    same = ("task", "policy", "prompts", "completions", "minibatches", "epochs", "device", "kl_coef")
    for summary in summaries:
        if summary.step >= 10 and all(getattr(summary.config, name) == getattr(config, name) for name in same):
            return config.steps * summary.metrics.get("seconds", 0.0) / summary.step
    size = config.prompts * config.completions / 256
    return config.steps * _SECONDS_A_STEP * size * (0.28 + 0.72 * config.epochs)  # sampling and update, as measured
