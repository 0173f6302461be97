"""SAPO Viz: what does this policy objective do to my tokens, and will it keep my run stable?

from sapo_viz import CATALOG, policy_loss
out = policy_loss(CATALOG["sapo"](tau_neg=1.05), logprobs, old_logprobs, advantages, mask)
out.loss, out.tokens.gate_weight, out.metrics

In a notebook (docs/inspect.md), what the Tokens page does to a rollout file:

from sapo_viz import analyse, kept_figure, read_rollouts, token_strip
analysis = analyse(read_rollouts("step12.jsonl"), {"sapo": CATALOG["sapo"](), "grpo": CATALOG["grpo"]()})
analysis.sequences, kept_figure(analysis), token_strip(analysis, 0)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sapo_viz.core import objectives as _objectives  # fills the catalogue
from sapo_viz.core.correction import Correction
from sapo_viz.core.losses import PolicyLoss, policy_loss
from sapo_viz.core.objective import CATALOG, Objective, make_objective, register
from sapo_viz.core.token_view import TokenView
from sapo_viz.errors import SapoVizError

if TYPE_CHECKING:
    from sapo_viz.figures.batch import (
        group_figure,
        kept_curve_figure,
        kept_figure,
        ratio_figure,
        sequence_ratio_figure,
        variance_figure,
    )
    from sapo_viz.figures.report.document import report_html
    from sapo_viz.figures.strip.alone import token_strip
    from sapo_viz.rollouts.analysis.analyse import analyse
    from sapo_viz.rollouts.analysis.disagree import sequences_apart, tokens_apart
    from sapo_viz.rollouts.analysis.fit import kept_curve, match
    from sapo_viz.rollouts.analysis.groups import completion_table, group_table, normalisation
    from sapo_viz.rollouts.findings.judge import findings
    from sapo_viz.rollouts.readers.read import read_rollouts

# The core is a light import; what lies above it is loaded by its name alone, when that is first asked for, so that
# `policy_loss` in a training loop brings neither NumPy's readers nor plotly.
_ABOVE = {
    "figures.batch": (
        *("group_figure", "kept_curve_figure", "kept_figure"),
        *("ratio_figure", "sequence_ratio_figure", "variance_figure"),
    ),
    "figures.report.document": ("report_html",),
    "figures.strip.alone": ("token_strip",),
    "rollouts.analysis.analyse": ("analyse",),
    "rollouts.analysis.disagree": ("sequences_apart", "tokens_apart"),
    "rollouts.findings.judge": ("findings",),
    "rollouts.analysis.fit": ("kept_curve", "match"),
    "rollouts.analysis.groups": ("completion_table", "group_table", "normalisation"),
    "rollouts.readers.read": ("read_rollouts",),
}
_HOME = {name: f"sapo_viz.{module}" for module, names in _ABOVE.items() for name in names}

__all__ = [
    "CATALOG",
    "Correction",
    "Objective",
    "PolicyLoss",
    "SapoVizError",
    "TokenView",
    "analyse",
    "completion_table",
    "findings",
    "group_figure",
    "group_table",
    "kept_curve",
    "kept_curve_figure",
    "kept_figure",
    "make_objective",
    "match",
    "normalisation",
    "policy_loss",
    "ratio_figure",
    "read_rollouts",
    "register",
    "report_html",
    "sequence_ratio_figure",
    "sequences_apart",
    "token_strip",
    "tokens_apart",
    "variance_figure",
]
__version__ = "0.1.0"
del _objectives


def __getattr__(name: str) -> Any:
    """A name from above the core (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'sapo_viz' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
