"""After a run: its policies answer your own prompts, and what it has trained can be downloaded.

The work is done by a process of its own (`runs/workers/after.py`); the page looks at it twice a second.
"""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import streamlit as st

from sapo_viz.errors import SapoVizError
from sapo_viz.models.jobs import JobState
from sapo_viz.models.tasks import TASKS
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.asked import MOST, MOST_PROMPTS, MOST_SIGNS, MOST_TOKENS, Asking, read_answers
from sapo_viz.runs.folder.labels import read_label
from sapo_viz.runs.folder.reading import number
from sapo_viz.runs.folder.store import RunStore, RunSummary
from sapo_viz.runs.need import size_text
from sapo_viz.runs.questions.mood import TEMPLATE
from sapo_viz.runs.workers.after import WIDTH, AfterJob, Merging, begin, merged_path
from sapo_viz.ui import address, session
from sapo_viz.ui.address import Word, bind
from sapo_viz.ui.component import component
from sapo_viz.ui.jobs import duration, is_done
from sapo_viz.ui.text import plain
from sapo_viz.ui.training.live import answer_words, why_not
from sapo_viz.ui.training.runs import shown_ids
from sapo_viz.ui.words import _

_JOB = "train: after"  # session: the AfterJob that was asked for last
_RUN = "train-after-run"  # a widget's: whose policies
_EXAMPLES = 2  # prompts that are in the field at first
_EVENTS = 50  # of a log, in which its start is


def after_runs(summaries: Sequence[RunSummary]) -> None:
    """What can be done with the finished ones among the drawn runs, and with the one that a link names."""
    store = RunStore()
    wanted = [*shown_ids(summaries)[0], address.text("after")]
    there = {
        run.id: run.config
        for run in summaries
        if run.id in wanted and run.status == "finished" and run.config and store.policy_path(run.id)
    }
    if not there:
        address.drop("after", "asked")
        return
    st.subheader(_("After the run"))
    bind("after", Word(tuple(there), next(iter(there))), widget=_RUN)
    run_id = st.selectbox(
        _("Run"),
        list(there),
        format_func=lambda each: read_label(store, each) or there[each].title,
        key=_RUN,
        width=420,
        on_change=address.drop,
        args=("asked",),
    )
    _ask(store, run_id, there[run_id])
    _take_home(store, run_id, there[run_id])


def _ask(store: RunStore, run_id: str, config: RunConfig) -> None:
    """The form, the way there, and what both policies said."""
    with st.form(f"train-ask {run_id}", border=False):
        text = st.text_area(
            _("Ask the starting and the trained policy: one prompt per line"),
            value=_examples(store, run_id, config) if not session.has(f"train-prompts {run_id}") else None,
            key=f"train-prompts {run_id}",
            height=100,
            max_chars=MOST_PROMPTS * MOST_SIGNS,
            help=_(
                "Both get them as they got the run's own prompts: with its chat template and system message, if it "
                "has them. \\n stands for a new line."
            ),
        )
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            temperature = st.number_input(
                _("Temperature"),
                0.0,
                5.0,
                0.0,
                0.1,
                help=_("0: the likeliest token each time. Above it both draw with the same seed."),
                width=130,
            )
            seed = st.number_input(_("Seed"), 0, 2**31 - 1, 0, width=130)
            tokens = st.number_input(
                _("Tokens, at most"), 0, MOST_TOKENS, 0, help=_("0: as many as in the run."), width=130
            )
            pressed = st.form_submit_button(_("Ask both"), icon=":material/forum:")
    st.caption(
        _(
            "The last {n} rounds of questions stay in the run's folder, with their answers, and everybody who can "
            "open this page can read them."
        ).format(n=MOST)
    )
    if pressed:
        prompts = tuple(line.replace("\\n", "\n") for line in (text or "").splitlines() if line.strip())
        _begin(store, run_id, lambda: Asking(prompts, temperature, int(seed), int(tokens)))
    with st.container():  # there from the first, so that nothing below it moves to another place of the page
        if job := _job(run_id, Asking):
            address.put("after", run_id)
            address.put("asked", str(job.number))
        if (asked := address.text("asked")).isdecimal() and len(asked) < 7:
            _show(store, run_id, int(asked))


def _show(store: RunStore, run_id: str, number: int) -> None:
    try:
        answers = read_answers(store, run_id, number)
    except SapoVizError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    start, now = ([asdict(answer) for answer in each] for each in (answers.start, answers.now))
    how = (
        _("Temperature {t:g}, seed {seed}").format(t=answers.temperature, seed=answers.seed)
        if answers.temperature
        else _("The likeliest token each time")
    )
    st.caption(
        _(
            "{how}; up to {n} tokens. Underlined is what the start did not say there. *Tokens* opens an answer as both "
            "policies score it, with the gates on what the run has changed; A is +1 for the trained policy's answer "
            "and −1 for the start's, whatever they are worth. Worth is the run's reward; – where none can be told, as "
            "for a prompt whose answer is in no file of the run."
        ).format(how=how, n=answers.max_tokens)
    )
    words = dict(
        **answer_words(),
        trained=_("Trained"),
        tokens=_("Tokens"),
        tokens_help=_("Both policies' log-probs of this answer, and each objective's gates"),
    )
    component("live/asked.js")(key="asked", data=dict(run=run_id, number=number, start=start, now=now, words=words))


