"""A setting of a run, declared once: command line, the page's form, validation and JSON are made from it.

The counterpart of `core.knobs` for what is not a number of an objective: counts, choices, words.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from sapo_viz.errors import RunError

SettingKind = Literal["int", "float", "choice", "text"]
Value = int | float | str


@dataclass(frozen=True)
class Setting:
    """One setting: default, range or choices, and the words that explain it.

    `group` says where a form puts it: "task", "update", "sampling" or "run"; an `advanced` one is rarely
    changed and may wait out of sight. `ui_lo`, `ui_hi` and `scale` are for sliders, as in `Knob`.
    """

    name: str
    kind: SettingKind
    default: Value
    label: str
    help: str
    group: str
    symbol: str = ""
    lo: float = -math.inf
    hi: float = math.inf
    choices: tuple[str, ...] = ()
    scale: Literal["linear", "log"] = "linear"
    ui_lo: float = math.nan
    ui_hi: float = math.nan
    step: float = 1.0
    advanced: bool = False

    @property
    def takes(self) -> str:
        """What would be right, to end a sentence with."""
        if self.kind == "choice":
            return f"it takes {' or '.join(self.choices)}."
        if self.kind == "text":
            return f"it takes text of {self.lo:.0f} to {self.hi:.0f} characters on one line."
        kind = "whole numbers" if self.kind == "int" else "values"
        return f"it takes {kind} from {self.lo:.10g} to {self.hi:.10g}."

    def check(self, value: Any) -> Value:
        """The value in its own type, or a RunError that names setting, value and range."""
        wrong = RunError(f"{self.name} is {value!r}; {self.takes}")
        if self.kind in ("choice", "text"):
            if not isinstance(value, str):
                raise wrong
            fits = value in self.choices if self.kind == "choice" else self.lo <= len(value) <= self.hi
            if not fits or not value.isprintable():
                raise wrong
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise wrong
        if not self.lo <= value <= self.hi or self.kind == "int" and value != int(value):  # false for NaN
            raise wrong
        return int(value) if self.kind == "int" else float(value)

    def parse(self, text: str) -> Value:
        """The same from the command line's text."""
        if self.kind in ("choice", "text"):
            return self.check(text)
        try:
            return self.check(float(text) if self.kind == "float" or not text.lstrip("+-").isdigit() else int(text))
        except ValueError as error:
            if isinstance(error, RunError):
                raise
            raise RunError(f"{self.name} is {text!r}; {self.takes}") from None


def setting(kind: SettingKind, default: Value, label: str, group: str, help: str, **more: Any) -> Any:
    """A dataclass field that carries its own declaration."""
    spec = dict(kind=kind, default=default, label=label, group=group, help=help, **more)
    return dataclasses.field(default=default, metadata={"setting": spec})


def settings_of(cls: type) -> dict[str, Setting]:
    """The settings of a dataclass, in the order in which they are declared."""
    return {
        field.name: Setting(name=field.name, **field.metadata["setting"])
        for field in dataclasses.fields(cls)
        if "setting" in field.metadata
    }
