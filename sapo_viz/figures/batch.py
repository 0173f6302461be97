"""Figures of a whole file: where the ratios are under the gates, what is kept, how it moves with a knob, a group.

Each function takes numbers that were worked out elsewhere and returns a `Picture`: the figure with its takeaway as
title, and the alt text. Greys for data, the palette's colours for objectives only; backgrounds are transparent, so
that a light and a dark page both show through.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.figures.blank import blank_figure
from sapo_viz.figures.palette import style_of
from sapo_viz.figures.shares import shares_figure
from sapo_viz.figures.vendor import CONFIG
from sapo_viz.rollouts.analysis.fit import KeptCurve, Match, share_text
from sapo_viz.rollouts.analysis.gate import argument_of, weights_at

if TYPE_CHECKING:
    import pandas as pd

    from sapo_viz.rollouts.analysis.analyse import Analysis
    from sapo_viz.rollouts.analysis.histogram import Histogram

GREY, LIGHT_GREY = "#8A94A0", "rgba(138,148,160,0.35)"
_TITLE_CHARACTERS = 46  # a line of the title in 13 px on a phone of 390
_LINE = 18  # pixels of one of these
_SIGNS = {1: "A > 0", -1: "A < 0"}


@dataclass(frozen=True)
class Picture:
    """A figure, the sentence that it shows (its title too) and its text for those who do not see it."""

    figure: go.Figure
    takeaway: str
    alt: str

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> Any:
        """In a notebook a picture is its figure."""
        return self.figure._repr_mimebundle_(*args, **{"config": CONFIG} | kwargs)

    @property
    def untitled(self) -> go.Figure:
        """The figure for a page that sets the takeaway as text above it, where it wraps as the page does."""
        figure = go.Figure(self.figure)
        lines = _LINE * len(textwrap.wrap(self.takeaway, _TITLE_CHARACTERS))
        figure.update_layout(
            title_text="", height=figure.layout.height - lines, margin_t=figure.layout.margin.t - lines
        )
        return figure


def ratio_figure(analysis: Analysis, *, log_counts: bool = True) -> Picture:
    """Log-ratios of the tokens, A > 0 above A < 0, under the gates of the objectives that look at single tokens."""
    counted = analysis.histogram("log_ratio")
    gates = {key: o for key, o in analysis.objectives.items() if argument_of(o) == "token"}
    figure = blank_figure()
    parts = []
    for row, (sign, kind) in enumerate(_SIGNS.items()):
        axes = dict(xaxis=f"x{row + 1 if row else ''}", yaxis=f"y{2 * row + 1 if row else ''}")
        _bars(figure, counted, kind, "tokens", **axes)
        x = np.linspace(counted.edges[0], counted.edges[-1], 241)
        for key, objective in gates.items():
            line = _line(objective)
            figure.add_scatter(
                x=x, y=weights_at(objective, x, sign), name=_name(key, objective), legendgroup=key,
                showlegend=row == 0, mode="lines", line=line, hovertemplate="w %{y:.3f}",
                xaxis=axes["xaxis"], yaxis=f"y{2 * row + 2}",
            )  # fmt: skip
        outside = counted.below[kind] + counted.above[kind]
        parts.append(f"{kind}: {int(counted.counts[kind].sum() + outside):,} tokens, {outside:,} beyond the axis")
        _panel(figure, row, kind, "tokens", log_counts)
    figure.update_layout(xaxis2=dict(title_text="log r = log π_θ − log π_old", matches="x"))
    counts = np.sum([counted.counts[kind] for kind in counted.counts], axis=0)
    middle = 0.5 * (counted.edges[1:] + counted.edges[:-1])
    takeaway = _spread("tokens have a log-ratio", middle, counts, counted)
    alt = f"Histograms of the log-ratio of the tokens by sign of the advantage. {takeaway} {'; '.join(parts)}."
    if gates:
        alt += f" Over them the gate weights of {_and([_name(key, o) for key, o in gates.items()])}."
    return finished(figure, takeaway, alt, height=520)


def sequence_ratio_figure(analysis: Analysis, *, log_counts: bool = False) -> Picture:
    """Log sequence ratios log s_i, under the gates of the objectives that look at whole sequences, bands shaded."""
    counted = analysis.histogram("log_s")
    figure = blank_figure()
    _bars(figure, counted, "all", "sequences")
    gates = {key: o for key, o in analysis.objectives.items() if argument_of(o) == "sequence"}
    low, high = float(counted.edges[0]), float(counted.edges[-1])
    bands = {key: band for key, o in gates.items() if (band := _band(o))}
    reach = 2 * max(abs(low), abs(high))
    low = min([low, *(max(band[0] * 1.2, -reach) for band in bands.values())])
    high = max([high, *(min(band[1] * 1.2, reach) for band in bands.values())])
    x = np.linspace(low, high, 481)
    for key, objective in gates.items():
        for sign in _SIGNS:
            figure.add_scatter(
                x=x, y=weights_at(objective, x, sign), name=_name(key, objective), legendgroup=key,
                showlegend=sign > 0, mode="lines", line=_line(objective) | dict(width=2 if sign > 0 else 1),
                hovertemplate=f"w, {_SIGNS[sign]}: %{{y:.3f}}", yaxis="y2",
            )  # fmt: skip
        if key in bands:
            figure.add_vrect(
                x0=bands[key][0], x1=bands[key][1], fillcolor=style_of(objective.name).color, opacity=0.15,
                line_width=0, layer="below",
            )  # fmt: skip
    _panel(figure, 0, "", "sequences", log_counts)
    figure.update_layout(xaxis=dict(title_text="log s_i = mean log r of a sequence", range=[low, high]))
    total = len(values := analysis.log_s[analysis.counts > 0])
    if bands:
        key, (lo, hi) = next(iter(bands.items()))
        inside = int(((values >= lo) & (values <= hi)).sum())
        takeaway = f"{inside:,} of {total:,} sequences lie inside the band of {_name(key, gates[key])}."
    else:
        takeaway = _spread(
            "sequences have a log s", 0.5 * (counted.edges[1:] + counted.edges[:-1]), counted.counts["all"]
        )
    alt = f"Histogram of the log sequence ratio. {takeaway}"
    if gates:
        alt += f" Over it the gate weights of {_and([_name(key, o) for key, o in gates.items()])}."
    return finished(figure, takeaway, alt, height=340)


def variance_figure(analysis: Analysis, *, log_counts: bool = False) -> Picture:
    """Var_i of the sequences on a logarithmic axis: how unlike the tokens of one sequence are."""
    counted = analysis.histogram("variance")
    figure = blank_figure()
    _bars(figure, counted, "all", "sequences")
    _panel(figure, 0, "", "sequences", log_counts)
    figure.update_layout(xaxis=dict(title_text="Var_i = variance of log r within a sequence", type="log"))
    own = analysis.counts > 0
    median = float(np.median(analysis.variance[own])) if own.any() else 0.0
    takeaway = (
        f"In half of the sequences the log-ratio varies by a standard deviation of {math.sqrt(median):.2g} or more."
    )
    zero = int((analysis.variance[own] == 0).sum())
    note = f" {zero:,} with a variance of 0 are not on the axis." if zero else ""
    return finished(
        figure, takeaway, f"Histogram of the within-sequence variance of log r. {takeaway}{note}", height=300
    )


def kept_figure(analysis: Analysis) -> Picture:
    """Share of the gradient kept by each objective: all tokens, and by sign of A."""
    scopes = {"all tokens": 0, "A > 0": 1, "A < 0": -1}
    kept = {label: {key: analysis.share(key, s).kept for key in analysis.objectives} for label, s in scopes.items()}
    figure = shares_figure(kept, analysis.objectives)
    overall = {key: value for key, value in kept["all tokens"].items() if value == value}
    if not overall:
        takeaway = "No token has an advantage, so there is no gradient to keep."
    elif len(overall) == 1 or max(overall.values()) - min(overall.values()) < 5e-4:
        takeaway = f"Each keeps {share_text(min(overall.values()))} of the gradient of this file."
    else:
        most, least = max(overall, key=lambda key: overall[key]), min(overall, key=lambda key: overall[key])
        named = {key: _name(key, analysis.objectives[key]) for key in overall}
        takeaway = (
            f"{named[most]} keeps most of the gradient ({share_text(overall[most])}), "
            f"{named[least]} least ({share_text(overall[least])})."
        )
    rows = [
        f"{label}: " + ", ".join(f"{_name(k, analysis.objectives[k])} {v:.3f}" for k, v in values.items() if v == v)
        for label, values in kept.items()
    ]
    return finished(figure, takeaway, f"Bars of the share of gradient kept. {takeaway} {'; '.join(rows)}.")


def kept_curve_figure(curve: KeptCurve, match: Match | None = None) -> Picture:
    """Share kept as a knob moves, with its 95 % interval; with a match, the source's share and where it is reached."""
    style, label = style_of(curve.base.name), curve.base.label
    log = curve.values[0] > 0 and curve.values[-1] > 10 * curve.values[0]
    figure = blank_figure()
    ends = dict(x=np.concatenate((curve.values, curve.values[::-1])), y=np.concatenate((curve.high, curve.low[::-1])))
    figure.add_scatter(
        **ends, fill="toself", mode="lines", line=dict(width=0), fillcolor=_faint(style.color), name="95 % interval",
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=curve.values, y=curve.kept, mode="lines", line=_line(curve.base), name=f"{label} keeps",
        hovertemplate=f"{curve.knob.symbol} = %{{x:.3g}}<br>keeps %{{y:.4f}}",
    )  # fmt: skip
    sign = _SIGNS[curve.sign]
    takeaway = (
        f"{label} keeps {share_text(float(curve.kept[0]))} of the gradient at {curve.knob.symbol} = "
        f"{curve.values[0]:.3g} and {share_text(float(curve.kept[-1]))} at {curve.values[-1]:.3g} ({sign})."
    )
    if match is not None and match.kept == match.kept:
        source = match.source
        figure.add_scatter(
            x=[curve.values[0], curve.values[-1]], y=[match.kept, match.kept], mode="lines", line=_line(source),
            name=f"{source.label} keeps", hovertemplate="%{y:.4f}",
        )  # fmt: skip
        if match.found:
            reach = dict(type="data", symmetric=False, array=[match.high - match.value])
            reach |= dict(arrayminus=[match.value - match.low], thickness=2)
            figure.add_scatter(
                x=[match.value], y=[match.kept], mode="markers", name="match, 95 % interval",
                marker=dict(size=10, color=GREY, symbol="diamond", line=dict(width=1.5, color=style.color)),
                error_x=reach | dict(color=GREY), hovertemplate=f"{curve.knob.symbol} = %{{x:.4g}}",
            )  # fmt: skip
            takeaway = (
                f"For {sign}, {label} keeps as much as {source.label} at {curve.knob.symbol} = {match.value:.3g} "
                f"({match.reach})."
            )
        else:
            takeaway = f"For {sign}, no {curve.knob.symbol} of {label} keeps as much as {source.label}."
    figure.update_xaxes(title_text=f"{curve.knob.symbol} of {label}", type="log" if log else "linear")
    # With few groups an interval may reach far below 0: it runs out of the picture, and the curve stays one.
    lo, hi = min(0.0, float(curve.kept.min())), max(1.0, float(curve.kept.max()))
    figure.update_yaxes(title_text="share of gradient kept", range=[lo - 0.02 * (hi - lo), hi + 0.05 * (hi - lo)])
    alt = (
        f"Line: share of gradient kept by {label} against {curve.knob.symbol}, tokens with {sign}. {takeaway} "
        f"{match.sentence if match is not None else ''}"
    ).strip()
    return finished(figure, takeaway, alt, height=360)


