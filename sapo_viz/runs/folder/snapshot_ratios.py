"""How far a step's updates moved the tokens that were kept of it: histograms of log r, and a few sequences to look at.

The axis u = sign(z)·log(1 + |z|/0.02) is near linear for small moves and logarithmic for large ones: a calm
run (|z| of a few hundredths) and one with ratios in the thousands fit on one picture. No objective is in
here; the browser lays its gate over the histogram. No torch either, so a page may ask for it.

A step is read when it is asked for: a recorded run may have thousands of them, and is never read whole. Our own
snapshots are read line by line here; a recorded step's files, which are a stranger's, in a process apart.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sapo_viz.errors import RunError, SapoVizError
from sapo_viz.rollouts.apart.asking import Given
from sapo_viz.rollouts.apart.step import reading_step
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import Steps
from sapo_viz.rollouts.vocabulary import Tokens
from sapo_viz.runs.folder.reading import MOST_OBJECTS, NotReadable, json_object, number, open_regular
from sapo_viz.runs.folder.recording import StepTokens
from sapo_viz.runs.folder.store import RunStore

SCALE = 0.02  # |z| around which the axis turns from linear to logarithmic
WIDTH = 0.2  # of a bin, in u
BINS = 69  # odd: one of them is centred on z = 0; the outermost reach |z| = 20, where ratios are held
LONGEST = 240  # tokens of the sequence that moved most; the Tokens page has all
OF_OTHERS = 80  # tokens of each other one
PROMPT = 80  # characters of a prompt, its last ones
SHORT = 4  # a sequence of fewer tokens is shown only if there is no longer one
MOST = 200  # steps in one answer
PATIENCE = 20.0  # seconds for the files of one step
SECONDS = 0.3  # after which an answer has no further step
LONGEST_LINE = 16 << 20  # bytes: a sequence of 100,000 tokens
LARGEST = 256 << 20  # bytes of a step's files
MOST_LINES = 20_000

StepRow = dict[str, Any]
_one_at_a_time = [threading.Lock() for _ in range(64)]  # of a run: what another visitor has asked for is then there


@dataclass(frozen=True)
class _Moved:
    """The response tokens of a sequence, and what its step's updates moved them by."""

    index: int
    prompt: str
    reward: float | None
    advantages: np.ndarray  # [T]
    tokens: Sequence[str]  # [T]
    old: np.ndarray  # [T] log-probs before the updates
    z: np.ndarray  # [T] log r

    @property
    def advantage(self) -> float:
        return float(self.advantages.mean())

    @property
    def largest(self) -> float:
        return float(np.abs(self.z).max())


def snapshot_ratios(store: RunStore, run_id: str, steps: Sequence[int], seconds: float = SECONDS) -> list[StepRow]:
    """One JSON object for each of these steps that the run has kept, in their order, until `seconds` are over.

    Each has `step`; `levels`: ratio level -> {"pos": [BINS], "neg": [BINS]}, how many tokens (at "token") or
    sequences are in each bin, by the sign of A (A = 0 has no gradient and is left out); `most`: the largest
    |log r| at token level; `damage`: what of it is left out, a sentence; and `sequences`, each once, by `why`:
    "moved", whose largest |log r| is largest, of at least SHORT tokens; "best" and "worst" by their rewards.
    """
    until = time.monotonic() + seconds
    kept, rows = store.tokens(run_id), []
    recorded = store.recorded(run_id) is not None
    for step in steps[:MOST]:
        if step in kept:
            with contextlib.suppress(OSError):  # deleted meanwhile
                rows.append({"step": step, **_row(kept[step], recorded)})
        if rows and time.monotonic() >= until:
            break
    return rows


def _row(kept: StepTokens, recorded: bool) -> StepRow:
    states = [path.lstat() for path in kept.files]
    if sum(state.st_size for state in states) > LARGEST:
        return _Gathered().row(f"Step {kept.step}: its files are too large to be looked at here; the Tokens page may.")
    try:
        with _one_at_a_time[hash(kept.files[0].parent) % len(_one_at_a_time)]:
            return _read(kept, recorded, *(state.st_mtime_ns for state in states))
    except SapoVizError as error:
        return _Gathered().row(str(error))


@lru_cache(maxsize=600)
def _read(kept: StepTokens, recorded: bool, *_changed: int) -> StepRow:
    gathered = _Gathered()
    if recorded:
        files = [Given.of_path(path, path.name) for path in kept.files]
        rollouts = _soon(kept.step, reading_step(f"step {kept.step}", files, kept.missing))
        for index in range(len(rollouts)):
            gathered.add(_of_rollouts(rollouts, index))
        return gathered.row(" ".join(rollouts.notes))
    (path,) = kept.files
    wrong, first = 0, ""
    for index, line in enumerate(_lines(path)):
        try:
            gathered.add(_of_line(index, line))
        except NotReadable as error:
            wrong, first = wrong + 1, first or f"line {index + 1}: {error}"
    return gathered.row(f"{path.name}: lines without a sequence are left out, {wrong:,} ({first})." if wrong else "")


