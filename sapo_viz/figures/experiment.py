"""The result of an experiment: reward by step, one line per arm, mean over the seeds in a band of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go

from sapo_viz.experiments.analysis import ArmResult, Result
from sapo_viz.figures.blank import blank_figure
from sapo_viz.figures.looks import looks


@dataclass(frozen=True)
class ResultPicture:
    figure: go.Figure
    alt: str


def result_figure(result: Result, words: Callable[[str], str] = str) -> ResultPicture:
    """Bands reach from the lowest to the highest seed. Arms of one objective are told apart by colour and dash."""
    figure = blank_figure()
    ends = []
    for arm, (color, dash) in zip(result.arms, styles(result.arms), strict=True):
        if not arm.curve:
            continue
        steps = list(range(1, len(arm.curve) + 1))
        mean, low, high = zip(*arm.curve, strict=True)
        figure.add_scatter(
            x=[*steps, *reversed(steps)],
            y=[*high, *reversed(low)],
            fill="toself",
            fillcolor=_faint(color, 0.16 if len(result.arms) <= 3 else 0.08),
            line=dict(width=0),
            hoverinfo="skip",
            showlegend=False,
            legendgroup=arm.name,
        )
        figure.add_scatter(
            x=steps,
            y=mean,
            name=f"{arm.label} (n = {arm.n})",
            line=dict(color=color, dash=dash, width=2.5),
            hovertemplate="%{y:.3f}",
            legendgroup=arm.name,
        )
        ends.append(f"{arm.label} {mean[-1]:.2f}")
    figure.update_xaxes(title_text=words("step"), showgrid=False, zeroline=False)
    figure.update_yaxes(title_text=words("reward, mean over seeds"), range=[0, 1.02], zeroline=False)
    figure.update_layout(
        height=380,
        margin=dict(l=10, r=10, t=10, b=10),
        hovermode="x unified",
        legend=dict(orientation="h", y=1.0, yanchor="bottom", x=0),
        font=dict(size=13),
    )
    alt = words("Reward by step, mean over seeds with a band from the lowest to the highest; at the last step")
    return ResultPicture(figure, f"{alt}: {', '.join(ends)}.")


def styles(arms: tuple[ArmResult, ...]) -> list[tuple[str, str]]:
    """(colour, dash) of each arm, as the live figure has them."""
    return [(look.color, look.dash) for look in looks([arm.objective for arm in arms])]


def _faint(color: str, opacity: float) -> str:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
