"""How far a step's updates moved the tokens of its snapshot: histograms of log r, and one sequence to look at.

The axis u = sign(z)·log(1 + |z|/0.02) is near linear for small moves and logarithmic for large ones: a calm
run (|z| of a few hundredths) and one with ratios in the thousands fit on one picture. No objective is in
here; the browser lays its gate over the histogram. No torch either, so a page may ask for it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sapo_viz.runs.folder.reading import NotReadable, json_object, number, open_regular
from sapo_viz.runs.folder.store import RunStore

SCALE = 0.02  # |z| around which the axis turns from linear to logarithmic
WIDTH = 0.2  # of a bin, in u
BINS = 69  # odd: one of them is centred on z = 0; the outermost reach |z| = 20, where ratios are held
LONGEST = 240  # tokens of the sequence that is shown; the Tokens page has all
SHORT = 4  # a sequence of fewer tokens is shown only if there is no longer one
MOST = 200  # snapshots in one answer
LONGEST_LINE = 16 << 20  # bytes: a sequence of 100,000 tokens
LARGEST = 256 << 20  # bytes of a snapshot
MOST_LINES = 20_000

StepRow = dict[str, Any]


def snapshot_ratios(store: RunStore, run_id: str, after: int = -1) -> list[StepRow]:
    """One JSON object for each snapshot after step `after`, thinned evenly to `MOST`, the last one always.

    Each has `step`; `levels`: ratio level -> {"pos": [BINS], "neg": [BINS]}, how many tokens (at "token") or
    sequences lie in each bin, by the sign of A (A = 0 has no gradient and is left out); `most`: the largest
    |log r| at token level; `damage`: what of it is left out, a sentence; and
    `sequence`: the sequence whose largest |log r| is largest, of at least SHORT tokens.
    """
    steps = [step for step in store.snapshots(run_id) if step > after]
    if len(steps) > MOST:
        places = {round(i * (len(steps) - 1) / (MOST - 1)) for i in range(MOST)}
        steps = [steps[place] for place in sorted(places)]
    rows = []
    for step in steps:
        path = store.snapshot_path(run_id, step)
        rows.append({"step": step, **_read(path, path.lstat().st_mtime_ns)})
    return rows


@lru_cache(maxsize=2000)
def _read(path: Path, _changed: int) -> StepRow:
    levels: dict[str, dict[str, np.ndarray]] = {
        level: {sign: np.zeros(BINS, np.int64) for sign in ("pos", "neg")}
        for level in ("token", "sequence", "sequence-product")
    }
    most, best, shown, wrong, first = 0.0, (False, 0.0), None, 0, ""
    for index, line in enumerate(_lines(path)):
        try:
            row, z = _moves(line)
        except NotReadable as error:
            wrong, first = wrong + 1, first or f"line {index + 1}: {error}"
            continue
        advantage = row["advantage"]
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
        "damage": f"{path.name}: lines without a sequence are left out, {wrong:,} ({first})." if wrong else "",
        "sequence": _sequence(*shown) if shown else None,
    }


def _lines(path: Path) -> Iterator[bytes]:
    """Each line, at most `LONGEST_LINE` bytes of it; none of what lies beyond `LARGEST` bytes or `MOST_LINES`."""
    with contextlib.suppress(OSError), open_regular(path) as file:
        left = LARGEST
        for _ in range(MOST_LINES):
            line = file.readline(min(LONGEST_LINE, left))
            if not line:
                return
            left -= len(line)
            yield line


def _moves(line: bytes) -> tuple[StepRow, np.ndarray]:
    """A sequence of a snapshot, and log r of each of its tokens."""
    row = json_object(line)
    columns = [row.get(name) for name in ("tokens", "logprobs", "old_logprobs")]
    if not all(isinstance(column, list) for column in columns) or len({len(column or []) for column in columns}) != 1:
        raise NotReadable("its tokens and log-probs are no lists of one length")
    if any(number(value) is None for column in columns[1:] for value in column or []):
        raise NotReadable("a log-prob is no number")
    if number(row.get("advantage")) is None:
        raise NotReadable("its advantage is no number")
    row["reward"] = number(row.get("reward"))
    return row, np.asarray(columns[1], float) - np.asarray(columns[2], float)


def bin_of(z: np.ndarray) -> np.ndarray:
    """[N] log-ratios -> [N] places of their bins."""
    u = np.sign(z) * np.log1p(np.abs(z) / SCALE)
    places: np.ndarray = np.clip(np.rint(u / WIDTH).astype(int) + BINS // 2, 0, BINS - 1)
    return places


def _sequence(index: int, row: StepRow, z: np.ndarray, advantage: float) -> StepRow:
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
