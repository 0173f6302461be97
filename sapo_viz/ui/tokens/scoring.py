"""Scoring on the Tokens page: two models chosen, a typed text or a dump of texts, the way there, and the result.

The work is done by a process of its own (`models/jobs.py`); the page looks at it twice a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from sapo_viz.errors import SapoVizError
from sapo_viz.models.jobs import JobState
from sapo_viz.models.scoring.jobs import ScoreJob, ScoreRequest, scorer
from sapo_viz.models.source import BUNDLED, FOLDER_VARIABLE, visitors_root
from sapo_viz.rollouts.readers.formats.pair import FileContents
from sapo_viz.rollouts.scored import first_groups, scored_rollouts
from sapo_viz.rollouts.steps import Steps, at_once
from sapo_viz.rollouts.texts import TextDump
from sapo_viz.ui import address, session
from sapo_viz.ui.jobs import duration, is_done
from sapo_viz.ui.models import choose_model, known_adapters, known_models, models_help
from sapo_viz.ui.text import plain
from sapo_viz.ui.words import _

Opening = tuple[tuple[Any, ...], Callable[[], Steps[FileContents]]] | None  # what it is, and how to read it

TEXT = ("^864+394=", "4+4+0=08,6+9+0=15,8+3+1=12;1258$")
OLD, NEW = "addition-start", "addition-rl"
_SIGN = address.Word(("1", "-1"), "1")
ADDRESS = ("prompt", "completion", "A", "old", "new", "adapter", "chat")  # what scoring keeps there
MAX_TEXTS = 256  # of a dump, at once
_LINES = 80  # pixels of a text field: two lines, and it can be pulled larger
_LINK = 2000  # characters of a text in the address; a longer one would make a link that servers refuse
_JOB = "tokens: scoring"  # session: the ScoreJob whose request was made last


@dataclass(frozen=True)
class _Models:
    """What the form says of the models."""

    old: str
    new: str
    adapter: str
    chat: bool

    @property
    def bundled(self) -> bool:
        """Whether a link may start this by itself: nothing has to be fetched, and it takes a second."""
        return self.old in BUNDLED and self.new in BUNDLED and not self.adapter and not self.chat


def choose_text() -> Opening:
    """The form for a typed text, and its scores once they are there."""
    with st.form("tokens: text", border=False):
        columns = st.columns([3, 5, 1.2, 1.2], vertical_alignment="bottom")
        prompt = columns[0].text_area(_("Prompt"), address.text("prompt", TEXT[0]), height=_LINES)
        completion = columns[1].text_area(_("Completion"), address.text("completion", TEXT[1]), height=_LINES)
        sign = columns[2].segmented_control(
            _("Advantage"), ["+1", "−1"], default="−1" if address.read("A", _SIGN) == "-1" else "+1", required=True
        )
        pressed = columns[3].form_submit_button(_("Score"), icon=":material/calculate:", width="stretch")
        models = _choose_models()
    if models.bundled:
        st.caption(
            _(
                "Three-digit addition, each column worked out. π_old is the policy before reinforcement learning, "
                "π_θ the one after: change a digit and see which tokens they disagree on."
            )
        )
    _to_address("prompt", prompt, TEXT[0])
    _to_address("completion", completion, TEXT[1])
    _to_address("A", "-1" if sign == "−1" else "+1", "+1")
    advantage = -1.0 if sign == "−1" else 1.0
    texts = TextDump(_("typed text"), "text", (prompt,), (completion,), (None,), ("1",), (None,), (advantage,))
    names = [f"{models.old} to {models.new}{' + ' + models.adapter if models.adapter else ''}"]
    return _scored(texts, models, start=pressed or models.bundled, pressed=pressed, ids=names)


def score_dump(texts: TextDump) -> Opening:
    """For a file that holds texts only: what it is, the form, and the scores once they are there."""
    st.info(
        plain(
            _("{name} is {format}: {count} completions without log-probs. Two models can score them.").format(
                name=texts.name, format=texts.format, count=f"{len(texts):,}"
            )
        ),
        icon=":material/calculate:",
    )
    said = [_("The prompts are messages of a chat, so they go into the models' chat templates.")] if texts.chat else []
    if said := [*said, *texts.notes]:
        st.caption(" ".join(map(plain, said)))
    with st.form("tokens: score dump", border=False):
        models = _choose_models(chat=texts.chat, old="", new="")  # whose texts these are, only their owner knows
        columns = st.columns([2, 3], vertical_alignment="bottom")
        limit = columns[0].number_input(_("Completions, at most"), 1, MAX_TEXTS, min(64, MAX_TEXTS))
        pressed = columns[1].form_submit_button(_("Score"), icon=":material/calculate:", width="stretch")
    if not (models.old and (models.new or models.adapter)):
        if pressed:
            st.warning(
                _("Choose both models: the one that sampled the texts (π_old) and the policy now (π_θ)."),
                icon=":material/rule:",
            )
        return None
    part = first_groups(texts, int(limit))
    if len(part) < len(texts):
        st.caption(
            _(
                "The first {count} of {total} completions are scored, in whole groups. "
                "`python -m sapo_viz score` takes all of them."
            ).format(count=f"{len(part):,}", total=f"{len(texts):,}")
        )
    return _scored(part, models, start=pressed, pressed=pressed)


def forget_address() -> None:
    """Another source is chosen: nothing of the scoring stays in the address."""
    for name in ADDRESS:
        address.drop(name)


def scoring() -> bool:
    """Whether texts of this visit are being scored."""
    job: ScoreJob | None = session.get(_JOB)
    return job is not None and not job.state.over


def _choose_models(*, chat: bool = False, old: str = OLD, new: str = NEW) -> _Models:
    """π_old, π_θ (what they are at first), an adapter on π_θ, the chat template (`chat`); kept in the address."""
    names, where = known_models(), models_help()
    columns = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
    form = "typed" if old else "dump"  # what is usual in one is not in the other
    with columns[0]:
        old = choose_model(_("π_old: sampled the text"), "old", names, usual=old, help=where, key=f"tokens: {form} old")
    with columns[1]:
        new = choose_model(_("π_θ: the policy now"), "new", names, usual=new, help=where, key=f"tokens: {form} new")
    with columns[2]:
        adapter = choose_model(
            _("LoRA adapter on π_θ"),
            "adapter",
            known_adapters(),
            placeholder=_("none"),
            help=_("A folder below {variable}, what a run has trained, or a Hub id.").format(variable=FOLDER_VARIABLE),
            key=f"tokens: {form} adapter",
        )
    with columns[3]:
        usual = "1" if chat else "0"
        chat = st.checkbox(
            _("Chat template"),
            address.text("chat", usual) == "1",
            help=_("Put the prompt, as the user's message, into each model's own template. Off: the prompt as it is."),
        )
    _to_address("chat", "1" if chat else "0", usual)
    return _Models(old, new, adapter, chat)


def _to_address(name: str, value: str, usual: str) -> None:
    if value == usual or len(value) > _LINK:
        address.drop(name)
    else:
        address.put(name, value)


def _scored(texts: TextDump, models: _Models, *, start: bool, pressed: bool, ids: list[str] | None = None) -> Opening:
    """The rollouts of this request if they are there; else what stands in the way of them is shown."""
    request = ScoreRequest(
        models.new,
        models.old,
        texts.prompts,
        texts.completions,
        adapter=models.adapter,
        chat=models.chat,
        root=visitors_root(),
    )
    job: ScoreJob | None = session.get(_JOB)
    if (job is None or job.request != request) and start or (pressed and job is not None and job.state.over):
        if job is not None:
            job.cancel()
        try:
            job = session.put(_JOB, scorer().submit(request))
        except SapoVizError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return None
    if job is None or job.request != request:
        return None
    kept = _("Cancelled. Only the scores made so far were kept.")
    if not is_done(job, _words, key="tokens: cancel", cancelled=kept):
        return None
    finished = job
    origin = ("scored", request, texts.advantages, texts.rewards)
    return origin, lambda: at_once(lambda: scored_rollouts(texts, finished.new, finished.old, finished.notes, ids=ids))


def _words(state: JobState) -> str:
    if state.stage == "fetching":
        return _("Preparing {model}…").format(model=state.model)
    if state.stage == "loading":
        return _("Loading {model}…").format(model=state.model)
    if state.stage != "scoring" or state.tokens_per_s is None or state.seconds_left is None:
        return _("Starting its process…")
    return _("{model}: {done} of {total} sequences (both models), {speed} tokens/s, {left} left").format(
        model=state.model,
        done=f"{state.done:,}",
        total=f"{state.total:,}",
        speed=f"{state.tokens_per_s:,.0f}",
        left=duration(state.seconds_left),
    )
