"""Were one side's log-probs moved by a few tokens? Compared with the other side at every lag, window by window.

A shift leaves each number right and its place wrong: z_t = new_t − old_t is large, and new_{t+k} − old_t is small
again at the right k. No temperature, update or noise does that. Windows, because a shift may begin within a sequence
(at an image's placeholders, after a tool's answer).
"""

from __future__ import annotations

import numpy as np

LAGS = (1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, -7, 8, -8)
WINDOW = 32  # tokens
_APART = 0.05  # mean z² of a window below which nothing is to be explained: r off 1 by a quarter
_BETTER = 0.25  # a lag explains a window when it leaves at most this part of the mean square
_LEAST = 16  # tokens of a window


def shifts(
    z: np.ndarray, new: np.ndarray, old: np.ndarray, good: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The lag of each sequence, 0 where there is none [n], and the token at which it begins [n].

    z, new, old, good: [K] flat, `starts` where each sequence begins. A sequence is shifted when one lag explains half
    of its windows that need an explanation, and at least one in ten of all of them.
    """
    count = len(starts)
    lag, begin = np.zeros(count, np.int64), np.zeros(count, np.int64)
    sizes = np.diff(np.append(starts, len(z)))
    square = np.where(good, z, 0.0) ** 2
    used = np.add.reduceat(good.astype(np.int64), starts)
    # A shift in a tenth of a sequence is enough to be looked at: most files have no such sequence.
    asked = np.flatnonzero((np.add.reduceat(square, starts) > 0.1 * _APART * used) & (used >= _LEAST))
    if not len(asked):
        return lag, begin
    number = -(-sizes[asked] // WINDOW)
    owner = np.repeat(asked, number)  # the sequence of each window [W]
    place = (np.arange(len(owner)) - np.repeat(np.cumsum(number) - number, number)) * WINDOW
    cut = starts[owner] + place
    width = np.minimum(WINDOW, sizes[owner] - place)
    sums, goods = _over(square, cut, width), _over(good.astype(np.int64), cut, width)
    counted = goods >= _LEAST
    plain = np.where(goods >= _LEAST - 4, sums / np.maximum(goods, 1), np.nan)
    # One outlier moves a window far, and among sure tokens any lag that takes it to a rare one seems to explain it. A
    # shift parts both a rare token and its neighbour from what they were.
    rest = sums - _largest(square, cut, width)
    with np.errstate(invalid="ignore"):
        asking = counted & (rest > _APART * goods)
    each = _at_lags(new, old, good, starts, sizes, owner[asking], cut[asking], width[asking])
    # One lag must stand out among all: of large noise one or another leaves a quarter by chance.
    ordered = np.sort(each, axis=0)
    explained = np.zeros((len(LAGS), len(owner)), bool)
    explained[:, asking] = (each <= _BETTER * plain[asking]) & (each <= _BETTER * ordered[1])
    first = np.cumsum(number) - number
    votes = np.add.reduceat(explained.astype(np.int64), first, axis=1)
    needed = np.add.reduceat(asking.astype(np.int64), first)
    windows = np.add.reduceat(counted.astype(np.int64), first)
    best = np.argmax(votes, axis=0)
    most = votes[best, np.arange(len(asked))]
    for at in np.flatnonzero((needed > 0) & (most >= np.maximum(np.maximum(0.5 * needed, 0.1 * windows), 1))):
        own = slice(first[at], first[at] + number[at])
        lag[asked[at]] = LAGS[best[at]]
        begin[asked[at]] = place[own][np.argmax(explained[best[at], own])]
    return lag, begin


def _over(values: np.ndarray, cut: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Sums over windows [W] that begin at `cut` and have `width` entries."""
    total = np.concatenate(([0], np.cumsum(values)))
    sums: np.ndarray = total[cut + width] - total[cut]
    return sums


def _largest(values: np.ndarray, cut: np.ndarray, width: np.ndarray) -> np.ndarray:
    """The largest of each window. [W]"""
    ends = np.column_stack((cut, cut + width)).ravel()
    largest: np.ndarray = np.maximum.reduceat(np.append(values, 0.0), ends)[::2]
    return largest


def _at_lags(
    new: np.ndarray,
    old: np.ndarray,
    good: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    owner: np.ndarray,
    cut: np.ndarray,
    width: np.ndarray,
) -> np.ndarray:
    """Mean of (new_{t+k} − old_t)² over each window at each lag; inf where less than half has such pairs. [L, W]"""
    if not len(cut):
        return np.full((len(LAGS), 0), np.inf)
    first = np.cumsum(width) - width
    token = np.arange(int(width.sum())) - np.repeat(first - cut, width)
    low, high = np.repeat(starts[owner], width), np.repeat(starts[owner] + sizes[owner], width)
    out = np.full((len(LAGS), len(cut)), np.inf)
    for row, k in enumerate(LAGS):
        there = (token + k >= low) & (token + k < high) & good[token]
        source = np.where(there, token + k, token)
        there &= good[source]
        square = np.where(there, new[source] - old[token], 0.0) ** 2
        pairs = np.add.reduceat(there.astype(np.int64), first)
        mean = np.add.reduceat(square, first) / np.maximum(pairs, 1)
        out[row] = np.where(pairs >= _LEAST - 4, mean, np.inf)
    return out
