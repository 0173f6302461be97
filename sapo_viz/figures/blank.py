"""Where every figure made in Python starts: empty, with our toolbar."""

from __future__ import annotations

import plotly.graph_objects as go

from sapo_viz.figures.vendor import MODEBAR


def blank_figure() -> go.Figure:
    """Whatever shows it, page, report or notebook, its toolbar offers to send nothing anywhere."""
    return go.Figure(layout=dict(modebar=MODEBAR))
