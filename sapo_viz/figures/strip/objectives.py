"""An objective on the token strip: what it is called and looks like, and its numbers where Python weighs the tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.core.surrogate import evaluate
from sapo_viz.core.token_view import token_view
from sapo_viz.figures.palette import style_of
from sapo_viz.figures.strip.formula import formula_pieces
from sapo_viz.rollouts.schema import Sequence

Arrays = dict[str, np.ndarray]


def described(key: str, objective: Objective, live: bool) -> dict[str, Any]:
    """Its line, its knobs and its formula; `live` says that the browser weighs the tokens itself."""
    cls = CATALOG[objective.name]
    style = style_of(objective.name)
    fields = ("name", "symbol", "default", "lo", "hi", "help", "scale", "step", "ui_lo", "ui_hi")
    return {
        "name": key,
        "catalogue": objective.name,
        "label": cls.label,
        "level": cls.ratio_level,
        "own_mean": cls.token_log_ratio is not Objective.token_log_ratio,
        "color": style.color,
        "dash": style.dash,
        "knobs": [{field: getattr(knob, field) for field in fields} for knob in cls.knobs().values()],
        "live": live,
        "formula": cls.formula,
        "pieces": {"up": formula_pieces(cls, True), "down": formula_pieces(cls, False)},
    }


def weighed(objective: Objective, sequence: Sequence) -> Arrays:
    """ratio, weight and J of each token of a sequence, by the functions that training calls. All [T]."""
    mask = torch.from_numpy(sequence.mask.copy())[None]

    def row(values: np.ndarray) -> Any:
        return torch.from_numpy(np.where(sequence.mask, values, 0.0))[None]

    batch = row(sequence.logprobs), row(sequence.old_logprobs), row(sequence.advantages), mask
    alone = objective.reads_other_sequences()
    view = token_view(objective, *batch, alone=alone)
    _, surrogate = evaluate(objective, *batch, alone=alone)
    found = {"ratio": view.ratio, "weight": view.gate_weight, "surrogate": surrogate}
    return {name: np.where(sequence.mask, values[0].numpy(), 0.0) + 0.0 for name, values in found.items()}


def follows_the_hand(cls: type[Objective], constant: bool) -> bool:
    """Whether the formula of one token says what happens to each token of a sequence.

    At token level it does. With the mean over the sequence each token receives T · s/T · (…)/s, the
    formula at s, as long as all tokens have the same advantage; a product has no such cancelling T.
    """
    if cls.token_log_ratio is not Objective.token_log_ratio or cls.within_sequence:
        return False
    if cls.ratio_level == "token":
        return True
    return cls.ratio_level == "sequence" and constant and not getattr(cls, "reads_logprobs", False)
