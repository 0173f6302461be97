"""An experiment on a page: its button, its runs as they come in, and what they say."""

from __future__ import annotations

import time
from dataclasses import dataclass

import streamlit as st

from sapo_viz.errors import SapoVizError
from sapo_viz.experiments import runs as experiment_runs
from sapo_viz.experiments.analysis import FEWEST, Result, analyse, keys_of
from sapo_viz.experiments.collapse import RULE
from sapo_viz.experiments.conclusion import conclusion
from sapo_viz.experiments.design import Preset
from sapo_viz.experiments.measured import Measured, measured
from sapo_viz.experiments.presets import PRESETS
from sapo_viz.experiments.records import Key, RunRecord
from sapo_viz.experiments.text import arm_rows, change_rows, difference_rows, markdown_table, said_rows
from sapo_viz.figures.experiment import cost_figure, result_figure
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.workers.quotas import refuse_too_many
from sapo_viz.ui import address, session
from sapo_viz.ui.address import bind_choice
from sapo_viz.ui.experiments.told import shipped_result
from sapo_viz.ui.plot import plot
from sapo_viz.ui.text import plain
from sapo_viz.ui.training.live import live_runs, why_not
from sapo_viz.ui.words import _, declared

_NOTE = "experiment-note"  # what could not be started, to be said on the next run of the page
_LOOK = 2.0  # seconds between two looks at runs that are going
SEEDS = ("3", "4", "8", "12")


@dataclass(frozen=True)
class ExperimentPlan:
    """What the controls ask for."""

    preset: Preset
    seeds: int
    switches: tuple[str, ...]
    error: str = ""  # switches that cannot be thrown together: one sentence


def choose_preset() -> Preset:
    """Pills over all presets; the address keeps the choice."""
    bind_choice("preset", PRESETS, "outlier")
    name = st.pills(
        _("Experiment"), list(PRESETS), format_func=lambda name: declared(PRESETS[name].title), key="preset",
        required=True, label_visibility="collapsed",
    )  # fmt: skip
    return PRESETS[str(name)]


def controls(preset: Preset) -> ExperimentPlan:
    """One button; beside it the number of seeds, and the switches."""
    names = [switch.name for switch in preset.switches]
    labels = {switch.name: declared(switch.label) for switch in preset.switches}
    press, seeds_place, switches_place = st.columns([2.2, 1.6, 5], vertical_alignment="bottom")
    with seeds_place:
        bind_choice("seeds", SEEDS, str(preset.seeds))
        seeds = int(st.segmented_control(_("Seeds"), SEEDS, key="seeds", required=True) or preset.seeds)
    with switches_place:
        key = "switch"
        bind_choice(key, names, [])
        chosen = st.pills(
            _("What if … (one component changed)"), names, selection_mode="multi", wrap=True,
            format_func=labels.__getitem__, key=key,
            help="  \n".join(f"**{plain(declared(s.label))}**: {plain(declared(s.help))}" for s in preset.switches),
        )  # fmt: skip
    plan = _plan(preset, seeds, tuple(name for name in names if name in chosen))
    model = experiment_runs.missing_model(preset)
    if model:
        text = _("To run it here, {model} is needed, which is not among this server's models.").format(
            model=plain(model)
        )
        st.info(f"{text} {declared(preset.fetch)}", icon=":material/download:")
    else:
        with press:
            _button(plan)
    return plan


def _plan(preset: Preset, seeds: int, switches: tuple[str, ...]) -> ExperimentPlan:
    try:
        preset.configs(seeds, switches)
    except SapoVizError as error:
        return ExperimentPlan(preset, seeds, (), str(error))
    return ExperimentPlan(preset, seeds, switches)


def _button(plan: ExperimentPlan) -> None:
    result = _own(plan)[0]
    missing = _missing(result)
    span = clock(experiment_runs.expected_seconds(plan.preset, missing))
    if not missing:
        text = _("All runs are done") if not result.live else _("Running …")
    elif result.done or result.live:
        text = _("Run the other {n} (≈ {span})").format(n=missing, span=span)
    else:
        text = _("Run it (≈ {span}, {n} runs)").format(n=missing, span=span)
    st.button(
        text, type="primary", icon=":material/play_arrow:", width="stretch", key="run-experiment",
        disabled=not missing or bool(plan.error), on_click=_start, args=(plan,),
    )  # fmt: skip


