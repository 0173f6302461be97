"""One HTML file about one rollout file, to attach to a ticket or a pull request: live figures, no network, inert text.

Its size is bounded whatever the file is: plotly.js once (4.8 MB), the figures' own counts, and the tokens of the few
sequences on which the objectives disagree most.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sapo_viz.browser.code import code
from sapo_viz.errors import RolloutError
from sapo_viz.figures.batch import (
    Picture,
    group_figure,
    kept_curve_figure,
    kept_figure,
    ratio_figure,
    sequence_ratio_figure,
    variance_figure,
)
from sapo_viz.figures.course import course_figure
from sapo_viz.figures.page import html_page
from sapo_viz.figures.report.sections import Strip, report_body
from sapo_viz.figures.strip.alone import strip_block
from sapo_viz.figures.vendor import CONFIG, PLOTLY_JS
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.rollouts.analysis.groups import completion_table, group_table
from sapo_viz.rollouts.findings.summary import Summary, summarise

STRIPS = 6  # sequences whose tokens are shown
MOST_COMPLETIONS = 200  # of a group that is drawn: each is a bar with its own words


def report_html(source: Analysis | Summary, *, made: datetime | None = None) -> str:
    """The whole report as one HTML document.

    Args:
        source: an analysis, or its `summarise(…, curves=True)` where there is one already.
        made: the date in its head; now, if not given.
    """
    summary = summarise(source, curves=True) if isinstance(source, Analysis) else source
    pictures = _pictures(summary)
    strips = list(_strips(summary))
    title = f"Policy objectives on {summary.analysis.rollouts.name[:120]}"
    data: dict[str, Any] = {f"figure-{name}": _plain(picture) for name, picture in pictures.items()}
    data["plotly-config"] = CONFIG
    data |= {f"strip-{place}": strip.block for place, strip in enumerate(strips)}
    linked = code("report/report.js")
    return html_page(
        title,
        report_body(summary, pictures, strips, made or datetime.now(UTC)),
        style=linked.css,
        scripts=[
            ("text/javascript", PLOTLY_JS.read_text(encoding="utf-8")),
            ("module", linked.js),
        ],
        data=data,
    )


def write_report(path: str | Path, document: str) -> None:
    """Put the report under its name when it is whole; what was there before stays until then.

    Raises:
        RolloutError: it cannot be written there.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name[:80]}.{os.getpid()}.part")
    try:
        partial.write_text(document, encoding="utf-8", newline="\n")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RolloutError(
            f"{path}: the report cannot be written ({error.strerror}); name a file in a folder that you may write to."
        ) from None


def _pictures(summary: Summary) -> dict[str, Picture]:
    """Id -> figure, in the order of the report."""
    analysis = summary.analysis
    pictures = {
        "kept": kept_figure(analysis),
        "ratios": ratio_figure(analysis),
        "sequence-ratios": sequence_ratio_figure(analysis),
        "variance": variance_figure(analysis),
    }
    if summary.course is not None:
        pictures["course"] = course_figure(summary.course)
    for place, (found, curve) in enumerate(zip(summary.matches or (), summary.curves, strict=False)):
        if curve is not None:
            pictures[f"match-{place}"] = kept_curve_figure(curve, found)
    table = group_table(analysis.rollouts)
    shown = table[(table["spread"] == "mixed") & (table["completions"] <= MOST_COMPLETIONS)]
    if len(shown):
        completions = completion_table(analysis.rollouts, int(shown["first"].iloc[0]), analysis)
        completions["id"] = completions["id"].str.slice(0, 80).str.replace("&", "&amp;").str.replace("<", "&lt;")
        pictures["group"] = group_figure(completions, str(shown["group"].iloc[0])[:80])
    return pictures


def _plain(picture: Picture) -> dict[str, Any]:
    """The figure's own JSON, without the template: the page's theme takes its place."""
    figure = json.loads(picture.figure.to_json())
    figure["layout"].pop("template", None)
    return {"data": figure["data"], "layout": figure["layout"]}


def _strips(summary: Summary) -> Iterable[Strip]:
    """The sequences worth opening: most apart as a whole, then those of the tokens most apart; else the liveliest."""
    whole = summary.sequences_apart["sequence"].tolist()
    single = [] if summary.tokens_apart is None else summary.tokens_apart["sequence"].tolist()
    order = [*_different(summary.analysis, whole, STRIPS - 2), *single, *whole] or [_liveliest(summary.analysis)]
    for index in _different(summary.analysis, order, STRIPS):
        block = strip_block(summary.analysis, index)
        if block is not None:
            yield Strip(index, block)


def _different(analysis: Analysis, indices: Iterable[int], most: int) -> list[int]:
    """The first `most` of these sequences that are no copies of one another: a small policy writes the same often."""
    seen: dict[tuple[float, ...], int] = {}
    for i in indices:
        key = (float(analysis.rollouts.lengths[i]), float(analysis.log_s[i]), float(analysis.variance[i]))
        seen.setdefault(key, int(i))
    return list(seen.values())[:most]


def _liveliest(analysis: Analysis) -> int:
    return int(np.argmax(np.nan_to_num(analysis.variance, posinf=0.0)))
