"""What to train: objectives, knobs and settings on the page, and the runs that they ask for.

Every control is made from its declaration (`core.knobs`, `runs.settings`), so a new knob or setting
appears by itself; what differs from the default is kept in the address.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import ModelError, RunError, SapoVizError
from sapo_viz.models.source import visitors_root
from sapo_viz.models.tasks import TASKS, TEXT_TASKS
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.folder.slots import slot_count
from sapo_viz.runs.settings import Setting, Value
from sapo_viz.runs.starting import check_start
from sapo_viz.ui import address
from sapo_viz.ui.address import Read, bind
from sapo_viz.ui.knobs import knob_inputs
from sapo_viz.ui.models import choose_model, known_models, models_help
from sapo_viz.ui.pictures import show_pictured
from sapo_viz.ui.training.questions import choose_questions, show_examples
from sapo_viz.ui.words import _, declared

MOST_RUNS = 24  # from one press of the button
MOST_SEEDS = 12
_FIRST = ("steps", "lr", "minibatches", "epochs")  # what is in view; all others wait behind a button


@dataclass(frozen=True)
class RunPlan:
    """The runs that the form asks for: one for each objective and seed."""

    configs: tuple[RunConfig, ...] = ()
    error: str = ""  # why there are none: one sentence
    table: TextTable | None = None  # the questions that they are trained on
    warning: str = ""  # what would keep their reward at 0, or the memory that they lack: a sentence or two


def choose_settings(names: Sequence[str]) -> RunPlan:
    """Number boxes for what one changes first, the objectives' knobs, and the rest behind a button."""
    values = _more_settings([spec for name, spec in SETTINGS.items() if name not in (*_FIRST, "data")])
    with st.container(horizontal=True, gap="small"):
        seeds = _number_of_seeds()
        values |= {name: _input(SETTINGS[name], width=130) for name in _FIRST}
    objectives = knob_inputs(list(names), narrow=True)
    table, memory = None, ""
    if values["task"] in TEXT_TASKS:
        try:
            if values["task"] == "questions":
                table = choose_questions()
                if table is None:
                    return RunPlan(error=_("Give a file of questions."))
                values["data"] = table.name
            asked = max(1, len(names) * seeds)
            at_once = min(asked, max(1, slot_count() // int(values["threads"])))
            memory = show_examples(RunConfig(**values), table, at_once)
        except SapoVizError as error:
            return RunPlan(error=str(error))
    elif TASKS[values["task"]].pictured:
        show_pictured(TASKS[values["task"]], int(values["seed"]))
    if not names:
        return RunPlan(error=_("Choose at least one objective."))
    if len(names) * seeds > MOST_RUNS:
        sentence = _("That would be {n} runs; choose fewer objectives or seeds, up to {most} runs at a time.")
        return RunPlan(error=sentence.format(n=len(names) * seeds, most=MOST_RUNS))
    first = int(values.pop("seed"))
    try:
        warning = check_start(RunConfig(**values), visitors_root()) or memory
        return RunPlan(
            tuple(
                RunConfig(name, {k: getattr(objectives[name], k) for k in CATALOG[name].knobs()}, seed=seed, **values)
                for seed in range(first, first + seeds)
                for name in names
            ),
            table=table,
            warning=warning,
        )
    except (ModelError, RunError) as error:
        return RunPlan(error=str(error))


def settings_button(label: str, settings: dict[str, str]) -> None:
    """A button that puts these settings into the controls, and all others back to their default."""

    def put() -> None:
        address.drop(*SETTINGS)
        for name, text in settings.items():
            address.put(name, text)

    st.button(label, icon=":material/tune:", on_click=put)


def _number_of_seeds() -> int:
    spec = Setting("seeds", "int", 1, _("Seeds"), _("Runs of each objective, with seeds that follow one another. "
                   "One seed can mislead: compare objectives over several."), "task", lo=1, hi=MOST_SEEDS)  # fmt: skip
    return int(_input(spec, width=130))


def _more_settings(specs: Iterable[Setting]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    titles = {
        "task": _("Task"),
        "data": _("Questions and reward"),
        "validation": _("Validation"),
        "model": _("Model and memory"),
        "update": _("Update"),
        "sampling": _("Sampling"),
        "run": _("Run"),
    }
    groups: dict[str, list[Setting]] = {group: [] for group in titles}
    for spec in specs:
        groups.setdefault(spec.group, []).append(spec)
    button = st.popover(_("More settings"), icon=":material/tune:", width="stretch")
    with button, st.container(key="train-more"):  # side by side, as many as the window has room for (page.css)
        for group, members in groups.items():
            if not members:
                continue
            if group == "data" and values["task"] not in TEXT_TASKS:
                values |= {spec.name: spec.default for spec in members}  # the toy tasks have their own
                continue
            with st.container(gap="small"):
                st.markdown(f"**{titles.get(group, group.capitalize())}**")
                with st.container(horizontal=True, gap="small"):
                    for spec in members:
                        values[spec.name] = _input(spec, width=276 if spec.kind == "text" else 130)
    return values


def _input(spec: Setting, *, width: int) -> Any:
    """One control, kept in the address."""
    widget = f"set-{spec.name}"
    label = f"{declared(spec.label)} {spec.symbol}".strip()
    more: dict[str, Any] = dict(key=widget, help=declared(spec.help), width=width)
    if spec.name == "policy":
        more |= dict(help=f"{declared(spec.help)} {models_help()}", usual=str(spec.default))
        return choose_model(label, spec.name, known_models(), **more)
    bind(spec.name, _SettingKind(spec), widget=widget)
    if spec.kind == "choice":
        return st.selectbox(label, list(spec.choices), **more)
    if spec.kind == "text":
        return st.text_input(label, max_chars=int(spec.hi), **more)
    if spec.kind == "int":
        return st.number_input(label, min_value=int(spec.lo), max_value=int(spec.hi), step=int(spec.step), **more)
    return st.number_input(label, min_value=spec.lo, max_value=spec.hi, step=spec.step, format="%.6g", **more)


@dataclass(frozen=True)
class _SettingKind:
    """How a setting of a run is written in the address: as on the command line."""

    spec: Setting

    @property
    def usual(self) -> Value:
        return self.spec.default

    def read(self, key: str, text: str) -> Read[Value]:
        try:
            return Read(self.spec.parse(text))
        except RunError as error:
            said = _("{error} The link's value is ignored; {usual} is used instead.")
            return Read(self.usual, said.format(error=error, usual=self.usual))

    def write(self, value: Value) -> str:
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    def fit(self, value: Value) -> Value:
        return value
