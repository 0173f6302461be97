"""The live figure and the table of runs on a page, and what their buttons do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from sapo_viz.errors import SapoVizError
from sapo_viz.experiments.collapse import RULE
from sapo_viz.figures.live.figure import live_data
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.labels import annotate, rename
from sapo_viz.runs.folder.store import RunStore, RunSummary
from sapo_viz.runs.metrics import RUN_METRICS
from sapo_viz.runs.workers import launcher
from sapo_viz.runs.workers.quotas import refuse_too_many
from sapo_viz.ui import address, session
from sapo_viz.ui.component import component
from sapo_viz.ui.pictures import picture_label
from sapo_viz.ui.serving.logs import follow_logs
from sapo_viz.ui.serving.run_routes import recorded_mark
from sapo_viz.ui.text import plain
from sapo_viz.ui.training.runs import listed, rows, shown_ids
from sapo_viz.ui.words import _, declared

_KEY = "live"
# What the browser keeps in the address by itself (browser/live/view.js), and those of it that are one of a few words.
_VIEW = ("smooth", "x", "band", "logy", "more", "hide", "pin", "shade", "by", "fold", "scrub", "zoom")
_CHOICES = {
    "x": ("step", "tokens", "time"),
    "band": ("range", "sd", "lines"),
    "by": ("", "task", "objective", "source", "experiment"),
}
_NOTE = "train-note"  # what an action could not do, to be said on the next run of the page


def start(configs: Sequence[RunConfig], table: TextTable | None = None) -> None:
    """Launch the runs and draw them beside those that are drawn now."""
    store, started = RunStore(), []
    drawn, _missing = shown_ids(_list(store)) if address.has("runs") else ([], [])
    mine = session.my_runs()
    try:
        refuse_too_many(store, len(configs), mine)
        for config in configs:
            started.append(launcher.launch(config, store, table))
    except (SapoVizError, OSError) as error:
        session.put(_NOTE, why_not(error, store))
    mine.extend(started)
    if started:
        address.put("runs", ",".join([*reversed(started), *drawn]))


def live_runs(summaries: Sequence[RunSummary]) -> None:
    """The figure, its downloads, and the table. Events come from the data route, not through here."""
    store = RunStore()
    address.known(*_VIEW)
    for name, options in _CHOICES.items():
        address.read(name, address.Word(options, options[0]))
    shown, missing = shown_ids(summaries)
    if missing:
        names = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        st.info(plain(_("Not found, or deleted since: {runs}.").format(runs=names)), icon=":material/link_off:")
    if note := session.take(_NOTE, ""):
        st.warning(plain(note), icon=":material/error:")
    data = live_data(rows(store, listed(summaries)), shown, _labels(), _) | {"mark": recorded_mark(summaries)}
    component("live/live.js")(key=_KEY, data=data, on_shown_change=_shown_changed, on_action_change=_act)


def list_runs() -> list[RunSummary]:
    """Newest first; a folder that cannot be read is reported, not raised."""
    store = RunStore()
    follow_logs(store)
    try:
        return _list(store)
    except OSError as error:
        st.warning(plain(why_not(error, store)), icon=":material/error:")
        return []


def metric_table() -> None:
    """Every number of the figure with formula and usual range, for reading at leisure."""
    with st.expander(_("What is measured, and typical values"), icon=":material/straighten:"):
        lines = [f"| {_('Metric')} | {_('How it is computed')} | {_('Usual')} |", "|---|---|---|"]
        lines += [
            f"| {declared(m.label)} | {plain(declared(m.formula))} | {plain(declared(m.healthy))} |"
            for m in RUN_METRICS.values()
        ]
        st.markdown("\n".join(lines))
        st.caption(plain(declared(RULE.sentence)))


def _list(store: RunStore) -> list[RunSummary]:
    return store.list()


def _shown_changed() -> None:
    ids = session.sent(_KEY, "shown")
    if ids is not None:
        address.put("runs", ",".join(str(run_id) for run_id in ids))


def _act() -> None:
    """A button of the table: stop, resume, rename, note or delete. Or a look at which runs there are, which this run of
    the page is."""
    action = session.sent(_KEY, "action") or {}
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
                mine = session.my_runs()
                refuse_too_many(store, len(ids), mine)
                for run_id in ids:
                    launcher.resume(run_id, store)
                    mine.append(run_id)
            case "rename":
                for run_id in ids:
                    rename(store, run_id, str(action.get("name") or ""))
            case "note":
                for run_id in ids:
                    annotate(store, run_id, str(action.get("name") or ""))
            case "delete":
                for run_id in ids:
                    store.delete(run_id)
                _leave_out(ids)
    except (SapoVizError, OSError) as error:
        session.put(_NOTE, why_not(error, store))


def _leave_out(ids: list[str]) -> None:
    """Deleted runs go from the address too."""
    if address.has("runs"):
        kept = [run_id for run_id in address.text("runs").split(",") if run_id not in ids]
        address.put("runs", ",".join(kept))


def why_not(error: Exception, store: RunStore) -> str:
    """Why something could not be done with the runs, in one sentence."""
    if not isinstance(error, OSError):
        return str(error)
    sentence = _("The runs folder, {folder}, cannot be used: {reason}. Set SAPO_VIZ_RUNS_DIR to another one.")
    return sentence.format(folder=store.root, reason=error.strerror or str(error))


def answer_words() -> dict[str, str]:
    """The heads of a table of answers, and who answers first."""
    return dict(who=_("Policy"), start=_("Start"), answer=_("Answer"), worth=_("Worth"), picture=picture_label())


def _labels() -> dict[str, Any]:
    return dict(
        about=_("About"),
        by=dict(step=_("by step"), tokens=_("by sampled tokens"), time=_("by training time")),
        nothing=_("Nothing drawn yet"),
        hide=_("Hide or show this line"),
        mean=_("mean of"),
        empty=_("No runs yet. Press Start: in a few seconds the first points appear here."),
        unlogged=_("Not logged"),
        none_shown=_("Tick a run in the table below to see its curves."),
        loading=_("Starting: loading PyTorch and the policy …"),
        waiting=_("Waiting for a free core…"),
        reading=_("Reading the runs …"),
        no_steps=_("These runs ended before their first step."),
        lost=_("No answer from the server; trying again …"),
        left=_("{time} left"),
        place=_("place {n}"),
        begins=_("place {n}, in {time}"),
        recorded=_("recorded, {source}"),
        recorded_help=_("Another program trains this run; what it records, logs or dumps is shown."),
        duplicate=_("Duplicate"),
        duplicate_help=_("Open the form with the settings of this run, to change some of them:"),
        export=_("Export"),
        export_help=_("The settings of this run for another framework, as a ZIP with all that it needs:"),
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
        close=_("Release the step"),
        pin=_("Pin: stays on top, drawn bolder, and kept when new runs start"),
        unpin=_("Unpin"),
        rename=_("Rename"),
        note=_("Note"),
        nan=_("not a number"),
        fell=dict(
            reward=_("collapsed at step {step}: the reward fell below half of its best and stayed there."),
            entropy=_("collapsed at step {step}: the entropy went to 0 with the reward down."),
            nan=_("broke at step {step}: a number is not finite."),
            diverged=_("diverged after step {step}: the loss or gradient is no longer a number."),
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
                "deep bars pass, pale ones are held back. Above, snapshots side by side; lines where half of the "
                "gradient is left (solid A > 0, dotted A < 0). Below, the answer with the largest move, and those "
                "with the highest and the lowest reward."
            ),
            slider=_("Step of the snapshot"),
            play=_("Play"),
            pause=_("Pause"),
            more=_("{n} more settings are drawn above; pin a run to see its tokens here."),
            spread=_("{run}: {n} of {m} steps with tokens are side by side here; the slider goes to each of them."),
            why=dict(moved=_("Largest move"), best=_("Highest reward"), worst=_("Lowest reward")),
            kept=_("passes about"),
            alt=_("how many tokens have moved how far, and the gate over them"),
            heat=_("ratios of the snapshots; the same numbers follow for the chosen step"),
            none=_("This snapshot has no sequence that can be shown."),
            sequence=_("Sequence"),
            reward=_("reward"),
            probe=_(
                "The same answers over training, of the starting policy: the deeper a token, the likelier it is now."
            ),
            at_start=_("at the start"),
            picture=picture_label(),
        ),
        answers=dict(
            title=_("Held-out questions: the answers of the start, and now"),
            key=_(
                "The likeliest answer of each policy to questions that are never trained on, at the look nearest to "
                "the step chosen above. Underlined is what the start did not say there."
            ),
            **answer_words(),
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
        rule=_("Rule"),
        tokens_help=_("Open this step's rollout in the Tokens page:"),
        table=_("Runs"),
        find_runs=_("Find runs: name, note, setting, state"),
        group_runs=_("Group by"),
        group_by={
            "": _("nothing"),
            "task": _("Task"),
            "objective": _("Objective"),
            "source": _("Trained by"),
            "experiment": _("Experiment"),
        },
        rest=_("Other"),
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
            damaged=_("damaged"),
            silent=_("silent"),
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
