"""The curves figure: panels for A > 0 and A < 0 side by side, one row a quantity.

Python lays the panels out and names the axes; the browser fills in the lines from the generated
formulas (curves.js), so that they follow the hand. `curve_table` gives the same numbers in Python.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.figures.palette import style_of
from sapo_viz.figures.vendor import PLOTLY_VERSION

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


@lru_cache
def layout(rows: tuple[str, ...], signs: tuple[int, ...], axis: RatioAxis, *, stacked: bool, height: int) -> go.Figure:
    """Empty panels. `stacked` puts the signs below one another, for narrow screens.

    Args:
        rows: quantities, top to bottom.
        signs: +1 and/or −1, left to right.
        height: of one row of panels, in pixels.
    """
    cells = [(row, sign) for row in rows for sign in signs]
    shape = (len(cells), 1) if stacked else (len(rows), len(signs))
    titles = [f"{QUANTITIES[row]}, A {'>' if sign > 0 else '<'} 0" for row, sign in cells]
    gaps = dict(vertical_spacing=min(0.3, 75 / (height * shape[0])) if shape[0] > 1 else 0.0, horizontal_spacing=0.07)
    figure = make_subplots(*shape, subplot_titles=titles, **gaps)
    for index, (row, _) in enumerate(cells):
        place = dict(row=index + 1, col=1) if stacked else dict(row=index // len(signs) + 1, col=index % len(signs) + 1)
        x_range = [math.log10(axis.lo), math.log10(axis.hi)] if axis.kind == "log" else [axis.lo, axis.hi]
        ticks = dict(tickvals=[0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]) if axis.kind == "log" else {}
        figure.update_xaxes(type=axis.kind, range=x_range, matches="x" if index else None, **ticks, **place)
        figure.update_yaxes(range=_Y_RANGE.get(row), **place)
        bottom = index >= len(cells) - (1 if stacked else len(signs))
        if bottom:
            figure.update_xaxes(title_text="ratio r (s for sequence-level objectives)", **place)
        figure.add_vline(x=1, line_width=1, **place)
    figure.update_layout(
        height=height * shape[0] + 70,
        margin=dict(l=45, r=10, t=70 if not stacked else 90, b=60),
        hovermode="x",
        legend=dict(orientation="h", yanchor="top", y=1.0, yref="container", x=0, xanchor="left", itemwidth=40),
        font=dict(size=13),
        template="none",
        dragmode="zoom",
    )
    figure.update_annotations(font_size=13)
    return figure


def _axes(rows: list[str], signs: list[int]) -> dict[str, dict[str, str]]:
    """The axis names of each panel, `quantity:sign` -> {x, y}: the same in both layouts."""
    cells = [f"{row}:{sign}" for row in rows for sign in signs]
    return {cell: dict(x=f"x{n or ''}", y=f"y{n or ''}") for cell, n in zip(cells, [0, *range(2, 99)], strict=False)}


def curves_data(
    names: list[str],
    values: dict[str, Any],
    *,
    rows: list[str],
    signs: list[int],
    axis: RatioAxis,
    labels: dict[str, str],
    alt: str,
    readout: bool = True,
    compact: bool = False,
    only_knobs: dict[str, list[str]] | None = None,
    height: int = 290,
    distribution: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that curves.js draws from, as JSON.

    Args:
        names: objectives of the catalogue, in the order of the legend.
        values: objective -> knob -> number, and `read_at`.
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
            wide=layout(tuple(rows), tuple(signs), axis, stacked=False, height=height).to_plotly_json()["layout"],
            narrow=layout(tuple(rows), tuple(signs), axis, stacked=True, height=min(height, 240)).to_plotly_json()[
                "layout"
            ],
        ),
        labels=labels,
        alt=alt,
        readout=readout,
        compact=compact,
        distribution=distribution,
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