def _take_home(store: RunStore, run_id: str, config: RunConfig) -> None:
    """Download what the run has trained; of an adapter also, once it is made, the model that it makes of its start."""
    merged = merged_path(store, run_id)
    trained, whole = _size(store.policy_path(run_id)), _size(merged)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="train-take-home"):
        label = _("Adapter, {size}") if config.lora_rank else _("Trained policy, {size}")
        _download(label.format(size=trained), run_id, "policy")
        if not config.lora_rank:
            return
        if whole:
            _download(_("Merged model, {size}").format(size=whole), run_id, "merged")
            st.button(
                _("Delete the merged model"),
                icon=":material/delete:",
                on_click=_delete_merged,
                args=(store, run_id),
            )
        else:
            parameters = _parameters(store, run_id)
            sizes = {
                dtype: _("about {size}").format(size=size_text(parameters * width))
                if parameters
                else _("size not known")
                for dtype, width in WIDTH.items()
            }
            dtype = st.selectbox(
                _("Weights of the merged model"),
                list(WIDTH),
                format_func=lambda each: f"{each}, {sizes[each]}",
                width=220,
                help=_("In bfloat16 it takes half the space, and part of a small update is rounded away."),
            )
            if st.button(_("Merge with its start"), icon=":material/merge:"):
                _begin(store, run_id, lambda: Merging(dtype))
    if whole:
        st.caption(
            plain(_("The merged model is in {folder}.").format(folder=f"{store.root.name}/{run_id}/{merged.name}"))
        )
    if _job(run_id, Merging):
        st.rerun()  # it can be downloaded


def _download(label: str, run_id: str, part: str) -> None:
    st.link_button(label, f"api/runs/policy?run={quote(run_id)}&part={part}", icon=":material/download:")


def _delete_merged(store: RunStore, run_id: str) -> None:
    with contextlib.suppress(SapoVizError):
        shutil.rmtree(merged_path(store, run_id), ignore_errors=True)


def _begin(store: RunStore, run_id: str, what: Callable[[], Asking | Merging]) -> None:
    """In place of what this visit has asked for before."""
    job: AfterJob | None = session.take(_JOB)
    if job is not None:
        job.cancel()
    try:
        session.put(_JOB, begin(store, run_id, what()))
    except (SapoVizError, OSError) as error:
        st.error(plain(why_not(error, store)), icon=":material/error:")


def _job(run_id: str, kind: type[Asking] | type[Merging]) -> AfterJob | None:
    """The job of this kind once it is done, and never again; until then its way, or its end, is shown."""
    job: AfterJob | None = session.get(_JOB)
    if job is None or job.run_id != run_id or not isinstance(job.what, kind):
        return None
    if not is_done(job, _words, key="train: cancel", cancelled=_("Cancelled.")):
        return None
    session.take(_JOB)
    return job


def _words(state: JobState) -> str:
    stages = {
        "loading": _("Loading the policies…"),
        "start": _("The start answers"),
        "trained": _("The trained policy answers"),
        "scoring": _("Both score the answers…"),
        "adding": _("Adding the adapter to the weights…"),
        "writing": _("Writing the merged model…"),
    }
    said = stages.get(state.stage, _("Starting its process…"))
    return (
        said
        if state.seconds_left is None
        else _("{stage}, {left} left").format(stage=said, left=duration(state.seconds_left))
    )


def _examples(store: RunStore, run_id: str, config: RunConfig) -> str:
    """The run's first held-out prompts, as it is asked them; without any one of the task's."""
    answers = _start_of(store, run_id).get("answers", [])
    prompts = [answer["prompt"] for answer in answers[:_EXAMPLES] if isinstance(answer, dict)]
    if not prompts and config.task in TASKS:
        prompts = [TASKS[config.task].prompt(random.Random(0))]
    if not prompts and config.task == "mood":
        prompts = [TEMPLATE.format(question="the sea")]
    return "\n".join(str(prompt).replace("\n", "\\n") for prompt in prompts)


def _size(folder: Path | None) -> str:
    """Of the files in it; empty if it is not there."""
    if folder is None or folder.is_symlink() or not folder.is_dir():
        return ""
    return size_text(sum(path.lstat().st_size for path in folder.iterdir()))


def _parameters(store: RunStore, run_id: str) -> float:
    """Of the policy that the run began with, without its adapter; 0 where the log does not say."""
    start = _start_of(store, run_id)
    return max(0, (number(start.get("parameters")) or 0) - (number(start.get("trained")) or 0))


def _start_of(store: RunStore, run_id: str) -> dict[str, Any]:
    """What the run's log says of its beginning."""
    events, _offset = store.read_events(run_id, most=_EVENTS)
    return next((event for event in events if event["type"] == "start"), {})
