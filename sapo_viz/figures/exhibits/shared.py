"""What the exhibits hand to the browser: controls declared once as knobs, and the cases worth seeing.

The pictures themselves are drawn by browser/exhibits/ from the generated formulas, so that they move with the slider.
"""

from __future__ import annotations

from typing import Any

from sapo_viz.core.knobs import Knob
from sapo_viz.core.objective import CATALOG
from sapo_viz.figures.palette import style_of

_FIELDS = ("name", "symbol", "default", "lo", "hi", "ui_lo", "ui_hi", "help", "scale", "step")


def control(
    name: str,
    symbol: str,
    default: float,
    lo: float,
    hi: float,
    *,
    help: str,
    ui: tuple[float, float] | None = None,
    log: bool = False,
    step: float = 0.01,
) -> Knob:
    """A number of an exhibit, declared the way an objective's knob is: slider, validator and link follow."""
    ui_lo, ui_hi = ui or (lo, hi)
    return Knob(name, default, lo, hi, symbol, "", help, "log" if log else "linear", ui_lo, ui_hi, step)


def knob_json(spec: Knob) -> dict[str, Any]:
    """What browser/shared/sliders.js needs of a knob."""
    return {field: getattr(spec, field) for field in _FIELDS}


def objective_json(name: str) -> dict[str, Any]:
    """An objective of the catalogue as the browser draws it: line style, ratio level, knobs."""
    cls, style = CATALOG[name], style_of(name)
    return dict(
        name=name,
        label=cls.label,
        level=cls.ratio_level,
        reads_logprobs=cls.reads_logprobs,
        color=style.color,
        dash=style.dash,
        knobs=[knob_json(spec) for spec in cls.knobs().values()],
    )


def usual_knobs(names: list[str]) -> dict[str, dict[str, float]]:
    """objective -> knob -> its default."""
    return {name: {knob: spec.default for knob, spec in CATALOG[name].knobs().items()} for name in names}
