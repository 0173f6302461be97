"""The result of an experiment: reward by step, one line per arm, mean over the seeds in a band of all of them; and
reward against KL to the start, what it has cost, one line per arm and a thin one per seed."""

from __future__ import annotations

import html
import statistics
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go

from sapo_viz.experiments.analysis import ArmResult, Result
from sapo_viz.experiments.records import RunRecord
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
    lowest = min((low for arm in result.arms for _, low, _ in arm.curve), default=0.0)
    figure.update_yaxes(title_text=words("reward, mean over seeds"), range=_range(lowest), zeroline=lowest < 0)
    _lay_out(figure, "x unified")
    alt = words("Reward by step, mean over seeds with a band from the lowest to the highest; at the last step")
    return ResultPicture(figure, f"{alt}: {', '.join(ends)}.")


def cost_figure(result: Result, words: Callable[[str], str] = str) -> ResultPicture:
    """A dot is what a rollout earned, and how far from the start the policy was that made it; with what that policy
    answers to the held-out prompt, where it was asked."""
    figure = blank_figure()
    ends = []
    for arm, (color, dash) in zip(result.arms, styles(result.arms), strict=True):
        for seed, run in sorted(arm.runs.items()):
            figure.add_scatter(
                x=run.kls,
                y=run.rewards,
                name=arm.label,
                mode="lines+markers",
                line=dict(color=_faint(color, 0.35), width=1),
                marker=dict(color=_faint(color, 0.5), size=[9 if text else 4 for text in _spoken(run)]),
                text=[
                    f"{arm.label}, {words('seed {seed}, step {step}').format(seed=seed, step=step)}{text}"
                    for step, text in enumerate(_spoken(run), 1)
                ],
                hovertemplate="%{text}<br>KL %{x:.2f}, %{y:.2f}<extra></extra>",
                showlegend=False,
                legendgroup=arm.name,
            )
        kls = [statistics.fmean(at) for at in zip(*(run.kls for run in arm.runs.values()), strict=False)]
        rewards = [mean for mean, _, _ in arm.curve[: len(kls)]]
        if kls:
            figure.add_scatter(
                x=kls,
                y=rewards,
                name=f"{arm.label} (n = {arm.n})",
                mode="lines",
                line=dict(color=color, dash=dash, width=2.5),
                hoverinfo="skip",
                legendgroup=arm.name,
            )
            ends.append(f"{arm.label} {rewards[-1]:.2f} {words('at')} {kls[-1]:.2f}")
    lowest = min((reward for arm in result.arms for run in arm.runs.values() for reward in run.rewards), default=0.0)
    figure.update_xaxes(title_text=words("KL to the start, nats a token"), rangemode="tozero", showgrid=False)
    figure.update_yaxes(title_text=words("reward of the step"), range=_range(lowest), zeroline=lowest < 0)
    _lay_out(figure, "closest")
    alt = words("Reward against KL to the start, a thin line per seed and a thick one for their mean; at the last step")
    return ResultPicture(figure, f"{alt}: {', '.join(ends)}.")


def _spoken(run: RunRecord) -> list[str]:
    """For each step what the policy says that makes its rollout, "" where it was not asked. Looks come after a step;
    what the last one saw makes no rollout any more."""
    said = {step + 1: text for step, text in run.said}
    return [_lines(said[step]) if step in said else "" for step in range(1, len(run.kls) + 1)]


def _lines(text: str) -> str:
    """A sentence as a hover label shows it: its own signs are no markup."""
    return "".join(f"<br>{html.escape(line)}" for line in textwrap.wrap(text, 44)) or "<br>–"


def _range(lowest: float) -> list[float]:
    return [min(0.0, lowest - 0.02), 1.02]


def _lay_out(figure: go.Figure, hovermode: Literal["x unified", "closest"]) -> None:
    figure.update_layout(
        height=380,
        margin=dict(l=10, r=10, t=10, b=10),
        hovermode=hovermode,
        legend=dict(orientation="h", y=1.0, yanchor="bottom", x=0),
        font=dict(size=13),
    )


def styles(arms: tuple[ArmResult, ...]) -> list[tuple[str, str]]:
    """(colour, dash) of each arm, as the live figure has them."""
    return [(look.color, look.dash) for look in looks([arm.objective for arm in arms])]


def _faint(color: str, opacity: float) -> str:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
