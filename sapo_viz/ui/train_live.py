"""The live figure and the table of runs on a page, and what their buttons do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import streamlit as st

from sapo_viz.errors import RunError, SapoVizError
from sapo_viz.figures.assets import read
from sapo_viz.figures.live import live_data
from sapo_viz.runs import launcher
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.metrics import RUN_METRICS
from sapo_viz.runs.store import RunStore, RunSummary
from sapo_viz.ui.text import plain
from sapo_viz.ui.train_runs import rows, shown_ids
from sapo_viz.ui.words import _

_KEY = "live"
_NOTE = "train-note"  # what an action could not do, to be said on the next run of the page


@lru_cache
def _component() -> Any:
    js = "\n".join(read(name) for name in ("plot.js", "live_panels.js", "live_legend.js", "live_table.js", "live.js"))
    return st.components.v2.component("sapo_viz.live", js=js, css=read("live.css"), isolate_styles=False)


def start(configs: Sequence[RunConfig]) -> None:
    """Launch the runs and draw them beside those that are drawn now."""
    store, started = RunStore(), []
    drawn, _missing = shown_ids(_list(store)) if "runs" in st.query_params else ([], [])
    try:
        for config in configs:
            started.append(launcher.launch(config, store))
    except (SapoVizError, OSError) as error:
        st.session_state[_NOTE] = _why(error, store)
    if started:
        st.query_params["runs"] = ",".join([*reversed(started), *drawn])


def live_runs(summaries: Sequence[RunSummary]) -> None:
    """The figure, its downloads, and the table. Events come from the data route, not through here."""
    store = RunStore()
    shown, missing = shown_ids(summaries)
    if missing:
        names = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        st.info(plain(_("Not here, or deleted since: {runs}.").format(runs=names)), icon=":material/link_off:")
    if note := st.session_state.pop(_NOTE, ""):
        st.warning(plain(note), icon=":material/error:")
    data = live_data(rows(store, summaries), shown, _labels(), _)
    _component()(key=_KEY, data=data, on_shown_change=_shown_changed, on_action_change=_act)


def list_runs() -> list[RunSummary]:
    """Newest first; a folder that cannot be read is said, not raised."""
    store = RunStore()
    try:
        return _list(store)
    except OSError as error:
        st.warning(plain(_why(error, store)), icon=":material/error:")
        return []


def metric_table() -> None:
    """Every number of the figure with formula and usual range, for reading at leisure."""
    with st.expander(_("What is measured, and what is usual"), icon=":material/straighten:"):
        lines = [f"| {_('Metric')} | {_('How it is computed')} | {_('Usual')} |", "|---|---|---|"]
        lines += [f"| {_(m.label)} | {plain(_(m.formula))} | {plain(_(m.healthy))} |" for m in RUN_METRICS.values()]
        st.markdown("\n".join(lines))


def _list(store: RunStore) -> list[RunSummary]:
    return store.list()


def _shown_changed() -> None:
    ids = st.session_state[_KEY].get("shown")
    if ids is not None:
        st.query_params["runs"] = ",".join(str(run_id) for run_id in ids)


def _act() -> None:
    """A button of the table: stop, resume or delete."""
    action = st.session_state[_KEY].get("action") or {}
    store = RunStore()
    ids = [str(run_id) for run_id in action.get("ids", [])]
    try:
        match action.get("what"):
            case "stop":
                for run_id in ids:  # all are asked before the first is waited for
                    store.request_stop(run_id)
                for run_id in ids:
                    launcher.stop(run_id, store)
            case "resume":
                for run_id in ids:
                    launcher.resume(run_id, store)
            case "delete":
                for run_id in ids:
                    store.delete(run_id)
                _leave_out(ids)
    except (SapoVizError, OSError) as error:
        st.session_state[_NOTE] = _why(error, store)


def _leave_out(ids: list[str]) -> None:
    """Deleted runs go from the address too."""
    if "runs" in st.query_params:
        kept = [run_id for run_id in st.query_params["runs"].split(",") if run_id not in ids]
        st.query_params["runs"] = ",".join(kept)


def _why(error: Exception, store: RunStore) -> str:
    if isinstance(error, RunError) or not isinstance(error, OSError):
        return str(error)
    reason = error.strerror or str(error)
    sentence = _("The folder of the runs, {folder}, cannot be used: {reason}. SAPO_VIZ_RUNS_DIR names another one.")
    return sentence.format(folder=store.root, reason=reason)


def _labels() -> dict[str, Any]:
    return dict(
        about=_("About"),
        by_step=_("by step"),
        nothing=_("Nothing drawn yet"),
        hide=_("Hide or show this line"),
        mean=_("mean of"),
        empty=_("No runs yet. Press Start: in a few seconds the first points appear here."),
        none_shown=_("Tick a run in the table below to see its curves."),
        loading=_("Starting: loading PyTorch and the policy …"),
        waiting=_("Waiting for a free core …"),
        reading=_("Reading the runs …"),
        no_steps=_("These runs ended before their first step."),
        lost=_("No answer from the server; trying again …"),
        left=_("{time} left"),
        place=_("place {n}"),
        collapsed=_("Collapsed at step {step}: the reward, over 5 steps, fell below half of its best"),
        stop_all=_("Stop all"),
        stop=_("Stop"),
        resume=_("Resume"),
        delete=_("Delete"),
        delete_yes=_("Delete"),
        keep=_("Keep"),
        sure=_("Delete for good?"),
        stopping=_("stopping"),
        step=_("step"),
        rollout_step=_("Step whose tokens to open, of"),
        tokens=_("Tokens"),
        tokens_help=_("Open this step's rollout in the Tokens page:"),
        table=_("Runs"),
        show_all=_("Draw all runs"),
        show_run=_("Draw"),
        progress=_("Progress"),
        status=dict(
            queued=_("queued"),
            starting=_("starting"),
            running=_("running"),
            finished=_("finished"),
            stopped=_("stopped"),
            failed=_("failed"),
            killed=_("killed"),
            gone=_("gone"),
        ),  # fmt: skip
        columns=dict(
            title=_("Run"),
            state=_("State"),
            actions=_("Actions"),
            reward=_("Reward, last 10"),
            steps=_("Steps"),
            differs=_("Not at default"),
            objective=_("Objective"),
            duration=_("Duration"),
            created=_("Started"),
        ),  # fmt: skip
    )