def group_figure(completions: pd.DataFrame, name: str = "") -> Picture:
    """The completions of one prompt: advantage as a bar, reward beside it, (R − mean)/std as a mark.

    Args:
        completions: of `groups.completion_table`; the bar's customdata is the sequence's place in the file.
        name: of the group, for the alt text.
    """
    labels = [f"{i + 1}" for i in range(len(completions))]
    rewards = [f"R = {reward:g}" for reward in completions["reward"]]
    advantage = completions["advantage"].to_numpy(dtype=float)
    figure = blank_figure()
    figure.add_bar(
        y=labels, x=advantage, orientation="h", name="advantage in the file", marker=dict(color=GREY),
        customdata=completions[["sequence", "id", "reward", "length"]].to_numpy(),
        hovertemplate="%{customdata[1]}<br>reward %{customdata[2]:g}, %{customdata[3]} tokens<br>A = %{x:.4f}",
    )  # fmt: skip
    figure.add_scatter(
        y=labels, x=completions["advantage_std"], mode="markers", name="(R − mean)/std",
        marker=dict(symbol="line-ns", size=13, line=dict(width=2, color="#CC79A7")), hovertemplate="%{x:.4f}",
    )  # fmt: skip
    reach = 1.15 * max(1e-9, float(np.nanmax(np.abs(np.concatenate((advantage, completions["advantage_std"]))))))
    figure.update_xaxes(title_text="advantage A", range=[-reach, reach], zeroline=True, zerolinecolor=GREY)
    figure.update_yaxes(
        autorange="reversed", tickmode="array", tickvals=labels, ticktext=rewards, type="category",
        title_text="completions, by reward",
    )  # fmt: skip
    count, mean = len(completions), float(completions["reward"].mean())
    if completions["reward"].nunique() < 2:
        takeaway = f"All {count} completions have the reward {mean:g}: nothing can be learned from this group."
    else:
        up = int((advantage > 0).sum())
        takeaway = (
            f"{up} of {count} completions are pushed up, {int((advantage < 0).sum())} down; mean reward {mean:.3g}."
        )
    rows = ", ".join(f"{r:g} ({a:.2f})" for r, a in zip(completions["reward"], advantage, strict=True))
    alt = f"Bars of the advantages in group {name}, by reward. {takeaway} Reward (advantage): {rows}."
    return finished(figure, takeaway, alt, height=max(220, 110 + 18 * count))


