"""How much of the gradient each objective keeps: this sequence beside the whole file, by sign of A."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.figures.blank import blank_figure
from sapo_viz.figures.palette import style_of


def shares_figure(kept: Mapping[str, Mapping[str, float]], objectives: Mapping[str, Objective]) -> go.Figure:
    """Horizontal bars, one group a scope.

    Args:
        kept: scope ("this sequence", "whole file", …) -> objective -> Σ|A|·w / Σ|A|, NaN where undefined.
        objectives: key -> objective, for names and colours.
    """
    scopes = list(kept)
    figure = blank_figure()
    used: list[str] = []
    for key, objective in objectives.items():
        color = style_of(objective.name).color
        shape = ("", "/", "x", ".")[min(used.count(color), 3)]  # colours come round, and bars have no line style
        used.append(color)
        values = [kept[scope].get(key, float("nan")) for scope in scopes]
        figure.add_bar(
            y=scopes,
            x=values,
            orientation="h",
            name=CATALOG[objective.name].label if key == objective.name else key,
            marker=dict(color=color, pattern=dict(shape=shape)),
            text=["–" if value != value else f"{value:.3f}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.4f}",
        )
    top = max((value for scope in kept.values() for value in scope.values() if value == value), default=1.0)
    figure.update_xaxes(range=[0, max(1.0, top) * 1.12], title_text="share of gradient kept, Σ|A|w / Σ|A|")
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(
        height=90 + len(scopes) * (14 + 19 * len(objectives)),
        margin=dict(l=10, r=10, t=10, b=40),
        bargap=0.2,
        legend=dict(orientation="h", y=1.0, yanchor="bottom", x=0),
        font=dict(size=13),
        dragmode=False,
    )
    return figure
