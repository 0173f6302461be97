"""A hyperparameter, declared once: default, range, symbol and help.

Slider, validator, table, link, command line and export are all made from this declaration.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sapo_viz.errors import KnobError


@dataclass(frozen=True)
class Knob:
    """One hyperparameter of an objective.

    `lo` and `hi` bound what is accepted; `ui_lo` and `ui_hi` what a slider spans (they default to the
    bounds). `scale="log"` spreads a slider evenly over decades. `names` says what frameworks call it.
    """

    name: str
    default: float
    lo: float
    hi: float
    symbol: str
    latex: str
    help: str
    scale: Literal["linear", "log"] = "linear"
    ui_lo: float = math.nan
    ui_hi: float = math.nan
    step: float = 0.01
    names: Mapping[str, str] = field(default_factory=dict, hash=False)

    def check(self, owner: str, value: Any) -> float:
        """The value as a float, or a KnobError that names knob, value and range."""
        takes = f"it takes values from {self.lo:g} to {self.hi:g}."
        name = f"{owner}: {self.name} ({self.symbol})"
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)  # numpy's scalars are Real
        if not is_number:
            raise KnobError(f"{name} is {value!r}, which is not a number; {takes}")
        if not self.lo <= value <= self.hi:  # false for NaN; isfinite() overflows for a huge int
            raise KnobError(f"{name} is {value}; {takes}")
        return float(value)


def knob(
    default: float,
    *,
    lo: float,
    hi: float,
    symbol: str,
    latex: str,
    help: str,
    scale: Literal["linear", "log"] = "linear",
    ui: tuple[float, float] | None = None,
    step: float = 0.01,
    names: Mapping[str, str] | None = None,
) -> Any:
    """A dataclass field that carries its own declaration."""
    ui_lo, ui_hi = ui or (lo, hi)
    spec = dict(lo=lo, hi=hi, symbol=symbol, latex=latex, help=help, scale=scale, ui_lo=ui_lo, ui_hi=ui_hi, step=step)
    spec["names"] = names or {}
    return dataclasses.field(default=default, metadata={"knob": spec})


def knobs_of(cls: type) -> dict[str, Knob]:
    """The knobs of an objective class, in the order in which they are declared."""
    return {
        field.name: Knob(name=field.name, default=field.default, **field.metadata["knob"])  # type: ignore[arg-type]
        for field in dataclasses.fields(cls)
        if "knob" in field.metadata
    }
