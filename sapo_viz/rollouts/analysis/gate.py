"""An objective's gate weight as a function of one number, z of the token or log s of the sequence, where it is one.

The values come from `core.curves`, so no formula stands here. Whether one number is enough is found out by asking
the objective, not by its name: an objective that somebody registers is treated rightly.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from sapo_viz.core.curves import curve
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import LOG_RATIO_LIMIT, Objective

Argument = Literal["token", "sequence", "more"]
_AT_ONCE = 1 << 17  # log-ratios × settings in one call: 1 MB a tensor, as in passes.py
_PROBE = np.linspace(-2.0, 2.0, 41)


def argument_of(objective: Objective) -> Argument:
    """What the weight depends on, besides the sign of A.

    token     on the token's z alone
    sequence  on log s_i alone, as long as the tokens of a sequence share one A
    more      on log π_old too (DPPO), on the size of A (DRO), on a clip within the sequence (GMPO), on the sequence's
              length (VESPO) or on what follows (FIPO)
    """
    if objective.ratio_level == "sequence-product" or objective.within_sequence:
        return "more"
    if objective.ratio_level == "sequence" and type(objective).token_log_ratio is not Objective.token_log_ratio:
        return "more"
    for sign in (1, -1):
        common, rare = (weights_at(objective, _PROBE, sign, old) for old in (-2.5, -9.0))
        small = weights_at(objective, _PROBE, 0.3 * sign, -2.5)
        if not all(np.allclose(common, other, rtol=0, atol=1e-9) for other in (rare, small)):
            return "more"
    return "token" if objective.ratio_level == "token" else "sequence"


def weights_at(objective: Objective, log_ratio: np.ndarray, sign: float, old_logprob: float = -1.0) -> np.ndarray:
    """Gate weight w at log-ratios [K], for one sign of A (or one A). [K]"""
    # A little beyond the clamp at ±20 is where the gradient is 0; exp of more than that would overflow.
    held = np.clip(log_ratio, -LOG_RATIO_LIMIT - 1, LOG_RATIO_LIMIT + 1)
    return curve(objective, torch.from_numpy(np.exp(held)), float(sign), old_logprob=old_logprob).weight.numpy()


def weights_table(objectives: Sequence[Objective], log_ratio: np.ndarray, sign: int) -> np.ndarray:
    """The same for one objective of the catalogue with V settings of its knobs, in few calls. [K] -> [V, K]

    The knobs go in as tensors, as when the browser's formulas are traced: fifty small calls would cost more in
    waiting for threads than in arithmetic.
    """
    out = np.empty((len(objectives), len(log_ratio)))
    held = np.clip(log_ratio, -LOG_RATIO_LIMIT - 1, LOG_RATIO_LIMIT + 1)
    step = max(1, _AT_ONCE // max(len(held), 1))
    cls = type(objectives[0])
    for start in range(0, len(objectives), step):
        some = objectives[start : start + step]
        ratio = torch.from_numpy(np.tile(np.exp(held), len(some)))

        def column(name: str, some: Sequence[Objective] = some) -> Any:
            values = np.repeat([getattr(objective, name) for objective in some], len(held))
            return torch.from_numpy(values)[:, None]

        objective = cls.with_tensors({name: column(name) for name in cls.knobs()})
        weight = curve(objective, ratio, float(sign), old_logprob=-1.0).weight
        out[start : start + step] = weight.numpy().reshape(len(some), -1)
    return out


@lru_cache(maxsize=128)
def live_knobs(cls: type[Objective], sign: int) -> tuple[str, ...]:
    """The knobs that change the weight for this sign of A, in the order in which they are declared."""
    found = []
    for name, spec in cls.knobs().items():
        seen = [
            weights_at(cls.from_knobs({name: value}), _PROBE, sign)
            for value in (spec.lo, spec.ui_lo, spec.default, spec.ui_hi, spec.hi)
        ]
        if any(not np.allclose(seen[0], other, atol=1e-12) for other in seen[1:]):
            found.append(name)
    return tuple(found)
