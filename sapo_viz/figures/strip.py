"""The token strip: a sequence and some objectives in, what the browser draws from out.

The browser colours from the generated formulas (strip_numbers.js), so that tokens follow the hand while a
knob is dragged. Where those cannot say it (a ratio that no single token has, advantages that differ within a
sequence) Python sends the numbers, and the colours follow when the knob is let go.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from sapo_viz.core.lazy import torch
from sapo_viz.core.losses import evaluate, token_view
from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.figures.assets import read
from sapo_viz.figures.packed import compact_ids
from sapo_viz.figures.palette import ABOVE_ONE, WEIGHT_SCALE, WEIGHT_SCALE_DARK, style_of
from sapo_viz.figures.strip_formula import formula_pieces
from sapo_viz.rollouts.analysis import Analysis
from sapo_viz.rollouts.schema import Sequence

PAGE = 50_000  # tokens sent at a time; a longer sequence is shown in parts

# Ratios and log-prob changes on one scale, even in log r: blue below, orange above, the page's ground at no change.
CHANGE_SCALE = ("#0B4F8A", "#5B9BCB", "#F4F6F8", "#E59A4B", "#9A3D00")
CHANGE_SCALE_DARK = ("#8CC4EE", "#2F74AB", "#22282F", "#B0621B", "#F2B272")
ABOVE_SCALE = ("#F6D9A8", "#E8A33D", "#B4551A")  # coefficients above 1, to 4 and more

_SCRIPTS = (
    *("plot.js", "packed.js", "sliders.js", "token_text.js"),
    *(f"strip_{part}.js" for part in ("numbers", "scales", "lines", "search", "formula", "token", "knobs")),
    "strip.js",
)

Header = dict[str, Any]
Arrays = dict[str, np.ndarray]


def strip_code(formulas: str) -> tuple[str, str]:
    """The strip's JavaScript (a module; `formulas` go before it) and its CSS."""
    return "\n".join([formulas, *map(read, _SCRIPTS)]), read("sliders.css") + read("strip.css")


def parts_of(length: int) -> int:
    """In how many parts a sequence of `length` tokens is shown."""
    return max(1, -(-length // PAGE))


def strip_data(
    analysis: Analysis, index: int, *, part: int = 0, page: int = PAGE, labels: dict[str, str]
) -> tuple[Header, Arrays]:
    """Everything that the strip draws from, to be packed by `pack_arrays`.

    Args:
        index: which sequence of the file.
        part: which `page` tokens of it.
        labels: the words on it, translated.

    Returns:
        what JSON can say, and arrays of the part's T tokens: `token` [T] (places in the header's `texts`),
        `z`, `logprobs`, `advantages` ([T], or [1] where all are equal), `masked` (places), and for objectives
        that Python weighs `<name>:ratio`, `<name>:weight`, `<name>:surrogate` [T].
    """
    sequence = analysis.rollouts[index]
    cut = slice(part * page, part * page + page)
    mask, advantages = sequence.mask, sequence.advantages
    constant = np.unique(advantages[mask]).size <= 1
    z = np.where(mask, sequence.logprobs, 0.0) - np.where(mask, sequence.old_logprobs, 0.0)
    texts, ids, places = _vocabulary(list(sequence.tokens[cut]), sequence.token_ids, cut)
    own = advantages[mask]
    arrays: Arrays = {
        "token": compact_ids(places),
        "z": z[cut].astype(np.float32),
        "logprobs": np.where(mask, sequence.logprobs, 0.0)[cut].astype(np.float32),
        "advantages": (own[:1] if len(own) else np.zeros(1)) if constant else advantages[cut],
        "masked": compact_ids(np.flatnonzero(~mask[cut])),
    }
    objectives = []
    for key, objective in analysis.objectives.items():
        live = follows_the_hand(CATALOG[objective.name], constant)
        objectives.append(_objective(key, objective, live))
        if not live:
            arrays |= {f"{key}:{name}": values[cut] for name, values in _weighed(objective, sequence).items()}
    check = zlib.crc32(arrays["logprobs"].tobytes(), zlib.crc32(z.tobytes(), zlib.crc32(advantages.tobytes())))
    check = zlib.crc32("\x00".join(texts).encode(errors="surrogatepass"), zlib.crc32(places.tobytes(), check))
    header = {
        "key": f"{analysis.rollouts.name}:{index}:{part}:{len(places)}:{check:08x}",
        "texts": texts,
        "ids": ids,
        "log_s": float(z[mask].mean()) if mask.any() else 0.0,
        "count": int(mask.sum()),
        "first": part * page,
        "total": len(sequence),
        "limit": _nice_limit(np.abs(z[mask])),
        "objectives": objectives,
        "values": {key: {knob: getattr(o, knob) for knob in o.knobs()} for key, o in analysis.objectives.items()},
        "scale": {
            "light": {"weight": WEIGHT_SCALE, "change": CHANGE_SCALE},
            "dark": {"weight": WEIGHT_SCALE_DARK, "change": CHANGE_SCALE_DARK},
            "above": ABOVE_ONE,
            "above_scale": ABOVE_SCALE,
        },
        "labels": labels,
    }
    return header, arrays


def _vocabulary(
    tokens: list[str], token_ids: np.ndarray | None, cut: slice
) -> tuple[list[str], list[int] | None, np.ndarray]:
    """Each text (with its id) once, and where each token is among them: 50,000 tokens have some thousand texts."""
    known: dict[Any, int] = {}
    if token_ids is None:
        places = [known.setdefault(token, len(known)) for token in tokens]
        return list(known), None, np.array(places, dtype=np.int64)
    pairs = zip(tokens, token_ids[cut].tolist(), strict=True)
    places = [known.setdefault(pair, len(known)) for pair in pairs]
    return [text for text, _ in known], [number for _, number in known], np.array(places, dtype=np.int64)


def _nice_limit(sizes: np.ndarray) -> float:
    """Where the scale of |z| ends: 1, 2 or 5 times a power of ten, above all but the largest hundredth."""
    top = float(np.clip(np.quantile(sizes, 0.99), 1e-3, 10.0)) if len(sizes) else 0.1
    decade = 10.0 ** np.floor(np.log10(top))
    return float(next(step * decade for step in (1, 2, 5, 10) if step * decade >= top * 0.999))


def _objective(key: str, objective: Objective, live: bool) -> dict[str, Any]:
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


def _weighed(objective: Objective, sequence: Sequence) -> Arrays:
    """ratio, weight and J of each token of a sequence, by the functions that training calls. All [T]."""
    mask = torch.from_numpy(sequence.mask.copy())[None]

    def row(values: np.ndarray) -> Any:
        return torch.from_numpy(np.where(sequence.mask, values, 0.0))[None]

    batch = row(sequence.logprobs), row(sequence.old_logprobs), row(sequence.advantages), mask
    view = token_view(objective, *batch)
    _, surrogate = evaluate(objective, *batch)
    found = {"ratio": view.ratio, "weight": view.gate_weight, "surrogate": surrogate}
    return {name: np.where(sequence.mask, values[0].numpy(), 0.0) + 0.0 for name, values in found.items()}


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
