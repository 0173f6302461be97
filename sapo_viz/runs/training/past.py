"""The policy as it was k updates ago: what samples a run's rollouts when `staleness` is k.

A rollout begins with U·n updates done (U to a step), so only the weights after U·n − k of them are ever wanted,
and those of the start while n is small: one copy for each rollout in between, not one for each update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sapo_viz.models.policy import Policy
from sapo_viz.models.trained import load_trained, sharing_copy, trained_state

if TYPE_CHECKING:
    from torch import Tensor

Weights = dict[str, "Tensor"]


class PastPolicy:
    """Keeps the copies, and hands out the policy that is `staleness` updates old."""

    def __init__(self, policy: Policy, staleness: int, updates_per_step: int) -> None:
        self._now = policy
        self._staleness, self._per_step = staleness, updates_per_step
        self._then = Policy(policy.name, sharing_copy(policy.model), policy.tokenizer) if staleness else policy
        self._kept: dict[int, Weights] = {}  # updates done -> weights
        self.keep(0)

    def keep(self, done: int) -> None:
        """To be called after each update, with the number of them."""
        if self._staleness and (done == 0 or (done + self._staleness) % self._per_step == 0):
            self._kept[done] = {name: value.clone() for name, value in trained_state(self._now.model).items()}

    def at(self, done: int) -> Policy:
        """The sampler of a step that begins with `done` updates done; copies that are too old are let go."""
        if not self._staleness:
            return self._now
        wanted = max(0, done - self._staleness)
        load_trained(self._then.model, self._kept[wanted])
        self._kept = {when: weights for when, weights in self._kept.items() if when >= wanted}
        return self._then

    def state(self) -> dict[int, Weights]:
        """For a checkpoint."""
        return dict(self._kept)

    def restore(self, state: Mapping[int, Weights]) -> None:
        self._kept = {int(when): dict(weights) for when, weights in state.items()}
