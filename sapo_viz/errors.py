"""Everything that can be wrong with what a person gives us, as one small tree.

SapoVizError (a ValueError)
├── KnobError       a knob outside its range, or one that the objective does not have
├── TensorError     a tensor whose shape or values cannot be a batch of log-probabilities
├── RolloutError    a rollout file that cannot be read: names file, row, field, value and remedy
├── ModelError      a policy that cannot be loaded or does not fit the text
└── RunError        a run that cannot be started, read or resumed

Each message is one sentence that can be shown to a person as it stands.
"""

from __future__ import annotations


class SapoVizError(ValueError):
    """What was given cannot be used; the message says which field, which value and what would be right."""


class KnobError(SapoVizError):
    """A hyperparameter that is unknown, not a number, or outside its range."""


class TensorError(SapoVizError):
    """A tensor of the wrong shape, or one that holds NaN or Inf where the mask is on."""


class RolloutError(SapoVizError):
    """A rollout file that cannot be read."""


class ModelError(SapoVizError):
    """A policy that cannot be loaded, or text that it cannot score."""


class RunError(SapoVizError):
    """A training run that cannot be started, read or resumed."""
