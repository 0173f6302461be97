"""The numbers behind the findings: one pass over the tokens in blocks, then everything a sequence at a time.

Only the sums are kept, and a sample of tokens for quantiles, so that ten million tokens need no second copy of
themselves. z = log π_θ − log π_old; r = exp z, held within ±20 as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sapo_viz.core.objective import LOG_RATIO_LIMIT, Objective
from sapo_viz.rollouts.analysis.passes import spans
from sapo_viz.rollouts.analysis.shift import shifts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import Steps, finish

_BLOCK = 1 << 19  # tokens at a time: some twenty temporaries of 4 MB
_SAMPLE = 200_000  # tokens kept for quantiles: the 99.9th percentile still stands on 200 of them
_FILLER = -0.01  # a log-prob below this is no rounding of 0


def numbers_of(values: tuple[float | None, ...] | np.ndarray) -> np.ndarray:
    """One float per sequence, NaN where there is none. [N]"""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


@dataclass(frozen=True)
class Side:
    """The tokens with one sign of A: how many, and the moments that a regression of z on log π_old needs."""

    n: int
    z: float
    x: float  # log π_old
    zx: float
    xx: float
    zz: float

    @property
    def slope(self) -> float:
        """Of z on log π_old, by least squares; NaN where log π_old does not vary."""
        spread = self.xx - self.x**2 / max(self.n, 1)
        return (self.zx - self.z * self.x / self.n) / spread if self.n > 1 and spread > 1e-12 else np.nan

    @property
    def correlation(self) -> float:
        if self.n < 2:
            return np.nan
        spread = (self.xx - self.x**2 / self.n) * (self.zz - self.z**2 / self.n)
        return (self.zx - self.z * self.x / self.n) / np.sqrt(spread) if spread > 1e-24 else np.nan


@dataclass(frozen=True)
class Facts:
    """A file in sums. `[N]` is a number per sequence; counts are of response tokens unless they say otherwise."""

    rollouts: Rollouts
    objectives: Mapping[str, Objective]  # none of the sums depends on them; rules about bands and gates ask them
    counts: np.ndarray  # [N] response tokens
    sum_z: np.ndarray  # [N]
    sum_r: np.ndarray  # [N] Σ(r − 1)
    sum_az: np.ndarray  # [N] Σ A·z
    sum_a: np.ndarray  # [N] Σ A
    size: np.ndarray  # [N] Σ|A|
    max_z: np.ndarray  # [N] max |z|
    sum_old: np.ndarray  # [N] Σ log π_old: the mean of −log π over sampled tokens estimates the entropy
    plain: np.ndarray  # [N] tokens neither beyond the clamp nor with one log-prob exactly 0
    plain_r: np.ndarray  # [N] Σ(r − 1) of these
    plain_k3: np.ndarray  # [N] Σ r − 1 − log r of these
    sampler_counts: np.ndarray  # [N] tokens with a sampler's log-prob beside π_old's
    sampler_r: np.ndarray  # [N] Σ(π_old/π_sampler − 1) of these
    sampler_k3: np.ndarray  # [N]
    shift: np.ndarray  # [N] by how many tokens log π_θ lies later than log π_old; 0 where it does not
    shift_from: np.ndarray  # [N] the token from which on
    zero_new: int  # of `one_zero`, those of log π_θ
    zero_first: int  # of `one_zero`, at a sequence's first response token
    zero_last: int  # and at its last
    positions: np.ndarray  # [P, 2] Σ k3 and tokens of `plain` by place in the sequence: 1, 2–3, 4–7, …
    k3: float  # Σ r − 1 − log r
    on_policy: int  # tokens with |z| ≤ 1e-6
    far: int  # tokens whose probability more than doubled or halved
    beyond: int  # tokens with |z| > 20 that are no fillers, and not of a `constant` sequence
    sentinels: np.ndarray  # [N] tokens with a log-prob that no sampled token has, or NaN
    one_zero: np.ndarray  # [N] tokens with one log-prob exactly 0 and the other clearly not
    constant: np.ndarray  # [N] bool: at least 8 response tokens, all with one and the same old log-prob, or `summed`
    summed: np.ndarray  # [N] bool: on 16 response tokens or more one side's log-probs only fall, as running sums do
    hidden: int  # tokens under the mask whose log-probs are NaN, infinite or a sentinel
    bf16: int  # tokens of which both log-probs are bfloat16 numbers, and not 0
    nonzero: int  # tokens with a log-prob that is not 0
    sides: Mapping[int, Side]  # sign of A -> moments
    top_share: float  # of Σ|A|·r, what the largest 1 % of the tokens with A ≠ 0 carry
    codes: np.ndarray  # [N] uint64, equal for sequences with the same old log-probs
    sample: np.ndarray  # [K, 2] z and log π_old of evenly spaced response tokens
    cap: int = 0  # response tokens that an answer may have, where the run has told; else 0

    @cached_property
    def tokens(self) -> int:
        return int(self.counts.sum())

    @cached_property
    def log_s(self) -> np.ndarray:
        """[N] log s_i, 0 without a response token."""
        mean: np.ndarray = self.sum_z / np.maximum(self.counts, 1)
        return mean

    @cached_property
    def rewards(self) -> np.ndarray:
        return numbers_of(self.rollouts.rewards)

    @cached_property
    def advantages(self) -> np.ndarray:
        """[N] mean A over the response tokens."""
        mean: np.ndarray = self.sum_a / np.maximum(self.counts, 1)
        return mean

    def worst(self, score: np.ndarray, count: int = 8) -> tuple[int, ...]:
        """The sequences with the largest score above 0, largest first: those worth opening."""
        order = np.argsort(-score, kind="stable")[:count]
        return tuple(int(i) for i in order if score[i] > 0)


def gather(rollouts: Rollouts) -> Facts:
    """Read all tokens once. About 0.2 s a million."""
    return finish(gathering(rollouts))


def gathering(rollouts: Rollouts) -> Steps[Facts]:
    """`gather` in steps."""
    count = len(rollouts)
    per = {name: np.zeros(count) for name in ("counts", "sum_z", "sum_r", "sum_az", "sum_a", "size", "max_z",
                                            "sum_old", "plain", "plain_r", "plain_k3",
                                            "sampler_counts", "sampler_r", "sampler_k3")}  # fmt: skip
    shift, shift_from = np.zeros(count, np.int64), np.zeros(count, np.int64)
    zero_new = zero_first = zero_last = 0
    positions = np.zeros((32, 2))
    sentinels, one_zero = np.zeros(count, np.int64), np.zeros(count, np.int64)
    constant, summed, codes = np.zeros(count, bool), np.zeros(count, bool), np.zeros(count, np.uint64)
    total = dict.fromkeys(("k3", "on_policy", "far", "beyond", "hidden", "bf16", "nonzero"), 0.0)
    moments = {sign: np.zeros(6) for sign in (-1, 0, 1)}
    carried: list[np.ndarray] = []
    sampled: list[np.ndarray] = []
    stride = max(1, int(rollouts.offsets[-1]) // _SAMPLE)
    for rows, part in spans(rollouts, _BLOCK):
        starts = rollouts.offsets[rows] - part.start
        mask = np.asarray(rollouts.mask[part], dtype=bool)
        raw_new = np.asarray(rollouts.logprobs[part], dtype=np.float64)
        raw_old = np.asarray(rollouts.old_logprobs[part], dtype=np.float64)
        broken = ~(np.isfinite(raw_new) & np.isfinite(raw_old)) | (raw_old <= SENTINEL_OLD) | (raw_new <= SENTINEL)
        total["hidden"] += float(np.count_nonzero(broken & ~mask))
        summed[rows] = _only_falls(raw_new, mask, starts) | _only_falls(raw_old, mask, starts)
        if summed[rows].any():  # a sum may be as low as it likes
            _add(sentinels, rows, starts, broken & mask & ~np.repeat(summed[rows], rollouts.lengths[rows]))
        else:
            _add(sentinels, rows, starts, broken & mask)
        good = mask & ~broken  # a −9999 is reported once, and does not drown every other number
        new, old = np.where(good, raw_new, 0.0), np.where(good, raw_old, 0.0)
        advantages = np.where(good, rollouts.advantages[part], 0.0)
        z = new - old
        held = np.clip(z, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
        excess = np.expm1(held)
        away, size = np.abs(z), np.abs(advantages)
        for name, values in (
            ("counts", mask), ("sum_z", z), ("sum_r", excess), ("sum_az", advantages * z), ("sum_a", advantages),
            ("size", size),
        ):  # fmt: skip
            _add(per[name], rows, starts, values)
        per["max_z"][rows] = np.maximum.reduceat(away, starts)
        total["k3"] += float((excess - held).sum())
        total["on_policy"] += float(np.count_nonzero(good & (away <= 1e-6)))
        total["far"] += float(np.count_nonzero(away > np.log(2)))
        lowest = np.minimum.reduceat(np.where(good, old, np.inf), starts)
        highest = np.maximum.reduceat(np.where(good, old, -np.inf), starts)
        constant[rows] = (lowest == highest) & (np.add.reduceat(good.astype(np.int64), starts) >= 8) | summed[rows]
        # What a sequence of fillers says of ratios is no second fault.
        sound = good & ~np.repeat(constant[rows], np.diff(np.append(starts, len(z)))) if constant[rows].any() else good
        filler = sound & (((new == 0) & (old < _FILLER)) | ((old == 0) & (new < _FILLER)))
        _add(one_zero, rows, starts, filler)
        total["beyond"] += float(np.count_nonzero((away > LOG_RATIO_LIMIT) & sound & ~filler))
        if filler.any():
            zero_new += int(np.count_nonzero(filler & (new == 0)))
            first, last = _ends(good, starts)
            zero_first += int(np.count_nonzero(filler[first]))
            zero_last += int(np.count_nonzero(filler[last]))
        plain = sound & ~filler & (away <= LOG_RATIO_LIMIT)
        k3 = np.where(plain, excess - held, 0.0)
        for name, values in (
            ("sum_old", old), ("plain", plain), ("plain_r", np.where(plain, excess, 0.0)), ("plain_k3", k3),
        ):  # fmt: skip
            _add(per[name], rows, starts, values)
        place = np.frexp(np.arange(len(z)) - np.repeat(starts, np.diff(np.append(starts, len(z)))) + 1)[1] - 1
        positions[:, 0] += np.bincount(place, k3, 32)
        positions[:, 1] += np.bincount(place[plain], minlength=32)
        shift[rows], shift_from[rows] = shifts(z, new, old, sound & ~filler, starts)
        if rollouts.sampler_logprobs is not None:
            raw = np.asarray(rollouts.sampler_logprobs[part], dtype=np.float64)
            both = good & np.isfinite(raw) & (raw > SENTINEL_OLD)
            behind = np.clip(np.where(both, old - np.where(both, raw, 0.0), 0.0), -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
            _add(per["sampler_counts"], rows, starts, both)
            _add(per["sampler_r"], rows, starts, np.expm1(behind))
            _add(per["sampler_k3"], rows, starts, np.expm1(behind) - behind)
        nonzero = good & (new != 0) & (old != 0)
        total["nonzero"] += float(np.count_nonzero(nonzero))
        total["bf16"] += float(np.count_nonzero(nonzero & _is_bf16(new) & _is_bf16(old)))
        sign = np.sign(advantages)
        for key, sums in moments.items():
            of_sign = sound & (sign == key)
            a, b = z[of_sign], old[of_sign]
            sums += (len(a), a.sum(), b.sum(), a @ b, b @ b, a @ a)
        signal = sound & (size > 0)
        carried.append((size[signal] * (excess[signal] + 1)).astype(np.float32))
        codes[rows] = _codes(old, mask, starts)
        picked = np.flatnonzero(sound)[::stride]
        sampled.append(np.stack((z[picked], old[picked]), axis=1))
        yield part.stop / len(rollouts.mask)
    return Facts(
        rollouts=rollouts,
        objectives={},
        sentinels=sentinels,
        one_zero=one_zero,
        constant=constant,
        summed=summed,
        shift=shift,
        shift_from=shift_from,
        zero_new=zero_new,
        zero_first=zero_first,
        zero_last=zero_last,
        positions=positions[: max(1, int(np.count_nonzero(positions[:, 1])))],
        sides={key: Side(int(sums[0]), *map(float, sums[1:])) for key, sums in moments.items()},
        top_share=_top_share(np.concatenate(carried)),
        codes=codes,
        sample=np.concatenate(sampled),
        k3=total.pop("k3"),
        **{name: int(value) for name, value in total.items()},  # type: ignore[arg-type]
        **(per | {"counts": per["counts"].astype(np.int64)}),  # type: ignore[arg-type]
    )


# No token that was really sampled has a probability of e^−50 = 2e-22; π_θ may have moved further since, but not
# to −1000, where float32 softmax has long been 0. −9999 and −1e9 stand for "none" in several frameworks.
SENTINEL_OLD, SENTINEL = -50.0, -1000.0


def _add(out: np.ndarray, rows: slice, starts: np.ndarray, values: np.ndarray) -> None:
    out[rows] = np.add.reduceat(values.astype(out.dtype, copy=False), starts)  # no sequence is empty


def _only_falls(values: np.ndarray, mask: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """[n] bool: no response token has more than the one before it, and 16 have less. By chance: one in 10^13."""
    inside = np.append(False, mask[1:] & mask[:-1])
    inside[starts] = False
    before = np.append(0.0, values[:-1])
    summed: np.ndarray = np.add.reduceat((inside & (values < before)).astype(np.int64), starts) >= 16
    if summed.any():
        summed &= np.add.reduceat((inside & ~(values <= before)).astype(np.int64), starts) == 0
    return summed


def _ends(good: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the first and the last response token of each sequence lie; sequences without one are left out."""
    places = np.flatnonzero(good)
    which = np.searchsorted(starts, places, "right")
    edge = np.flatnonzero(np.diff(which))
    return places[np.append(0, edge + 1)], places[np.append(edge, len(places) - 1)]


def _is_bf16(values: np.ndarray) -> np.ndarray:
    """Whether the lower half of the float32 is empty: the value could have been stored in 16 bits. [K] bool"""
    single = values.astype(np.float32)
    fits: np.ndarray = (single.view(np.uint32) & np.uint32(0xFFFF)) == 0
    return fits


def _top_share(size: np.ndarray) -> float:
    """What the largest 1 % carry of the whole; NaN below 500 tokens, where 1 % is no crowd."""
    top = len(size) // 100
    if top < 5:
        return np.nan
    size.partition(len(size) - top)
    return float(size[-top:].sum(dtype=np.float64) / size.sum(dtype=np.float64))


def _codes(old: np.ndarray, mask: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """[n] uint64: a hash of each sequence's old log-probs in their order (splitmix64's mixer)."""
    place = np.arange(len(old), dtype=np.uint64)
    place -= np.repeat(starts.astype(np.uint64), np.diff(np.append(starts, len(old))))
    bits = old.view(np.uint64) ^ (place * np.uint64(0x9E3779B97F4A7C15))
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.add.reduceat(np.where(mask, bits, np.uint64(0)), starts)
