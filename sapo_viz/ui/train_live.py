"""The live figure and the table of runs on a page, and what their buttons do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import streamlit as st

from sapo_viz.errors import RunError, SapoVizError
from sapo_viz.figures.assets import formulas_js, read
from sapo_viz.figures.live import live_data
from sapo_viz.runs import launcher
from sapo_viz.runs.collapse import RULE
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.labels import rename
from sapo_viz.runs.metrics import RUN_METRICS
from sapo_viz.runs.store import RunStore, RunSummary
from sapo_viz.ui.text import plain
from sapo_viz.ui.train_runs import rows, shown_ids
from sapo_viz.ui.words import _

_KEY = "live"
SCRIPTS = (
    "plot.js", "svg.js", "strip_scales.js", "live_math.js", "live_view.js", "live_groups.js", "live_traces.js",
    "live_panels.js", "live_cursor.js", "live_controls.js", "live_legend.js", "live_story.js", "live_probe.js",
    "live_scrub.js", "live_table.js", "live.js",
)  # fmt: skip
_NOTE = "train-note"  # what an action could not do, to be said on the next run of the page


@lru_cache
def _component() -> Any:
    js = "\n".join([formulas_js(), *(read(name) for name in SCRIPTS)])
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
        st.caption(plain(_(RULE.sentence)))


def _list(store: RunStore) -> list[RunSummary]:
    return store.list()


def _shown_changed() -> None:
    ids = st.session_state[_KEY].get("shown")
    if ids is not None:
        st.query_params["runs"] = ",".join(str(run_id) for run_id in ids)


def _act() -> None:
    """A button of the table: stop, resume, rename or delete."""
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
            case "rename":
                for run_id in ids:
                    rename(store, run_id, str(action.get("name") or ""))
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
        by=dict(step=_("by step"), tokens=_("by sampled tokens"), time=_("by training time")),
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
        begins=_("place {n}, in {time}"),
        duplicate=_("Duplicate"),
        duplicate_help=_("Open the form with the settings of this run, to change some of them:"),
        view=dict(
            title=_("How the curves are drawn"),
            smooth=_("Smoothing"),
            smooth_help=_("Weight of the past in a moving average (exponential); the raw line stays behind it"),
            x=_("Across"),
            axes=dict(step=_("Steps"), tokens=_("Sampled tokens"), time=_("Training time")),
            more=_("All metrics"),
            band=_("Seeds"),
            bands=dict(range=_("mean, lowest to highest"), sd=_("mean ± standard deviation"), lines=_("one line each")),
        ),
        log=_("Logarithmic axis, on or off:"),
        pick=_("Tokens of the nearest snapshot:"),
        pick_none=_("These runs have kept no tokens yet."),
        close=_("Let the step go"),
        pin=_("Pin: on top, stronger, and kept when new runs start"),
        unpin=_("Unpin"),
        rename=_("Rename"),
        nan=_("not a number"),
        fell=dict(
            reward=_("collapsed at step {step}: the reward fell below half of its best and stayed there."),
            entropy=_("collapsed at step {step}: the entropy went to 0 with the reward down."),
            nan=_("broke at step {step}: a number is not finite."),
            failed=_("failed at step {step}."),
        ),
        compare=_("What differs between the settings drawn"),
        compare_group=_("Setting"),
        compare_seeds=_("Seeds"),
        compare_broken=_("Collapsed"),
        scrub=dict(
            title=_("Into the tokens: gates over training"),
            key=_(
                "How far each snapshot's tokens had moved (r, log scale of counts), under the gate of the objective: "
                "deep bars pass, pale ones are held back. Above, all snapshots at once; lines where half of the "
                "gradient is left (solid A > 0, dotted A < 0). Below, the sequence with the largest move."
            ),
            slider=_("Step of the snapshot"),
            play=_("Play"),
            pause=_("Pause"),
            more=_("{n} more settings are drawn above; pin a run to see its tokens here."),
            kept=_("passes about"),
            alt=_("how many tokens have moved how far, and the gate over them"),
            heat=_("ratios of all snapshots; the same numbers follow for the chosen step"),
            none=_("No sequence of this snapshot carries a gradient."),
            sequence=_("Sequence"),
            reward=_("reward"),
            probe=_(
                "The same answers over training, of the starting policy: the deeper a token, the likelier it is now."
            ),
            at_start=_("at the start"),
        ),
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
