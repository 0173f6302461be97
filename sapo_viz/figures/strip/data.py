"""The token strip: a sequence and some objectives in, what the browser draws from out.

The browser colours from the generated formulas (browser/strip/numbers.js), so that tokens change while a
knob is dragged. Where those cannot say it (a ratio that no single token has, advantages that differ within a
sequence) Python sends the numbers, and the colours follow when the knob is let go.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from sapo_viz.figures.correction import correction_control, correction_value
from sapo_viz.figures.strip.objectives import Arrays, described, follows_the_hand, weighed
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.rollouts.schema import Sequence

PAGE = 50_000  # tokens sent at a time; a longer sequence is shown in parts

# What is lost of a token, from the page's ground to all but everything: crimson, a hue that no objective's line has.
# Cut is a step beyond, light on dark (dark on light at night), so that it reads without colour; amplified is the
# highlighter's yellow. Ratios and log-prob changes are even in log r: blue below, orange above.
SCALES = {
    "light": {
        "lost": ("#FFFFFF", "#FBE0E6", "#F5B8C6", "#EC8FA5", "#E06C8A"),
        "cut": "#8F1239",
        "more": "#F5C400",
        "reversed": "#4B2A8C",
        "change": ("#0B4F8A", "#5B9BCB", "#FFFFFF", "#E59A4B", "#9A3D00"),
    },
    "dark": {
        "lost": ("#0E1117", "#3A1823", "#5E2135", "#812A47", "#A3365B"),
        "cut": "#FF9DB5",
        "more": "#B08D00",
        "reversed": "#C3A6FF",
        "change": ("#8CC4EE", "#2F74AB", "#0E1117", "#B0621B", "#F2B272"),
    },
}

Header = dict[str, Any]


def parts_of(length: int) -> int:
    """In how many parts a sequence of `length` tokens is shown."""
    return max(1, -(-length // PAGE))


def strip_data(
    analysis: Analysis, index: int, *, part: int = 0, page: int = PAGE, labels: dict[str, Any]
) -> tuple[Header, Arrays]:
    """Everything that the strip draws from, to be packed by `pack_arrays`.

    Args:
        index: which sequence of the file.
        part: which `page` tokens of it.
        labels: the words on it, translated.

    Returns:
        what JSON can say, and arrays of the part's T tokens: `token` [T] (places in the header's `texts`),
        `z`, `logprobs`, `advantages` ([T], or [1] where all are equal), `masked` (places), where the file says
        who drew the tokens `log_rho` (log π_old − log π_sampler), and for objectives that Python weighs
        `<name>:ratio`, `<name>:weight`, `<name>:surrogate` [T], without the correction that `log_rho` is for.
    """
    sequence = analysis.rollouts[index]
    cut = slice(part * page, part * page + page)
    mask, advantages = sequence.mask, sequence.advantages
    constant = np.unique(advantages[mask]).size <= 1
    z = np.where(mask, sequence.logprobs, 0.0) - np.where(mask, sequence.old_logprobs, 0.0)
    texts, ids, places = _vocabulary(list(sequence.tokens[cut]), sequence.token_ids, cut)
    own = advantages[mask]
    arrays: Arrays = {
        "token": places,
        "z": z[cut].astype(np.float32),
        "logprobs": np.where(mask, sequence.logprobs, 0.0)[cut].astype(np.float32),
        "advantages": (own[:1] if len(own) else np.zeros(1)) if constant else advantages[cut],
        "masked": np.flatnonzero(~mask[cut]),
    }
    objectives = []
    for key, objective in analysis.objectives.items():
        live = follows_the_hand(type(objective), constant)
        objectives.append(described(key, objective, live))
        if not live:
            arrays |= {f"{key}:{name}": values[cut] for name, values in weighed(objective, sequence).items()}
    if sequence.sampler_logprobs is not None:
        arrays["log_rho"] = _log_rho(sequence)[cut].astype(np.float32)
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
        "values": {key: {knob: getattr(o, knob) for knob in o.knobs()} for key, o in analysis.objectives.items()}
        | {"correction": correction_value(analysis.correction)},
        "correction": correction_control() | _sampler(sequence),
        "scale": SCALES,
        "labels": labels,
    }
    return header, arrays


def _log_rho(sequence: Sequence) -> np.ndarray:
    """[T] log π_old − log π_sampler; 0 under the mask, and where the sampler gave none, as in `Correction.weights`."""
    apart = np.where(sequence.mask, sequence.old_logprobs - np.asarray(sequence.sampler_logprobs), 0.0)
    return np.where(np.isnan(apart), 0.0, apart)


def _sampler(sequence: Sequence) -> dict[str, Any]:
    """log ρ of the whole sequence at the levels that it has; nothing where the file does not say who drew it."""
    if sequence.sampler_logprobs is None:
        return {}
    total = float(_log_rho(sequence).sum())
    return {"log_rho": {"sequence-sum": total, "sequence-mean": total / max(int(sequence.mask.sum()), 1)}}


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
