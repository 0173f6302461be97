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
from sapo_viz.errors import RunError
from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.settings import Setting
from sapo_viz.ui.knobs import knob_inputs
from sapo_viz.ui.state import url_choice
from sapo_viz.ui.text import plain
from sapo_viz.ui.words import _

MOST_RUNS = 24  # from one press of the button
MOST_SEEDS = 12
USUAL = ["sapo", "grpo"]
_FIRST = ("steps", "lr", "minibatches", "epochs")  # what stands in view; all others wait in the expander
_GROUPS = {"task": "Task", "update": "Update", "sampling": "Sampling", "run": "Run"}


@dataclass(frozen=True)
class Plan:
    """The runs that the form asks for: one for each objective and seed."""

    configs: tuple[RunConfig, ...] = ()
    error: str = ""  # why there are none: one sentence


def choose_objectives() -> list[str]:
    """Pills over the whole catalogue, in its order."""
    url_choice("objectives", CATALOG, USUAL)
    chosen = st.pills(
        _("Objectives"),
        list(CATALOG),
        selection_mode="multi",
        wrap=True,
        format_func=lambda name: CATALOG[name].label,
        key="objectives",
        help=_("Each objective chosen here gets runs of its own, on the same prompts."),
    )
    return [name for name in CATALOG if name in chosen]


def choose_settings(names: Sequence[str]) -> Plan:
    """Number boxes for what one changes first, the objectives' knobs, and the rest in an expander."""
    with st.container(horizontal=True, gap="small"):
        seeds = _number_of_seeds()
        values = {name: _input(SETTINGS[name], width=130) for name in _FIRST}
    objectives = knob_inputs(list(names), narrow=True)
    values |= _more_settings([spec for name, spec in SETTINGS.items() if name not in _FIRST])
    if not names:
        return Plan(error=_("Choose at least one objective."))
    if len(names) * seeds > MOST_RUNS:
        sentence = _("That would be {n} runs; choose fewer objectives or seeds, up to {most} runs at a time.")
        return Plan(error=sentence.format(n=len(names) * seeds, most=MOST_RUNS))
    first = int(values.pop("seed"))
    try:
        return Plan(
            tuple(
                RunConfig(name, {k: getattr(objectives[name], k) for k in CATALOG[name].knobs()}, seed=seed, **values)
                for seed in range(first, first + seeds)
                for name in names
            )
        )
    except RunError as error:
        return Plan(error=str(error))


def settings_button(label: str, settings: dict[str, str]) -> None:
    """A button that puts these settings into the controls, and all others back to their default."""

    def put() -> None:
        for name in SETTINGS:
            st.query_params.pop(name, None)
        st.query_params.update(settings)

    st.button(label, icon=":material/tune:", on_click=put)


def _number_of_seeds() -> int:
    spec = Setting("seeds", "int", 1, _("Seeds"), _("Runs of each objective, with seeds that follow one another. "
                   "One seed can mislead: compare objectives over several."), "task", lo=1, hi=MOST_SEEDS)  # fmt: skip
    return int(_input(spec, width=130))


def _more_settings(specs: Iterable[Setting]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    groups: dict[str, list[Setting]] = {}
    for spec in specs:
        groups.setdefault(spec.group, []).append(spec)
    with st.expander(_("More settings"), icon=":material/tune:"):
        for group, members in groups.items():
            st.markdown(f"**{_(_GROUPS.get(group, group.capitalize()))}**")
            with st.container(horizontal=True, gap="small"):
                for spec in members:
                    values[spec.name] = _input(spec, width=250 if spec.kind == "text" else 130)
    return values


def _input(spec: Setting, *, width: int) -> Any:
    """One control; the address wins when it has changed, the control otherwise. As in `ui.knobs`."""
    key, seen = f"set-{spec.name}", f"set-{spec.name}@url"
    text = st.query_params.get(spec.name)
    if key not in st.session_state or text != st.session_state.get(seen):
        st.session_state[key] = _from_link(spec, text)
    label = f"{_(spec.label)} {spec.symbol}".strip()
    more = dict(key=key, help=_(spec.help), width=width)
    if spec.kind == "choice":
        value = st.selectbox(label, list(spec.choices), **more)
    elif spec.kind == "text":
        value = st.text_input(label, max_chars=int(spec.hi), **more)
    elif spec.kind == "int":
        value = st.number_input(label, min_value=int(spec.lo), max_value=int(spec.hi), step=int(spec.step), **more)
    else:
        value = st.number_input(label, min_value=spec.lo, max_value=spec.hi, step=spec.step, format="%.6g", **more)
    if value == spec.default:
        st.query_params.pop(spec.name, None)
    else:
        st.query_params[spec.name] = f"{value:.6g}" if isinstance(value, float) else str(value)
    st.session_state[seen] = st.query_params.get(spec.name)
    return value


def _from_link(spec: Setting, text: str | None) -> Any:
    if text is None:
        return spec.default
    try:
        return spec.parse(text)
    except RunError as error:
        note = _("{error} The link's value is not used; {default} is.").format(error=error, default=spec.default)
        st.warning(plain(note), icon=":material/link_off:")
        return spec.default
