"""Everything that can be wrong with what a person gives us, as one small tree.

SapoVizError (a ValueError)
├── KnobError       a knob outside its range, or one that the objective does not have
├── TensorError     a tensor whose shape or values cannot be a batch of log-probabilities
├── RolloutError    a rollout file that cannot be read: names file, row, field, value and remedy
├── ModelError      a policy that cannot be loaded or does not fit the text
├── RunError        a run that cannot be started, read or resumed
└── SettingError    a setting of the server's owner, in the environment, that means nothing

Each message is one sentence that can be shown to a person as it stands.
"""

from __future__ import annotations

import re

# What libraries advise when they have refused to run code from a file: to run it. That is not passed on.
_UNSAFE_ADVICE = re.compile(
    r"weights[_ ]only|trust_remote_code|allow_pickle|add_safe_globals|allowlist|trust the (source|checkpoint)",
    re.IGNORECASE,
)


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


class SettingError(SapoVizError):
    """A variable of the environment with which whoever runs the server says something that means nothing."""


def reason_of(error: BaseException, most: int = 300) -> str:
    """What a library's error says, as a part of a sentence: its first line, without advice to open a file unsafely."""
    text = str(error).strip() or type(error).__name__
    if _UNSAFE_ADVICE.search(text):
        return "it holds more than data, which could run as code"
    return text.splitlines()[0].rstrip(" .:")[:most]