def _bars(figure: go.Figure, counted: Histogram, kind: str, unit: str, **axes: str) -> None:
    edges = counted.edges
    figure.add_bar(
        x=edges[:-1], y=counted.counts[kind], width=np.diff(edges), offset=0, name=unit, showlegend=False,
        marker=dict(color=GREY, opacity=0.55, line=dict(width=0)),
        customdata=edges[1:], hovertemplate=f"%{{x:.3g}} to %{{customdata:.3g}}<br>%{{y:,}} {unit}<extra></extra>",
        **axes,
    )  # fmt: skip


def _panel(figure: go.Figure, row: int, kind: str, unit: str, log_counts: bool) -> None:
    """Axes of one panel: counts on the left, weights on the right; two panels stand one above the other."""
    two = bool(kind)
    domain = [0.56, 1.0] if row == 0 else [0.0, 0.44]
    n = str(2 * row + 1) if row else ""
    x = f"x{row + 1 if row else ''}"
    counts: dict[str, Any] = dict(type="log" if log_counts else "linear", anchor=x)
    counts |= dict(title_text=f"{unit}, {kind}" if two else unit)
    counts |= dict(showgrid=False, dtick=1 if log_counts else None, exponentformat="power" if log_counts else "SI")
    weight = dict(overlaying=f"y{n}", side="right", range=[0, 1.3], showgrid=False, anchor=x, tickvals=[0, 0.5, 1])
    if two:
        counts["domain"] = domain
    has_gate = any(trace.yaxis == f"y{2 * row + 2}" for trace in figure.data)
    update: dict[str, Any] = {f"yaxis{n}": counts}
    if has_gate:
        update[f"yaxis{2 * row + 2}"] = weight | dict(title_text="weight w")
    if two:
        update[f"xaxis{row + 1 if row else ''}"] = dict(anchor=f"y{n}", showticklabels=True)
    figure.update_layout(update)