def _missing(result: Result) -> int:
    """Runs that the button would start."""
    return result.wanted - result.done - result.live


def clock(seconds: float) -> str:
    """40 s, or 3 min."""
    if seconds < 100:
        return _("{n} s").format(n=max(5, round(seconds / 5) * 5))
    return _("{n} min").format(n=round(seconds / 60))


def _start(plan: ExperimentPlan) -> None:
    store = RunStore()
    mine = session.my_runs()
    try:
        refuse_too_many(store, _missing(_own(plan)[0]), mine)
        mine.extend(experiment_runs.start(plan.preset, plan.seeds, plan.switches, store))
    except (SapoVizError, OSError) as error:
        session.put(_NOTE, why_not(error, store))
    address.drop("runs")


def _stop(plan: ExperimentPlan) -> None:
    store = RunStore()
    try:
        experiment_runs.stop(plan.preset, plan.seeds, plan.switches, store)
    except (SapoVizError, OSError) as error:
        session.put(_NOTE, why_not(error, store))


def result(plan: ExperimentPlan) -> None:
    """What was measured here if anything was, else what is shipped; it follows the runs while they go."""
    if note := session.take(_NOTE, ""):
        st.warning(plain(note), icon=":material/error:")
    if plan.error:
        st.warning(plain(plan.error), icon=":material/error:")
    live = _own(plan)[0].live
    st.fragment(_follow, run_every=_LOOK if live else None)(plan, bool(live))


def _follow(plan: ExperimentPlan, was_live: bool) -> None:
    own, records = _own(plan)
    if was_live and not own.live:
        st.rerun()  # the button and the table of runs have to know as well
    shipped = measured(plan.preset.name)
    before = shipped_result(plan.preset, shipped, plan.switches)
    if own.live:
        _progress(plan, records)
    if own.n >= FEWEST or (own.done and not before):  # with fewer seeds it says less than the shipped one
        _verdict(own, _("Measured here, {date}").format(date=_date(records)))
        if shipped and before:
            st.caption(plain(_before(before, shipped)))
        _numbers(own)
    elif shipped and before:
        source = _("Measured {date} with {machine}").format(date=shipped.date, machine=shipped.machine)
        if own.live or own.done:
            text = _(". This machine's own result takes its place once every setting has {n} seeds.")
            source += text.format(n=FEWEST)
        _verdict(before, source)
        _numbers(before)
    elif own.live:
        st.info(_("The answer appears here once the first runs are done."), icon=":material/hourglass_empty:")
    else:
        text = _("Not measured yet with these switches. Run it, and the curves and the answer appear here.")
        st.info(text, icon=":material/science:")


def _own(plan: ExperimentPlan) -> tuple[Result, dict[Key, RunRecord]]:
    store = RunStore()
    try:
        records = experiment_runs.compared_records(plan.preset, plan.seeds, plan.switches, store)
    except OSError as error:
        session.put(_NOTE, why_not(error, store))
        records = {}
    own = set(keys_of(plan.preset, plan.seeds, plan.switches).values())
    shown = analyse(plan.preset, plan.seeds, records, plan.switches)
    return shown, {key: record for key, record in records.items() if key in own}


def _progress(plan: ExperimentPlan, records: dict[Key, RunRecord]) -> None:
    now = experiment_runs.progress(plan.preset, plan.seeds, records, plan.switches)
    text = _("{done} of {wanted} runs done").format(done=now.done, wanted=now.wanted)
    if now.seconds_left is not None:
        text += _(", about {span} left").format(span=clock(now.seconds_left))
    bar, stop = st.columns([6, 1], vertical_alignment="bottom")
    bar.progress(now.done / now.wanted, text=text)
    with stop.popover(_("Stop all"), icon=":material/stop:", width="stretch"):
        st.markdown(_("They can be resumed later: *Run the others* picks up where they left off."))
        st.button(_("Stop {n} runs").format(n=now.live), key="stop-experiment", on_click=_stop, args=(plan,))


