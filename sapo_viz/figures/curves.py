"""The curves figure: panels for A > 0 and A < 0 side by side, one row per quantity.

Python lays the panels out and names the axes; the browser fills in the lines from the generated
formulas (browser/curves/), so that they move with the slider. `curve_table` gives the same numbers in Python.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.figures.correction import correction_control
from sapo_viz.figures.palette import style_of
from sapo_viz.figures.vendor import CONFIG, MODEBAR, PLOTLY_VERSION

Quantity = Literal["surrogate", "weight", "coefficient"]
QUANTITIES: dict[str, str] = {"surrogate": "surrogate J", "weight": "weight w", "coefficient": "coefficient r·w"}

# Where an axis starts: the surrogate of CISPO (A·log π) would dwarf the others if it were left free.
_Y_RANGE: dict[str, list[float]] = {"weight": [-0.06, 1.25], "coefficient": [-0.1, 2.6]}


@dataclass(frozen=True)
class RatioAxis:
    """The horizontal axis: the ratio from `lo` to `hi`."""

    kind: Literal["linear", "log"] = "linear"
    lo: float = 0.0
    hi: float = 3.0

    @classmethod
    def of(cls, kind: str) -> RatioAxis:
        return cls("log", 0.05, 20.0) if kind == "log" else cls()


def layout(rows: list[str], signs: list[int], axis: RatioAxis, *, stacked: bool, height: int) -> dict[str, Any]:
    """Empty panels, as a Plotly layout. Written out: `make_subplots` would cost the first picture a tenth of a second.

    Args:
        rows: quantities, top to bottom.
        signs: +1 and/or −1, left to right; `stacked` puts them below one another, for narrow screens.
        height: of one row of panels, in pixels.
    """
    cells = [(row, sign) for row in rows for sign in signs]
    down, across = (len(cells), 1) if stacked else (len(rows), len(signs))
    between = min(0.3, 75 / (height * down)) if down > 1 else 0.0
    tall, wide = (1 - between * (down - 1)) / down, (1 - 0.07 * (across - 1)) / across
    log = axis.kind == "log"
    x_range = [math.log10(axis.lo), math.log10(axis.hi)] if log else [axis.lo, axis.hi]
    ticks = dict(tickvals=[0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]) if log else {}
    panels: dict[str, Any] = dict(annotations=[], shapes=[])
    for index, (row, sign) in enumerate(cells):
        n = _number(index)
        left, top = index % across * (wide + 0.07), 1 - index // across * (tall + between)
        x: dict[str, Any] = dict(type=axis.kind, range=x_range, domain=[left, left + wide], anchor=f"y{n}", **ticks)
        if index:
            x["matches"] = "x"
        if index >= len(cells) - across:
            x["title"] = dict(text="ratio r (s for sequence-level objectives)")
        panels[f"xaxis{n}"] = x
        panels[f"yaxis{n}"] = dict(domain=[top - tall, top], anchor=f"x{n}", range=_Y_RANGE.get(row))
        title = dict(
            text=f"{QUANTITIES[row]}, A {'>' if sign > 0 else '<'} 0", x=left + wide / 2, y=top, showarrow=False
        )
        panels["annotations"].append(
            dict(title, xref="paper", yref="paper", xanchor="center", yanchor="bottom", font=dict(size=13))
        )
        panels["shapes"].append(
            dict(type="line", x0=1, x1=1, y0=0, y1=1, xref=f"x{n}", yref=f"y{n} domain", line=dict(width=1))
        )
    return panels | dict(
        height=height * down + 40,
        margin=dict(l=45, r=10, t=40, b=60),
        showlegend=False,  # it stands above the figure (browser/curves/legend.js); a picture that is saved has this one
        hovermode="x",
        legend=dict(orientation="h", yanchor="top", y=1.0, yref="container", x=0, xanchor="left", itemwidth=40),
        font=dict(size=13),
        dragmode="zoom",
        modebar=MODEBAR,
    )


def _number(index: int) -> str:
    """Plotly numbers axes from 2; the first has none."""
    return str(index + 1) if index else ""


def _axes(rows: list[str], signs: list[int]) -> dict[str, dict[str, str]]:
    """The axis names of each panel, `quantity:sign` -> {x, y}: the same in both layouts."""
    cells = [f"{row}:{sign}" for row in rows for sign in signs]
    return {cell: dict(x=f"x{_number(n)}", y=f"y{_number(n)}") for n, cell in enumerate(cells)}


def curves_data(
    names: list[str],
    values: dict[str, Any],
    *,
    rows: list[str],
    signs: list[int],
    axis: RatioAxis,
    labels: dict[str, Any],
    alt: str,
    readout: bool = True,
    compact: bool = False,
    only_knobs: dict[str, list[str]] | None = None,
    height: int = 290,
    distribution: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that browser/curves/curves.js draws from, as JSON.

    Args:
        names: objectives of the catalogue, in the order of the legend.
        values: objective -> knob -> number, `read_at`, and `correction` (`figures.correction.correction_value`).
        only_knobs: objective -> the knobs that get a slider; all of them if not given.
        distribution: where the tokens are, `{"label": …, "z": […]}`; without `z` a Gaussian in log r.
    """

    def knobs(name: str) -> list[dict[str, Any]]:
        wanted = None if only_knobs is None else only_knobs.get(name, [])
        return [
            {
                field: getattr(spec, field)
                for field in ("name", "symbol", "default", "lo", "hi", "help", "scale", "step")
            }
            | dict(ui_lo=spec.ui_lo, ui_hi=spec.ui_hi)
            for spec in CATALOG[name].knobs().values()
            if wanted is None or spec.name in wanted
        ]

    return dict(
        plotly=PLOTLY_VERSION,
        config=CONFIG,
        objectives=[
            dict(name=name, label=CATALOG[name].label, knobs=knobs(name), level=CATALOG[name].ratio_level)
            | dict(color=style_of(name).color, dash=style_of(name).dash, reads_logprobs=CATALOG[name].reads_logprobs)
            for name in names
        ],
        values=values,
        rows=rows,
        signs=signs,
        axis=dict(kind=axis.kind, lo=axis.lo, hi=axis.hi),
        axes=_axes(rows, signs),
        layouts=dict(
            wide=layout(rows, signs, axis, stacked=False, height=height),
            narrow=layout(rows, signs, axis, stacked=True, height=min(height, 240)),
        ),
        labels=labels,
        alt=alt,
        readout=readout,
        compact=compact,
        distribution=distribution,
        correction=None if compact else correction_control(),
    )


def curve_table(objectives: list[Objective], ratios: list[float], advantage: float) -> list[dict[str, Any]]:
    """Surrogate, weight and coefficient of each objective at each ratio, as rows of a table."""
    from sapo_viz.core.curves import curve
    from sapo_viz.core.lazy import torch

    rows = []
    for objective in objectives:
        c = curve(objective, torch.tensor(ratios, dtype=torch.float64), advantage)
        columns = (c.ratio.tolist(), c.surrogate.tolist(), c.weight.tolist(), c.coefficient.tolist())
        rows += [
            dict(objective=objective.name, advantage=advantage, ratio=r, surrogate=j, weight=w, coefficient=k)
            for r, j, w, k in zip(*columns, strict=True)
        ]
    return rows
