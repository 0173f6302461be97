"""A bound on a sum of log-ratios, over the lengths of the answers: what it drops, drawn."""

from __future__ import annotations

import math

import numpy as np

from sapo_viz.figures.batch import GREY, Picture, finished
from sapo_viz.figures.blank import blank_figure
from sapo_viz.rollouts.analysis.corrected import Corrected

_DROPPED = "#D55E00"
_MOST = 4000  # points


def corrected_figure(found: Corrected) -> Picture:
    """Each answer at its length and its Σ log ρ; those that get weight 0 stand out, with the bound."""
    there = np.flatnonzero(found.lengths > 0)
    if len(there) > _MOST:
        there = there[np.linspace(0, len(there) - 1, _MOST).astype(int)]
    figure = blank_figure()
    for name, chosen, colour, symbol in (
        ("kept", ~found.dropped, GREY, "circle"),
        ("dropped whole", found.dropped, _DROPPED, "x"),
    ):
        at = there[chosen[there]]
        figure.add_scatter(
            x=found.lengths[at], y=found.sums[at], mode="markers", name=name, showlegend=True,
            marker=dict(color=colour, symbol=symbol, size=6, opacity=0.7),
            hovertemplate="%{x:,} tokens, Σ log ρ = %{y:.3g}<extra>" + name + "</extra>",
        )  # fmt: skip
    correction = found.usual.correction
    for bound in (correction.low, correction.high):
        if 0 < bound < math.inf and correction.level == "sequence-sum":
            figure.add_hline(y=math.log(bound), line=dict(color=_DROPPED, width=1, dash="dash"),
                             annotation_text=f"log {bound:g}")  # fmt: skip
    figure.update_layout(
        xaxis=dict(title_text="response tokens", rangemode="tozero"), yaxis=dict(title_text="Σ log π_old/π_sampler")
    )
    text = found.takeaway
    return finished(figure, text, f"{text} {len(there):,} answers by length and sum of log-ratios.", height=320)
