"""The shown file under the chosen objectives, kept for the visit: at once for one sequence, then all of it weighed."""

from __future__ import annotations

from sapo_viz.core.objective import Objective
from sapo_viz.rollouts.analysis.analyse import Analysis, analysing, unweighed
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.words import _
from sapo_viz.ui.work import kept, last, worked


def first_look(source: Source, objectives: dict[str, Objective]) -> Analysis:
    """The file before all of its tokens are weighed: enough for one sequence and for what no objective changes."""
    before: Analysis | None = last("first look")
    return kept("first look", (source.origin, objectives), lambda: unweighed(source.rollouts, objectives, before))


def analysis_of(source: Source, objectives: dict[str, Objective]) -> Analysis:
    """The analysis, kept for the visit; when a knob changes only its objective is weighed again."""
    before = last("analysis") or first_look(source, objectives)
    return worked(
        "analysis",
        (source.origin, objectives),
        lambda: analysing(source.rollouts, objectives, before),
        _("Weighing {n:,} tokens…").format(n=len(source.rollouts.tokens)),
    )
