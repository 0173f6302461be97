"""The engine that a run asks for, behind one function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.engines import admit_engine, engine_of
from sapo_viz.runs.events import RunEvent


def train(config: RunConfig, **more: Any) -> Iterator[RunEvent]:
    """As `engine.train`, by the engine of the settings.

    Raises:
        RunError: it is not installed, or cannot serve them; and what the engine raises.
    """
    admit_engine(config)
    if engine_of(config) == "trl":
        from sapo_viz.runs.training.by_trl import train_by_trl

        return train_by_trl(config, **more)
    from sapo_viz.runs.training.engine import train as train_in_a_loop

    return train_in_a_loop(config, **more)
