"""The ratios that Home's curves stand over: quantiles of the first sample's, kept apart so that Home need not read a
rollout file, which would bring numpy and a third of a second."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from sapo_viz.paths import ASSETS
from sapo_viz.ui.words import _


@lru_cache(maxsize=1)
def _kept() -> dict[str, Any]:
    return dict(json.loads((ASSETS / "home.json").read_text(encoding="utf-8")))


def real_ratios() -> dict[str, Any]:
    """What `curves` takes as `distribution`."""
    kept = _kept()
    label = _("In grey: {tokens} tokens of SmolLM2, a small language model, at step {step} of its training.")
    return dict(label=label.format(tokens=kept["tokens"], step=kept["step"]), z=kept["log_ratios"])
