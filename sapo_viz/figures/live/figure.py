"""The live figure: one panel per metric, step on the x axis, all runs over one another.

Python says which panels there are and what each run looks like; the browser (browser/live/) fetches the events
and keeps the panels alive, so that a zoom survives and nothing is drawn twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import plotly.graph_objects as go

from sapo_viz.core.objective import CATALOG
from sapo_viz.experiments.collapse import RULE
from sapo_viz.figures.looks import FURTHER
from sapo_viz.figures.palette import ABOVE_ONE, UNKNOWN, WEIGHT_SCALE, WEIGHT_SCALE_DARK, style_of
from sapo_viz.figures.strip.objectives import follows_the_hand
from sapo_viz.figures.vendor import CONFIG, PLOTLY_VERSION
from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.groups import NOT_COMPARED, flat_settings, group_key
from sapo_viz.runs.metrics import RUN_METRICS
from sapo_viz.runs.recorded import Recorded


@dataclass(frozen=True)
class Series:
    """One metric in a panel. Colour and dash belong to the objective, so metrics differ by weight of line."""

    metric: str
    width: float = 2.0
    dots: bool = False
    looks: tuple[str, str] | None = None  # taken now and then: dots joined by a line, with these two as its interval
    instead: str = ""  # the metric of runs that log none of this one; the panel names them, and it


@dataclass(frozen=True)
class Panel:
    """One small figure. `span` is its number of columns of three; `range` where its y axis stands at first."""

    name: str
    series: tuple[Series, ...]
    span: int = 1
    log: bool = False
    range: tuple[float, float] | None = None
    legend: str = ""  # which line is which, where there are several
    more: bool = False  # drawn only when all metrics are asked for
    against: str = ""  # the metric on the x axis, in place of the steps

    @property
    def label(self) -> str:
        return RUN_METRICS[self.series[0].metric].label


PANELS: tuple[Panel, ...] = (
    Panel(
        "reward",
        (Series("reward"), Series("held_out", 1.2, looks=("held_out_low", "held_out_high"))),
        span=2,
        range=(0.0, 1.02),
        legend="line: training; dots: held-out, likeliest answers",
    ),
    Panel("kl_start", (Series("kl_start"),), range=(0.0, 0.1)),
    Panel("kl_old", (Series("kl_old", instead="kl_old_k1"),), range=(0.0, 0.005)),
    Panel("entropy", (Series("entropy"),), range=(0.0, 0.25)),
    Panel("gate_mean", (Series("gate_mean"),), range=(0.0, 1.05)),
    Panel("clip_fraction", (Series("clip_fraction"),), range=(0.0, 0.3)),
    Panel(
        "ratio",
        (Series("ratio_p50", 2.0), Series("ratio_p01", 1.0), Series("ratio_p99", 1.0), Series("ratio_max", dots=True)),
        log=True,
        range=(0.45, 6.0),
        legend="1, 50, 99 %; dots: max",
    ),
    Panel("grad_norm", (Series("grad_norm"),), range=(0.0, 2.5)),
    Panel(
        "cost",
        (Series("reward"),),
        span=3,
        range=(0.0, 1.02),
        legend="one dot per step; at the snapshots, what the policy says then",
        against="kl_start",
    ),
)
_LABELS = {"ratio": "Ratio quantiles", "cost": "Reward against KL to the start"}


def panels() -> tuple[Panel, ...]:
    """Those above, and one for every other metric that runs log, for whoever asks for more."""
    named = {name for panel in PANELS for series in panel.series for name in (series.metric, *(series.looks or ()))}
    return (*PANELS, *(Panel(name, (Series(name),), more=True) for name in RUN_METRICS if name not in named))


def panel_label(panel: Panel) -> str:
    return _LABELS.get(panel.name, panel.label)


def _panel_data(panel: Panel, words: Any) -> dict[str, Any]:
    metrics = [RUN_METRICS[name] for series in panel.series for name in (series.metric, series.instead) if name]
    if panel.against:
        metrics.append(RUN_METRICS[panel.against])
    about = [f"{words(m.label)}: {words(m.formula)}. {words('Healthy')}: {words(m.healthy)}." for m in metrics]
    layout = go.Layout(
        template="none",
        margin=dict(l=42, r=8, t=6, b=24),
        font=dict(size=12),
        hovermode="x",
        showlegend=False,
        xaxis=dict(showspikes=True, spikemode="across", spikethickness=1, spikedash="dot", spikesnap="hovered data"),
        yaxis=dict(type="log" if panel.log else "linear", nticks=5, rangemode="tozero", zeroline=False),
    )
    if panel.log:
        layout.yaxis.tickvals = [1e-3, 0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100, 1e3, 1e4, 1e6, 1e8]
    return dict(
        name=panel.name,
        label=words(panel_label(panel)),
        about=about,
        legend=words(panel.legend) if panel.legend else "",
        span=panel.span,
        log=panel.log,
        more=panel.more,
        against=panel.against,
        range=panel.range,
        series=[
            dict(metric=s.metric, label=words(RUN_METRICS[s.metric].label), width=s.width, dots=s.dots, looks=s.looks)
            | (dict(instead=dict(metric=s.instead, label=words(RUN_METRICS[s.instead].label))) if s.instead else {})
            for s in panel.series
        ],
        layout=layout.to_plotly_json(),
    )


def run_line(config: RunConfig) -> dict[str, Any]:
    """How a run is drawn. Runs with the same `group` differ by their seed alone: one mean line for them.

    `gate` is the ratio level at which its gate can be drawn over the ratios; None where a ratio does not decide it.
    """
    style, cls = style_of(config.objective), CATALOG[config.objective]
    usual = _settings()
    return dict(
        objective=config.objective,
        objective_label=cls.label,
        color=style.color,
        dash=style.dash,
        group=group_key(config),
        seed=config.seed,
        total=config.steps,
        differs=differing(config),
        settings={name: v for name, v in flat_settings(config).items() if v != usual[name]["usual"]},
        knobs=dict(config.knobs),
        gate=cls.ratio_level if follows_the_hand(cls, True) else None,
        reads_logprobs=cls.reads_logprobs,
    )


def recorded_line(run: Recorded, run_id: str) -> dict[str, Any]:
    """The same for a run that another program trains: of its settings, those that have a counterpart here. A log does
    not tell its settings, so no two of them are known to differ by their seed alone."""
    style, cls = (style_of(run.objective), CATALOG[run.objective]) if run.objective else (None, None)
    told = [f"{name} {value:g}" for name, value in run.knobs.items()]
    return dict(
        objective=run.objective,
        objective_label=run.label,
        color=style.color if style else UNKNOWN,
        dash=style.dash if style else "solid",
        group=f"log-{run_id}" if run.log else f"recorded-{run.group}",
        seed=run.seed,
        total=run.steps,
        differs=", ".join(filter(None, [run.model, *told])),
        settings={"objective": run.objective or run.label, "source": run.source, **run.settings_here},
        knobs=dict(run.knobs),
        gate=cls.ratio_level if cls and run.knobs_fit and follows_the_hand(cls, True) else None,
        reads_logprobs=bool(cls and cls.reads_logprobs),
        recorded=run.source,
    )


def unknown_line(run_id: str, step: int) -> dict[str, Any]:
    """The same for a run whose config cannot be read: a grey line of its own."""
    return dict(
        objective="", objective_label="–", color=UNKNOWN, dash="dot", group=f"unknown-{run_id}", seed=0,
        total=max(step, 1), differs="", settings={"objective": "–"}, knobs={}, gate=None, reads_logprobs=False,
    )  # fmt: skip


def _settings() -> dict[str, dict[str, Any]]:
    """Every setting and knob that runs are compared by: its label and usual value."""
    names = {name: cls.label for name, cls in CATALOG.items()}
    rows: dict[str, dict[str, Any]] = {"objective": dict(label="Objective", usual="sapo", compared=True, names=names)}
    rows["source"] = dict(label="Trained by", usual="SAPO Viz", compared=True)
    for owner, cls in CATALOG.items():
        for knob in cls.knobs().values():
            label = f"{knob.symbol} ({cls.label})"
            rows[f"{owner}.{knob.name}"] = dict(label=label, usual=knob.default, compared=True)
    for name, spec in SETTINGS.items():
        rows[name] = dict(label=spec.label, usual=spec.default, compared=name not in NOT_COMPARED)
    return rows


def differing(config: RunConfig) -> str:
    """Knobs and settings that are not at their default; seed and label stand elsewhere."""
    knobs = CATALOG[config.objective].knobs()
    parts = [f"{knobs[name].symbol} {value:g}" for name, value in config.knobs.items() if value != knobs[name].default]
    for name, spec in SETTINGS.items():
        value = getattr(config, name)
        if value != spec.default and name not in ("seed", "label", "steps"):
            parts.append(f"{spec.label} {value:g}" if isinstance(value, (int, float)) else f"{spec.label} {value}")
    return ", ".join(parts)


def live_data(
    runs: Sequence[Mapping[str, Any]], shown: Sequence[str], labels: Mapping[str, str], words: Any
) -> dict[str, Any]:
    """Everything that browser/live/live.js draws from, as JSON.

    Args:
        runs: one mapping per run, newest first: id, title, status, … and what `run_line` says.
        shown: the ids that are drawn.
        labels: the words of the controls.
        words: the translation of a text.
    """
    return dict(
        plotly=PLOTLY_VERSION,
        config=CONFIG,
        panels=[_panel_data(panel, words) for panel in panels()],
        runs=list(runs),
        shown=list(shown),
        labels=dict(labels),
        settings={
            name: row | dict(label=words(row["label"])) if name in ("objective", "source", *SETTINGS) else row
            for name, row in _settings().items()
        },
        collapse=words(RULE.sentence),
        further=[asdict(look) for look in FURTHER],
        told={m.name: words(m.label) for m in RUN_METRICS.values()},
        weights=dict(light=WEIGHT_SCALE, dark=WEIGHT_SCALE_DARK, above=ABOVE_ONE),
        metrics=list(RUN_METRICS),
    )
