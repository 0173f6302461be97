"""What an objective does to a file, in sums: a few numbers per sequence, so that no array of all tokens is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sapo_viz.core.correction import Correction
from sapo_viz.core.objective import Objective
from sapo_viz.core.token_view import TokenView
from sapo_viz.rollouts.analysis.passes import Chunk, chunks, in_turn, one_thread, spans, sums
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import Steps


@dataclass(frozen=True)
class Share:
    """What an objective keeps of the gradient of some tokens.

    tokens          response tokens with A ≠ 0; the others have no gradient to keep
    kept            Σ|A|·w / Σ|A|: the mean gate, the metric `gate_mean`
    clip_fraction   share of these tokens with c = 0, the metric `clip_fraction`
    ess             (Σ c)² / (n·Σ c²): the share of tokens that effectively carries the update; c is the
                    importance weight after the gate, so that for `unclipped` it is the usual ESS of r
    Without such tokens the three are NaN.
    """

    tokens: int
    kept: float
    clip_fraction: float
    ess: float


@dataclass(frozen=True)
class Signal:
    """Where the gradient comes from, whatever the objective. `[N, 2]`: of A > 0 and of A < 0."""

    tokens: np.ndarray  # [N, 2] response tokens
    size: np.ndarray  # [N, 2] Σ|A| / largest
    largest: np.ndarray  # [N] max |A|; 1 where every A is 0. |A| may be 1e300, and its sum infinite


@dataclass(frozen=True)
class Totals:
    """One objective over each sequence. `[N, 2]`: of A > 0 and of A < 0."""

    signal: Signal
    gated: np.ndarray  # [N, 2] Σ|A|·w / largest |A|
    dropped: np.ndarray  # [N, 2] tokens with c = 0
    c: np.ndarray  # [N, 2] Σ c / largest
    squares: np.ndarray  # [N, 2] Σ c² / largest²
    largest: np.ndarray  # [N] max |c|, 1 where there is none: c² would overflow or vanish at the ends

    def kept(self) -> np.ndarray:
        """[N] Σ|A|·w / Σ|A| within each sequence; NaN where every A is 0."""
        size = self.signal.size.sum(1)
        kept: np.ndarray = np.divide(self.gated.sum(1), size, out=np.full(len(size), np.nan), where=size > 0)
        return kept

    def share(self, sign: int = 0) -> Share:
        """Of the whole file; `sign` 1 or −1 takes only the tokens whose A has that sign."""
        sides = {0: slice(0, 2), 1: slice(0, 1), -1: slice(1, 2)}[sign]
        tokens = int(self.signal.tokens[:, sides].sum())
        if not tokens:
            return Share(0, np.nan, np.nan, np.nan)
        some = self.signal.tokens[:, sides].sum(1) > 0
        weight = _relative(self.signal.largest, some)
        kept = (weight @ self.gated[:, sides]).sum() / (weight @ self.signal.size[:, sides]).sum()
        weight = _relative(self.largest, some)
        squares = float((weight**2 @ self.squares[:, sides]).sum())
        total = float((weight @ self.c[:, sides]).sum())
        ess = total**2 / (tokens * squares) if squares else 0.0
        return Share(tokens, float(kept), float(self.dropped[:, sides].sum()) / tokens, ess)


def _relative(largest: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Each sequence's scale against that of the largest; 0 for sequences that do not count. [N] -> [N]"""
    scale: np.ndarray = np.where(some, largest, 0.0) / largest[some].max()
    return scale


def _empty(signal: Signal, count: int) -> Totals:
    gated, dropped, c, squares = (np.zeros((count, 2)) for _ in range(4))
    return Totals(signal, gated, dropped, c, squares, np.ones(count))


def gathering(
    rollouts: Rollouts, objectives: Mapping[str, Objective], signal: Signal, correction: Correction | None = None
) -> Steps[dict[str, Totals]]:
    """One pass over the tokens that have a gradient, all objectives together."""
    count = len(rollouts)
    out = {key: _empty(signal, count) for key in objectives}
    with_signal = np.flatnonzero(signal.tokens.any(1))  # of a group without spread nothing can be kept or dropped
    done, total = 0, int(rollouts.lengths[with_signal].sum())
    for chunk in chunks(rollouts, with_signal) if objectives else ():
        cells = np.flatnonzero(chunk.advantages)
        advantages = chunk.advantages.ravel()[cells]
        row = cells // chunk.advantages.shape[1]
        side = 2 * row + (advantages < 0)
        size = np.abs(advantages) / signal.largest[chunk.rows][row]
        with in_turn(rollouts), one_thread():
            for key, objective in objectives.items():
                _add(out[key], chunk, chunk.view(objective, correction), cells, row, side, size)
        done += len(chunk.places)
        yield done / total
    return out


def _add(
    totals: Totals,
    chunk: Chunk,
    view: TokenView,
    cells: np.ndarray,
    row: np.ndarray,
    side: np.ndarray,
    size: np.ndarray,
) -> None:
    """Put one chunk's numbers into their rows. cells, row, side, size: [K], the tokens with A ≠ 0."""
    coefficient = view.coefficient.numpy()
    weight = view.gate_weight.numpy().ravel()[cells]
    largest = np.abs(coefficient).max(1)
    largest[largest == 0] = 1.0
    c = coefficient.ravel()[cells]
    scaled = c / largest[row]
    rows = chunk.rows
    totals.largest[rows] = largest
    for into, values in (
        (totals.gated, size * weight),
        (totals.dropped, c == 0),
        (totals.c, scaled),
        (totals.squares, scaled**2),
    ):
        # + 0.0: a dropped token with A < 0 has c = −0, and a sum of nothing but those is −0 as well
        into[rows] = np.bincount(side, values, 2 * len(rows)).reshape(-1, 2) + 0.0


def signal_of(rollouts: Rollouts) -> Signal:
    """One pass over the advantages."""
    count = len(rollouts)
    tokens, size, largest = np.zeros((count, 2), np.int64), np.zeros((count, 2)), np.ones(count)
    for rows, part in spans(rollouts):
        advantages = np.where(rollouts.mask[part], rollouts.advantages[part], 0.0)
        away = np.abs(advantages)
        top = np.maximum.reduceat(away, rollouts.offsets[rows] - part.start)
        largest[rows] = np.where(top > 0, top, 1.0)
        away /= np.repeat(largest[rows], rollouts.lengths[rows])
        for column, of_sign in enumerate((advantages > 0, advantages < 0)):
            tokens[rows, column] = sums(rollouts, rows, of_sign.astype(np.int64))
            size[rows, column] = sums(rollouts, rows, np.where(of_sign, away, 0.0))
    return Signal(tokens, size, largest)
