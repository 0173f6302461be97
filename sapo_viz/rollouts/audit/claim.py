"""What a framework says that its loss is: an objective of the catalogue, how it is averaged, what is added to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sapo_viz.core.correction import Correction
from sapo_viz.core.objective import Aggregation, Objective, RatioLevel


@dataclass(frozen=True)
class Claim:
    """A loss in our words. `name` is how a sentence calls it: TRL's `sapo`."""

    name: str
    objective: Objective
    level: RatioLevel
    aggregation: Aggregation
    correction: Correction | None = None
    kl: float = 0.0  # times k3 of π_θ against the reference, on each token
    kl_by_ratio: bool = False  # that term weighed by the ratio, through which it has gradient too
    kl_aggregation: Aggregation | None = None  # None: as the surrogate is averaged

    @classmethod
    def of(cls, objective: Objective, name: str = "") -> Claim:
        """The objective as its paper averages it."""
        return cls(name or objective.label, objective, objective.ratio_level, objective.aggregation)

    @property
    def knobs(self) -> str:
        """τ₊ = 1, τ₋ = 1.05; empty without knobs."""
        specs = self.objective.knobs()
        return ", ".join(f"{spec.symbol} = {getattr(self.objective, name):g}" for name, spec in specs.items())

    def with_knobs(self, **knobs: float) -> Claim:
        return replace(self, objective=replace(self.objective, **knobs))
