"""The runs that there are, as the page shows them: rows for the table, which of them are drawn, how long one takes."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence
from typing import Any

from sapo_viz.errors import RunError
from sapo_viz.experiments.presets import preset_asking_for
from sapo_viz.figures.live.figure import recorded_line, run_line, unknown_line
from sapo_viz.models.source import BUNDLED
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.exports.export import frameworks_for
from sapo_viz.runs.folder.labels import read_label, read_note
from sapo_viz.runs.folder.log import Digest
from sapo_viz.runs.folder.outside import name_of
from sapo_viz.runs.folder.slots import slot_count
from sapo_viz.runs.folder.store import RunStore, RunSummary
from sapo_viz.ui import address
from sapo_viz.ui.training.duplicate import form_link
from sapo_viz.ui.words import _, declared

MOST_LISTED = 100
_ONE_PRESS = 5.0  # seconds: runs created closer together belong to one press of the button
_SECONDS_A_STEP = 0.6  # on one core of a small machine, until a run here has told
_START = 6.0  # seconds until a worker has imported PyTorch


def rows(store: RunStore, summaries: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """One JSON object per run, with the line that it is drawn with."""
    made = []
    for summary in summaries:
        with contextlib.suppress(RunError, OSError):  # deleted since it was listed
            made.append(_row(store, summary))
    return made


def _row(store: RunStore, summary: RunSummary) -> dict[str, Any]:
    name, config = read_label(store, summary.id), summary.config
    log = Digest() if summary.live else store.digest(summary.id)
    if config:
        line = run_line(config)
    else:
        line = (
            recorded_line(summary.recorded, summary.id) if summary.recorded else unknown_line(summary.id, summary.step)
        )
    return line | dict(
        id=summary.id,
        title=name or (config.title if config else name_of(summary.id)),
        note=read_note(store, summary.id),
        renamed=bool(name or (config and config.label) or summary.recorded),
        kept=store.is_outside(summary.id),
        status=summary.status,
        created=summary.created,
        step=summary.step,
        seconds=summary.metrics.get("seconds") or 0.0,
        for_good=summary.for_good,
        message=" ".join(filter(None, (summary.message, log.damage))),
        reward=statistics.fmean(log.rewards) if log.rewards else None,
        snapshots=store.snapshots(summary.id),
        duplicate=form_link(config, summary.id) if config else "",
        experiment=_experiment(config) if config else "",
        exports=[(each.key, each.name) for each in frameworks_for(config)] if config else [],
    )


def listed(summaries: Sequence[RunSummary]) -> list[RunSummary]:
    """The newest, and those that the address names, however many are newer."""
    named = {*address.text("runs").split(","), *address.text("pin").split(",")}
    return [summary for place, summary in enumerate(summaries) if place < MOST_LISTED or summary.id in named]


def _experiment(config: RunConfig) -> str:
    preset = preset_asking_for(config)
    return declared(preset.title) if preset else ""


def shown_ids(summaries: Sequence[RunSummary]) -> tuple[list[str], list[str]]:
    """The runs to draw, and those of the address that are not there.

    Without `runs` in the address: the newest, with all that were started by the same press, and the live ones.
    Pinned ones (`pin` in the address) always.
    """
    table = listed(summaries)
    there = [summary.id for summary in table]
    asked = address.text("runs") if address.has("runs") else None
    pinned = address.text("pin", "").split(",")
    if asked is not None:
        wanted = [run_id for run_id in asked.split(",") if run_id]
        drawn = [run_id for run_id in there if run_id in [*wanted, *pinned]]
        return drawn, [run_id for run_id in (*wanted, *filter(None, pinned)) if run_id not in there]
    newest: list[str] = []
    last = None
    for summary in table:
        together = last is None or last - summary.created < _ONE_PRESS
        if together:
            last = summary.created
        if summary.live or together:
            newest.append(summary.id)
        else:
            last = float("inf")  # an older press
    return [run_id for run_id in there if run_id in [*newest, *pinned]], []


def estimate(configs: Sequence[RunConfig], summaries: Sequence[RunSummary]) -> str:
    """How many runs, and roughly how long: from the last run of the same work here, else, for the bundled policies,
    from a usual machine."""
    runs = _("1 run") if len(configs) == 1 else _("{n} runs").format(n=len(configs))
    seconds = [_seconds(config, summaries) for config in configs]
    told = [each for each in seconds if each is not None]
    if len(told) < len(seconds):
        return _("{runs}; the time left shows with the first steps").format(runs=runs)
    try:
        slots = slot_count()
    except RunError:
        slots = 1
    waves = -(-len(configs) // slots)
    total = _START + waves * statistics.fmean(told)
    span = (
        _("{n} s").format(n=max(5, round(total / 5) * 5)) if total < 100 else _("{n} min").format(n=round(total / 60))
    )
    text = _("{runs}, roughly {span}").format(runs=runs, span=span)
    return text if len(configs) <= slots else text + _(", {n} at a time").format(n=slots)


def _seconds(config: RunConfig, summaries: Sequence[RunSummary]) -> float | None:
    """Of a model of one's own, which can be of any size, None until a run here has told."""
    same = ("engine", "task", "policy", "prompts", "completions", "minibatches", "epochs", "device", "kl_coef")
    for summary in summaries:
        there, seconds = summary.config, summary.metrics.get("seconds")
        if there and seconds and summary.step >= 10 and all(getattr(there, n) == getattr(config, n) for n in same):
            return config.steps * seconds / summary.step
    if config.policy != "auto" and config.policy not in BUNDLED:
        return None
    size = config.prompts * config.completions / 256
    return config.steps * _SECONDS_A_STEP * size * (0.28 + 0.72 * config.epochs)  # sampling and update, as measured
