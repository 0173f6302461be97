"""Configs whose steps are quick: 4 prompts × 4 completions take about 0.1 s a step, and 4 held-out prompts as little.

The 64 that are held out as a rule are sampled before the first step and after the last: ten times as long as two steps.
"""

from __future__ import annotations

from typing import Any

from sapo_viz.runs.config import RunConfig


def small(**settings: Any) -> RunConfig:
    """On the CPU, whatever the machine."""
    return RunConfig(**{"prompts": 4, "completions": 4, "steps": 4, "held_out": 4, "device": "cpu", **settings})