def finished(figure: go.Figure, takeaway: str, alt: str, height: int | None = None) -> Picture:
    """The layout that all share: the takeaway as title, wrapped for a phone, the legend below it."""
    lines = textwrap.wrap(takeaway, _TITLE_CHARACTERS)
    names = [trace.name for trace in figure.data if trace.showlegend is not False]
    across = max(1, 330 // (60 + 7 * max(map(len, names), default=1)))  # what a line of the legend holds on a phone
    top = (
        30 + _LINE * len(lines) + 21 * math.ceil(len(names) / across if len(names) > 1 or not _only_bars(figure) else 0)
    )
    height = height if height is not None else figure.layout.height
    figure.update_layout(
        title=dict(text="<br>".join(lines), font=dict(size=14), x=0, xref="container", y=1, yref="container"),
        title_pad=dict(t=20, l=6),
        title_yanchor="top",
        height=height + top,
        margin=dict(l=10, r=10, t=top, b=10),
        legend=dict(orientation="h", x=0, xanchor="left", y=1.0, yanchor="bottom", yref="paper", itemwidth=40),
        font=dict(size=12),
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        bargap=0.15 if any(t.orientation == "h" for t in figure.data) else 0,
        dragmode=False,
    )
    figure.update_xaxes(automargin=True, gridcolor=LIGHT_GREY)
    figure.update_yaxes(automargin=True)
    return Picture(figure, takeaway, alt)


def _only_bars(figure: go.Figure) -> bool:
    return all(trace.type == "bar" for trace in figure.data)


def _spread(subject: str, middle: np.ndarray, counts: np.ndarray, counted: Histogram | None = None) -> str:
    """`90 % of the tokens have a log-ratio within ±0.05.`, from a histogram, the tails included."""
    away, counts = np.abs(middle), np.asarray(counts, dtype=float)
    outside = 0 if counted is None else sum(counted.below.values()) + sum(counted.above.values())
    order = np.argsort(away)
    total = counts.sum() + outside
    if not total:
        return "There are no response tokens."
    share = np.cumsum(counts[order]) / total
    place = int(np.searchsorted(share, 0.9))
    half = 0.5 * float(np.diff(middle[:2])[0]) if len(middle) > 1 else 0.0
    if place >= len(order):
        return f"More than a tenth of the {subject.split()[0]} lie beyond the axis."
    return f"90 % of the {subject} within ±{away[order][place] + half:.2g}."


def _band(objective: Objective) -> tuple[float, float] | None:
    """[log(1 − ε_low), log(1 + ε_high)] of an objective with a band; None for others."""
    low, high = (getattr(objective, name, None) for name in ("eps_low", "eps_high"))
    return None if low is None or high is None or low >= 1 else (math.log1p(-low), math.log1p(high))


def _line(objective: Objective) -> dict[str, Any]:
    style = style_of(objective.name)
    return dict(color=style.color, dash=style.dash, width=2)


def _faint(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def _name(key: str, objective: Objective) -> str:
    """The label of the catalogue; the whole spec where an objective is there twice."""
    return CATALOG[objective.name].label if key == objective.name else key


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
