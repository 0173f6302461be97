"""The token strip: a sequence and some objectives in, what the browser draws from out, as JSON.

The browser colours from the generated formulas (strip.js), so that tokens follow the hand while a knob is
dragged. Where those cannot say it (a ratio that no single token has, advantages that differ within a
sequence) Python sends the numbers, and the colours follow when the knob is let go.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.figures.palette import ABOVE_ONE, WEIGHT_SCALE, WEIGHT_SCALE_DARK, style_of
from sapo_viz.rollouts.analysis import Analysis

PAGE = 50_000  # tokens sent at a time; a longer sequence is shown in parts


def parts_of(length: int) -> int:
    """In how many parts a sequence of `length` tokens is shown."""
    return max(1, -(-length // PAGE))


def strip_data(
    analysis: Analysis, index: int, *, part: int = 0, view: str = "compare", labels: dict[str, str]
) -> dict[str, Any]:
    """Everything that strip.js draws from.

    Args:
        index: which sequence of the file.
        part: which PAGE tokens of it.
        view: "compare", or the objective whose row is shown alone.
        labels: the words on it, translated.
    """
    rollouts = analysis.rollouts
    start = int(rollouts.offsets[index]) + part * PAGE
    stop = min(start + PAGE, int(rollouts.offsets[index + 1]))
    cut = slice(start, stop)
    mask, advantages = rollouts.mask[cut], rollouts.advantages[cut]
    whole = slice(int(rollouts.offsets[index]), int(rollouts.offsets[index + 1]))
    constant = np.unique(rollouts.advantages[whole][rollouts.mask[whole]]).size <= 1
    own = advantages[mask]
    tokens = list(rollouts.tokens[cut])
    z = rollouts.log_ratio[cut]
    data = {
        "tokens": tokens,
        "z": z.tolist(),
        "logprobs": np.where(mask, rollouts.logprobs[cut], 0.0).tolist(),
        "advantages": [float(own[0]) if len(own) else 0.0] if constant else advantages.tolist(),
        "masked": np.flatnonzero(~mask).tolist(),
        "token_ids": None,
        "log_s": float(analysis.log_s[index]),
        "first": part * PAGE,
        "total": int(rollouts.lengths[index]),
    }
    ids = rollouts[index].token_ids
    if ids is not None:
        data["token_ids"] = ids[part * PAGE : part * PAGE + PAGE].tolist()
    data["objectives"] = [
        _objective(analysis, key, objective, cut, constant) for key, objective in analysis.objectives.items()
    ]
    data["values"] = {
        key: {knob: getattr(objective, knob) for knob in objective.knobs()}
        for key, objective in analysis.objectives.items()
    }
    check = zlib.crc32(z.tobytes(), zlib.crc32("\x00".join(tokens).encode(), zlib.crc32(advantages.tobytes())))
    data["key"] = f"{rollouts.name}:{index}:{part}:{len(tokens)}:{check:08x}"
    data["scale"] = {"light": list(WEIGHT_SCALE), "dark": list(WEIGHT_SCALE_DARK), "above": ABOVE_ONE}
    return data | {"view": view, "labels": labels}


def _objective(analysis: Analysis, key: str, objective: Objective, cut: slice, constant: bool) -> dict[str, Any]:
    cls = CATALOG[objective.name]
    style = style_of(objective.name)
    fields = ("name", "symbol", "default", "lo", "hi", "help", "scale", "step", "ui_lo", "ui_hi")
    live = follows_the_hand(cls, constant)
    numbers = analysis.tokens[key]
    return {
        "name": key,
        "label": cls.label,
        "level": cls.ratio_level,
        "color": style.color,
        "dash": style.dash,
        "knobs": [{field: getattr(knob, field) for field in fields} for knob in cls.knobs().values()],
        "live": live,
        "values": None if live else {"ratio": numbers.ratio[cut].tolist(), "weight": numbers.weight[cut].tolist()},
    }


def follows_the_hand(cls: type[Objective], constant: bool) -> bool:
    """Whether the formula of one token says what happens to each token of a sequence.

    At token level it does. With the mean over the sequence each token receives T · s/T · (…)/s, the
    formula at s, as long as all tokens have the same advantage; a product has no such cancelling T.
    """
    if cls.token_log_ratio is not Objective.token_log_ratio:
        return False
    if cls.ratio_level == "token":
        return True
    return cls.ratio_level == "sequence" and constant and not getattr(cls, "reads_logprobs", False)
