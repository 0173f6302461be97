"""The shown file under the chosen objectives, kept for the visit: at once for one sequence, then all of it weighed."""

from __future__ import annotations

from sapo_viz.core.objective import Objective
from sapo_viz.rollouts.analysis.analyse import Analysis, analysing, unweighed
from sapo_viz.ui.correction import correction_in_force
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.words import _
from sapo_viz.ui.work import done, kept, last, worked


def first_look(source: Source, objectives: dict[str, Objective]) -> Analysis:
    """The file before all of its tokens are weighed: enough for one sequence and for what no objective changes."""
    before: Analysis | None = last("first look")
    correction = correction_in_force()
    asked = (source.origin, objectives, correction)
    return kept("first look", asked, lambda: unweighed(source.rollouts, objectives, before, correction))


def weighed_already(source: Source, objectives: dict[str, Objective]) -> Analysis | None:
    """The analysis where it is there."""
    there = done("analysis", (source.origin, objectives, correction_in_force()))
    return last("analysis") if there else None


def analysis_of(source: Source, objectives: dict[str, Objective]) -> Analysis:
    """The analysis, kept for the visit; when a knob changes only its objective is weighed again."""
    before, correction = last("analysis") or first_look(source, objectives), correction_in_force()
    return worked(
        "analysis",
        (source.origin, objectives, correction),
        lambda: analysing(source.rollouts, objectives, before, correction),
        _("Weighing {n:,} tokens…").format(n=len(source.rollouts.tokens)),
    )
