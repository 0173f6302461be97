"""How far a step's updates moved the tokens of its snapshot: histograms of log r, and one sequence to look at.

The axis u = sign(z)·log(1 + |z|/0.02) is near linear for small moves and logarithmic for large ones: a calm
run (|z| of a few hundredths) and one with ratios in the thousands fit on one picture. No objective is in
here; the browser lays its gate over the histogram. No torch either, so a page may ask for it.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sapo_viz.errors import RunError
from sapo_viz.runs.store import RunStore

SCALE = 0.02  # |z| around which the axis turns from linear to logarithmic
WIDTH = 0.2  # of a bin, in u
BINS = 69  # odd: one of them is centred on z = 0; the outermost reach |z| = 20, where ratios are held
LONGEST = 240  # tokens of the sequence that is shown; the Tokens page has all
SHORT = 4  # a sequence of fewer tokens is shown only if there is no longer one
MOST = 200  # snapshots in one answer

Row = dict[str, Any]


def snapshot_ratios(store: RunStore, run_id: str, after: int = -1) -> list[Row]:
    """One JSON object for each snapshot after step `after`, thinned evenly to `MOST`, the last one always.

    Each has `step`; `levels`: ratio level -> {"pos": [BINS], "neg": [BINS]}, how many tokens (at "token") or
    sequences lie in each bin, by the sign of A (A = 0 has no gradient and is left out); `most`: the largest
    |log r| at token level; and `sequence`: the sequence whose largest |log r| is largest, of at least SHORT tokens.
    """
    steps = [step for step in store.snapshots(run_id) if step > after]
    if len(steps) > MOST:
        places = {round(i * (len(steps) - 1) / (MOST - 1)) for i in range(MOST)}
        steps = [steps[place] for place in sorted(places)]
    rows = []
    for step in steps:
        path = store.snapshot_path(run_id, step)
        rows.append({"step": step, **_read(path, path.stat().st_mtime_ns)})
    return rows


@lru_cache(maxsize=2000)
def _read(path: Path, _changed: int) -> Row:
    levels: dict[str, dict[str, np.ndarray]] = {
        level: {sign: np.zeros(BINS, np.int64) for sign in ("pos", "neg")}
        for level in ("token", "sequence", "sequence-product")
    }
    most, best, shown = 0.0, (False, 0.0), None
    for index, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        try:
            row = json.loads(line)
            advantage = float(row["advantage"])
            z = np.asarray(row["logprobs"], float) - np.asarray(row["old_logprobs"], float)
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path.name}, line {index + 1} is no sequence of a snapshot ({error}).") from None
        if advantage == 0 or not z.size:
            continue
        sign = "pos" if advantage > 0 else "neg"
        moves = {"token": z, "sequence": z.mean(keepdims=True), "sequence-product": z.sum(keepdims=True)}
        for level, values in moves.items():
            np.add.at(levels[level][sign], bin_of(values), 1)
        largest = float(np.abs(z).max())
        most = max(most, largest)
        rank = (len(z) >= SHORT, largest)
        if shown is None or rank > best:
            best, shown = rank, (index, row, z, advantage)
    return {
        "levels": {level: {sign: counts.tolist() for sign, counts in signs.items()} for level, signs in levels.items()},
        "most": round(most, 6),
        "sequence": _sequence(*shown) if shown else None,
    }


def bin_of(z: np.ndarray) -> np.ndarray:
    """[N] log-ratios -> [N] places of their bins."""
    u = np.sign(z) * np.log1p(np.abs(z) / SCALE)
    places: np.ndarray = np.clip(np.rint(u / WIDTH).astype(int) + BINS // 2, 0, BINS - 1)
    return places


def _sequence(index: int, row: Row, z: np.ndarray, advantage: float) -> Row:
    """A stretch of at most LONGEST tokens around the one that moved most."""
    start = max(0, min(int(np.abs(z).argmax()) - LONGEST // 2, len(z) - LONGEST))
    cut = slice(start, start + LONGEST)
    return {
        "index": index,
        "start": start,
        "prompt": str(row.get("prompt", "")),
        "advantage": advantage,
        "reward": row.get("reward"),
        "tokens": [str(token) for token in row["tokens"][cut]],
        "z": [round(value, 5) for value in z[cut].tolist()],
        "old": [round(float(value), 5) for value in row["old_logprobs"][cut]],
        "log_s": math.fsum(z) / len(z),
        "log_w": math.fsum(z),
    }
