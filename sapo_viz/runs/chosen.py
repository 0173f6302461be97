"""What settings come to in the core's terms; at `auto`, what the objective's paper does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from sapo_viz.core.correction import Correction, correction_of
from sapo_viz.core.objective import CATALOG, Aggregation

if TYPE_CHECKING:
    from sapo_viz.runs.config import RunConfig


def advantage_norm(config: RunConfig) -> Literal["std", "mean", "none"]:
    """How rewards become advantages."""
    if config.advantage_norm == "auto":
        return "std" if CATALOG[config.objective].normalize_advantage_std else "mean"
    return cast(Literal["std", "mean", "none"], config.advantage_norm)


def aggregation(config: RunConfig) -> Aggregation:
    """How the tokens of a mini-batch become one loss."""
    return (
        CATALOG[config.objective].aggregation if config.aggregation == "auto" else cast(Aggregation, config.aggregation)
    )


def correction(config: RunConfig) -> Correction | None:
    """What to do about a sampler that is not the trainer; of a sequence by the sum of its log-ratios, as TRL does."""
    return correction_of(config.correction, config.correction_low, config.correction_high)