def _soon(step: int, steps: Steps[Rollouts]) -> Rollouts:
    """All of it, if that takes no longer than people wait: each rank's file may be one that takes all it may."""
    until = time.monotonic() + PATIENCE
    with contextlib.closing(steps):
        while time.monotonic() < until:
            try:
                next(steps)
            except StopIteration as stop:
                rollouts: Rollouts = stop.value
                return rollouts
    raise RunError(f"Step {step}: reading its files takes more than {PATIENCE:.0f} s; the Tokens page may wait.")


class _Gathered:
    """The sequences of a step as they come in."""

    def __init__(self) -> None:
        self._levels = {
            level: {sign: np.zeros(BINS, np.int64) for sign in ("pos", "neg")}
            for level in ("token", "sequence", "sequence-product")
        }
        self._most = 0.0
        self._shown: dict[str, _Moved] = {}

    def add(self, one: _Moved) -> None:
        if not one.z.size:
            return
        if one.reward is not None:
            best, worst = self._shown.get("best"), self._shown.get("worst")
            if best is None or one.reward > (best.reward or 0.0):
                self._shown["best"] = one
            if worst is None or one.reward < (worst.reward or 0.0):
                self._shown["worst"] = one
        if not one.advantages.any():
            return
        self._count("token", one.advantages, one.z)
        whole = np.array([one.advantage])
        self._count("sequence", whole, one.z.mean(keepdims=True))
        self._count("sequence-product", whole, one.z.sum(keepdims=True))
        self._most = max(self._most, one.largest)
        moved = self._shown.get("moved")
        if moved is None or _rank(one) > _rank(moved):
            self._shown["moved"] = one

    def _count(self, level: str, advantages: np.ndarray, z: np.ndarray) -> None:
        for sign, those in (("pos", advantages > 0), ("neg", advantages < 0)):
            np.add.at(self._levels[level][sign], bin_of(z[those]), 1)

    def row(self, damage: str) -> StepRow:
        shown: dict[int, StepRow] = {}
        for why in ("moved", "best", "worst"):
            if one := self._shown.get(why):
                shown.setdefault(one.index, {"why": why, **_sequence(one, LONGEST if why == "moved" else OF_OTHERS)})
        return {
            "levels": {
                level: {sign: counts.tolist() for sign, counts in signs.items()}
                for level, signs in self._levels.items()
            },
            "most": round(self._most, 6),
            "damage": damage,
            "sequences": list(shown.values()),
        }


def _rank(one: _Moved) -> tuple[bool, float]:
    return len(one.z) >= SHORT, one.largest


def _of_rollouts(rollouts: Rollouts, index: int) -> _Moved:
    sequence = rollouts[index]
    there = sequence.mask
    return _Moved(
        index=index,
        prompt=sequence.prompt or "",
        reward=sequence.reward,
        advantages=sequence.advantages[there],
        tokens=Tokens(sequence.tokens.codes[there], sequence.tokens.vocabulary),
        old=sequence.old_logprobs[there],
        z=sequence.logprobs[there] - sequence.old_logprobs[there],
    )


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


def _of_line(index: int, line: bytes) -> _Moved:
    """A sequence of a snapshot of our own."""
    if line.count(b"[") + line.count(b"{") > MOST_OBJECTS:
        raise NotReadable("it holds far more than a sequence does")
    row = json_object(line)
    columns = [row.get(name) for name in ("tokens", "logprobs", "old_logprobs")]
    if not all(isinstance(column, list) for column in columns) or len({len(column or []) for column in columns}) != 1:
        raise NotReadable("its tokens and log-probs are no lists of one length")
    mask = row.get("mask")  # of a prompt with a picture, whose tokens stand before the answer
    if isinstance(mask, list):
        columns = [list(itertools.compress(column or [], mask)) for column in columns]
    if any(number(value) is None for column in columns[1:] for value in column or []):
        raise NotReadable("a log-prob is no number")
    advantage = number(row.get("advantage"))
    if advantage is None:
        raise NotReadable("its advantage is no number")
    old = np.asarray(columns[2], float)
    return _Moved(
        index=index,
        prompt=str(row.get("prompt", "")),
        reward=number(row.get("reward")),
        advantages=np.full(len(old), advantage),
        tokens=[str(token) for token in columns[0] or []],
        old=old,
        z=np.asarray(columns[1], float) - old,
    )


def bin_of(z: np.ndarray) -> np.ndarray:
    """[N] log-ratios -> [N] places of their bins."""
    u = np.sign(z) * np.log1p(np.abs(z) / SCALE)
    places: np.ndarray = np.clip(np.rint(u / WIDTH).astype(int) + BINS // 2, 0, BINS - 1)
    return places


def _sequence(one: _Moved, longest: int) -> StepRow:
    """A stretch of at most so many tokens around the one that moved most."""
    z = one.z
    start = max(0, min(int(np.abs(z).argmax()) - longest // 2, len(z) - longest))
    cut = slice(start, start + longest)
    return {
        "index": one.index,
        "start": start,
        "prompt": one.prompt if len(one.prompt) <= PROMPT else f"… {one.prompt[-PROMPT:]}",
        "advantage": one.advantage,
        "reward": one.reward,
        "tokens": list(one.tokens[cut]),
        "z": [round(value, 5) for value in z[cut].tolist()],
        "old": [round(value, 5) for value in one.old[cut].tolist()],
        "log_s": math.fsum(z) / len(z),
        "log_w": math.fsum(z),
    }