def _verdict(shown: Result, source: str) -> None:
    with st.container(border=True, key="verdict"):
        st.markdown(f"#### {plain(conclusion(shown, _))}")
        st.caption(plain(source))


def _before(before: Result, shipped: Measured) -> str:
    text = _("Measured before, {date}, with {machine}: {sentence}")
    return text.format(date=shipped.date, machine=shipped.machine, sentence=conclusion(before, _))


def _numbers(shown: Result) -> None:
    _figures(shown)
    cost = [_("KL to the start")] if shown.costs else []
    if changes := change_rows(shown):
        change = _("Change, seed by seed (95 % over all looks)")
        st.markdown(table([_("Changed"), _("Reward, last quarter"), *cost, _("Collapsed"), change], changes))
    arms, differences = st.columns(2, gap="medium")
    head = [_("Setting"), _("Reward, last quarter"), *cost, _("Each seed"), _("Collapsed")]
    arms.markdown(table(head, [[*row, _paired(seeds), fell] for *row, seeds, fell in arm_rows(shown)]))
    arms.caption(
        _("Mean ± standard deviation over seeds. Band in the figure: from the lowest to the highest seed."),
        help=declared(RULE.sentence),
    )
    in_cost = [_("In KL to the start")] if shown.costs else []
    head = [_("Difference, seed by seed"), _("Mean (95 % interval over all looks)"), *in_cost, _("n")]
    differences.markdown(table(head, difference_rows(shown)))
    differences.caption(
        _("Student's t on paired differences, wide enough to hold 95 % over all looks from 3 to 24 seeds, so that more "
          "seeds can be added later; each pair by itself. With so few seeds an interval is wide, and it assumes "
          "that differences are roughly normal, which collapses are not: look at the counts too.")
    )  # fmt: skip
    _answers(shown)


def _figures(shown: Result) -> None:
    """Reward by step; beside it what it has cost, where that is known."""
    picture = result_figure(shown, _)
    if not shown.costs:
        plot(picture.figure, "experiment-figure", picture.alt)
        return
    by_step, by_cost = st.columns(2, gap="medium")
    with by_step:
        plot(picture.figure, "experiment-figure", picture.alt)
    picture = cost_figure(shown, _)
    with by_cost:
        plot(picture.figure, "experiment-cost", picture.alt)
    st.caption(
        _("KL to the start: how far a policy has gone from where it began. Of two lines at one height the left one has "
          "paid less. A thin line is a seed; a larger dot tells what was answered there.")
    )  # fmt: skip


def _answers(shown: Result) -> None:
    """What became of the language, which no number says."""
    if rows := said_rows(shown):
        asked = next(run.asked for arm in shown.arms for run in arm.runs.values() if run.said)
        st.markdown(_("**The likeliest answer to “{asked}”**, in the end").format(
            asked=plain(asked)
        ))  # fmt: skip
        st.markdown(table([_("Setting"), _("Seed"), _("Answer")], rows))


def _paired(seeds: str) -> str:
    """Two seeds a line at least: on a phone one per line makes a table with one screen per row."""
    each = seeds.split(" ")
    return " ".join("\u00a0".join(each[at : at + 2]) for at in range(0, len(each), 2))


def table(head: list[str], rows: list[list[str]]) -> str:
    return markdown_table(head, [[plain(cell) for cell in row] for row in rows])


def _date(records: dict[Key, RunRecord]) -> str:
    ended = max(record.ended for record in records.values() if record.counts)
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(ended))


def runs_of(plan: ExperimentPlan) -> None:
    """The live figure and the table of the runs of this experiment, once there are any."""
    store = RunStore()
    ids = {record.run_id for record in _own(plan)[1].values()}
    if not ids:
        return
    asked = [run_id for run_id in address.text("runs", "").split(",") if run_id]
    if not address.has("runs") or not ids.issuperset(asked):
        address.put("runs", ",".join(sorted(ids)))
    st.subheader(_("The runs"))
    live_runs([summary for summary in store.list() if summary.id in ids])
