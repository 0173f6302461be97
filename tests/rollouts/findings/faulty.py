"""Healthy runs with one fault put in, at stated strengths: what each rule has to find, and how often it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sapo_viz.core.objective import CATALOG
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.vocabulary import Tokens
from tests.rollouts.findings.healthy import KINDS, Sampler, healthy, log_softmax

CALM, STEPS = KINDS[0], replace(KINDS[5], tools=False)
Size = dict[str, Any]  # prompts, group, length of `healthy`
Make = Callable[[int, Any, Size], Rollouts]
# A band that fits none of these s_i: what `gspo_band` is asked about.
NARROW = {"gspo": CATALOG["gspo"](eps_low=1e-5, eps_high=1e-5)}


@dataclass(frozen=True)
class Fault:
    """What is put in, and how strongly: each strength in words."""

    rule: str  # that has to say so
    what: str
    strengths: tuple[tuple[str, Any], ...]
    make: Make


FAULTS: list[Fault] = []


def fault(rule: str, what: str, strengths: dict[str, Any]) -> Callable[[Make], Make]:
    def declare(make: Make) -> Make:
        FAULTS.append(Fault(rule, what, tuple(strengths.items()), make))
        return make

    return declare


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, 77))


def _calm(seed: int, size: Size) -> Rollouts:
    return healthy(CALM, seed, **size)


def _of(data: Rollouts, values: np.ndarray) -> np.ndarray:
    """One value a sequence, at each of its tokens."""
    return np.repeat(values, data.lengths)


def _some(data: Rollouts, seed: int, share: float, least: int = 1) -> np.ndarray:
    """That share of the tokens, at least one. [K]"""
    count = len(data.mask)
    return _rng(seed).choice(count, max(least, round(share * count)), replace=False)


def _put(values: np.ndarray, places: Any, new: Any) -> np.ndarray:
    out = np.array(values)
    out[places] = new
    return out


def _chosen(data: Rollouts, seed: int, share: float, least: int = 1) -> np.ndarray:
    """[N] bool: that share of the sequences."""
    out = np.zeros(len(data), bool)
    out[_rng(seed).permutation(len(data))[: max(least, round(share * len(data)))]] = True
    return out


@fault("sentinels", "tokens with a log-prob of −9999", {"one token": 0.0, "one in a thousand": 1e-3})
def _sentinels(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return replace(data, old_logprobs=_put(data.old_logprobs, _some(data, seed, share), -9999.0))


@fault("zero_fillers", "tokens with a log-prob of 0", {"1 %": 0.01, "half a percent": 0.005})
def _fillers(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return replace(data, old_logprobs=_put(data.old_logprobs, _some(data, seed, share), 0.0))


@fault("zero_fillers", "an end token with log-prob 0", {"every sequence": 1.0, "one in five": 0.2})
def _ends(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    last = data.offsets[1:][_chosen(data, seed, share)] - 1
    new = _put(data.logprobs, last, -_rng(seed).uniform(0.05, 2, len(last)))
    return replace(data, old_logprobs=_put(data.old_logprobs, last, 0.0), logprobs=new)


@fault("zero_fillers", "an end token with log-prob 0 after long answers", {"one in five": 0.2})
def _ends_of_long(seed: int, share: float, size: Size) -> Rollouts:
    """Less than one token in a thousand."""
    return _ends(seed, share, {"length": 400} | size)


@fault("constant_logprobs", "sequences with one log-prob throughout", {"one sequence": 0.0, "one in ten": 0.1})
def _constant(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    own = _of(data, _chosen(data, seed, share))
    return replace(data, old_logprobs=np.where(own, -0.7, data.old_logprobs))


@fault("masked_out", "sequences that are masked out whole", {"one sequence": 0.0, "one in five": 0.2})
def _masked(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return replace(data, mask=data.mask & ~_of(data, _chosen(data, seed, share)))


@fault("tool_tokens", "a tool's answer that is not masked", {"in a third": 1 / 3, "in one of twelve": 1 / 12})
def _told(seed: int, share: float, size: Size) -> Rollouts:
    """Tags in two tokens each around a quarter of the sequence, which the sampler did not draw: rare tokens."""
    data = _calm(seed, size)
    words = (*data.tokens.vocabulary, "<tool", "_response>", "</tool", "_response>")
    codes, old, new = np.array(data.tokens.codes), np.array(data.old_logprobs), np.array(data.logprobs)
    first = len(words) - 4
    for i in np.flatnonzero(_chosen(data, seed, share, 3)):
        start = int(data.offsets[i] + data.lengths[i] // 3)
        stop = start + max(5, int(data.lengths[i]) // 4)
        codes[start : start + 2], codes[stop - 2 : stop] = (first, first + 1), (first + 2, first + 3)
        old[start:stop] -= 2.0
        new[start:stop] -= 2.0
    return replace(data, tokens=Tokens(codes, words), old_logprobs=old, logprobs=new)


@fault("length_cap", "answers cut at a budget", {"a third": 1 / 3, "one in six": 1 / 6, "one in twelve": 1 / 12})
def _cut(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    limit = int(np.quantile(data.lengths, 1 - share))
    place = np.arange(len(data.mask)) - _of(data, data.offsets[:-1])
    return replace(data, mask=data.mask & (place < limit))


@fault("copies", "rows written again under another prompt", {"one in ten": 0.1, "two rows": 0.0})
def _copies(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    group = len(data) // len(set(data.groups))
    order = np.arange(len(data))
    again = np.flatnonzero(_chosen(data, seed, share, 2))
    order[again] = (again + group) % len(data)
    return _rows(data, order)


def _rows(data: Rollouts, order: np.ndarray) -> Rollouts:
    """Sequences in another order, or several times; groups, rewards and advantages stay where they are."""
    parts = [np.arange(data.offsets[i], data.offsets[i + 1]) for i in order]
    take = np.concatenate(parts)
    lengths = np.array([len(part) for part in parts])
    whole = {name: getattr(data, name)[take] for name in ("logprobs", "old_logprobs", "mask")}
    return replace(
        data,
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        tokens=Tokens(data.tokens.codes[take], data.tokens.vocabulary),
        advantages=np.repeat(data.advantages[data.offsets[:-1]], lengths),
        **whole,
    )


@fault("constant_logprobs", "running sums in place of each token's log-prob", {"old ones": False, "both": True})
def _running(seed: int, both: bool, size: Size) -> Rollouts:
    data = _calm(seed, size)

    def summed(values: np.ndarray) -> np.ndarray:
        return np.concatenate([part.cumsum() for part in np.split(values, data.offsets[1:-1])])

    new = summed(data.logprobs) if both else data.logprobs
    return replace(data, old_logprobs=summed(data.old_logprobs), logprobs=new)


@fault("padding", "answers padded to the longest of four, padding not masked", {"end tokens": "<|endoftext|>"})
def _padded(seed: int, text: str, size: Size) -> Rollouts:
    data = _calm(seed, size)
    parts, longest = np.split(np.arange(len(data.mask)), data.offsets[1:-1]), data.lengths.reshape(-1, 4).max(1)
    take = [np.append(own, np.full(longest[i // 4] - len(own), -1)) for i, own in enumerate(parts)]
    flat, pad = np.concatenate(take), len(data.tokens.vocabulary)
    there = flat >= 0
    codes = np.where(there, data.tokens.codes[flat], pad).astype(np.int32)
    rng = _rng(seed)
    low = np.where(there, 0.0, -9.0 - 0.1 * rng.random(len(flat)))
    return replace(
        data,
        offsets=np.append(0, np.cumsum([len(own) for own in take])),
        tokens=Tokens(codes, (*data.tokens.vocabulary, text)),
        logprobs=np.where(there, data.logprobs[flat], low),
        old_logprobs=np.where(there, data.old_logprobs[flat], low),
        advantages=np.repeat(data.advantages[data.offsets[:-1]], [len(own) for own in take]),
        mask=np.ones(len(flat), bool),
    )


@fault("scaled", "one side's log-probs in another base", {"old in log10": 1 / np.log(10), "old in log2": 1 / np.log(2)})
def _in_base(seed: int, factor: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return replace(data, old_logprobs=data.old_logprobs * factor)


@fault("scaled", "log-probs, not logits, divided by a temperature of", {"0.6": 0.6, "1.5": 1.5})
def _divided(seed: int, temperature: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return replace(data, logprobs=data.logprobs / temperature)


@fault("bf16", "log-probs stored in 16 bits", {"both": 0})
def _bf16(seed: int, _: Any, size: Size) -> Rollouts:
    data = _calm(seed, size)

    def rounded(values: np.ndarray) -> np.ndarray:
        return (values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)

    return replace(data, logprobs=rounded(data.logprobs), old_logprobs=rounded(data.old_logprobs))


@fault("no_signal", "advantages that are all 0", {"all": 0})
def _silent(seed: int, _: Any, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return replace(data, advantages=np.zeros(len(data.mask)))


def _graded(data: Rollouts, rewards: np.ndarray) -> Rollouts:
    """With these rewards [P, G] and the advantages that follow from them."""
    centred = rewards - rewards.mean(1, keepdims=True)
    advantages = centred / (rewards.std(1, ddof=1, keepdims=True) + 1e-6)
    return replace(data, advantages=_of(data, advantages.ravel()), rewards=tuple(rewards.ravel().tolist()))


def _table(data: Rollouts) -> np.ndarray:
    """Rewards [P, G]."""
    return np.array(data.rewards, float).reshape(len(set(data.groups)), -1)


@fault("dead_groups", "prompts too hard: groups without a right answer", {"seven in ten": 0.7, "one in five": 0.2})
def _dead(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    rewards = _table(data)
    rewards[_rng(seed).permutation(len(rewards))[: max(1, round(share * len(rewards)))]] = 0
    return _graded(data, rewards)


@fault("single_completions", "each completion a group of its own", {"all": 0})
def _single(seed: int, _: Any, size: Size) -> Rollouts:
    data = _calm(seed, size)  # verl gives a completion alone its reward
    return replace(data, groups=data.ids, advantages=_of(data, np.array(data.rewards, float)))


@fault("split_groups", "one prompt's completions in two groups", {"half of G each": 2, "a quarter of G each": 4})
def _split(seed: int, parts: int, size: Size) -> Rollouts:
    data = _calm(seed, {"group": 16} | size)
    whole = len(data) // len(set(data.groups))
    rewards = _table(data).reshape(-1, whole // parts)
    own = replace(data, prompts=tuple(f"prompt {i // whole}" for i in range(len(data))))
    return _graded(replace(own, groups=tuple(str(i // (whole // parts)) for i in range(len(data)))), rewards)


@fault("reward_sign", "advantages against the rewards", {"turned": 1.0, "of another completion": 0.0})
def _turned(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    own = data.advantages[data.offsets[:-1]]
    return replace(data, advantages=_of(data, -own if share else _rng(seed).permutation(own)))


@fault("one_sign", "no baseline taken off rewards of", {"0 and 1": 0.0, "−1 and 1": -1.0})
def _signed(seed: int, wrong: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    rewards = np.where(np.array(data.rewards) == 1, 1.0, wrong)
    return replace(data, advantages=_of(data, rewards), rewards=tuple(rewards.tolist()))


@fault("advantage_scale", "advantages times", {"40": 40.0, "10": 10.0})
def _scaled(seed: int, factor: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return replace(data, advantages=data.advantages * factor)


@fault("on_policy", "ratios of exactly 1", {"all": 1.0, "the first eighth": 1 / 8})
def _still(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    own = _of(data, np.arange(len(data)) < max(8, share * len(data)))
    return replace(data, logprobs=np.where(own, data.old_logprobs, data.logprobs))


def _raw(temperature: float) -> Sampler:
    """Drawn at this temperature; the log-probs that are written down know nothing of it."""
    return lambda full: (log_softmax(full / temperature), full)


def _processed(temperature: float) -> Sampler:
    """Drawn at this temperature and written down so; the trainer takes its own at 1."""

    def draw(full: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cooled = log_softmax(full / temperature)
        return cooled, cooled

    return draw


@fault(
    "temperature",
    "a temperature that the trainer does not apply: T =",
    {"0.6": 0.6, "0.8": 0.8, "0.9": 0.9, "1.2": 1.2},
)
def _cooled(seed: int, temperature: float, size: Size) -> Rollouts:
    return healthy(CALM, seed, sampler=_processed(temperature), **size)


def _noisy(seed: int, noise: float, size: Size) -> Rollouts:
    return healthy(replace(CALM, update=0.0, noise=noise), seed, **size)


@fault("temperature", "the same in 16 answers of about 30 tokens: T =", {"0.6": 0.6, "0.8": 0.8})
def _cooled_few(seed: int, temperature: float, size: Size) -> Rollouts:
    return _cooled(seed, temperature, size | {"prompts": 4, "group": 4, "length": 30})


@fault("engine_mismatch", "another engine or other weights: k3 =", {"0.027": 0.5, "0.013": 0.35})
def _mismatch(seed: int, noise: float, size: Size) -> Rollouts:
    return _noisy(seed, noise, size)


@fault("engine_mismatch", "the same beside an update of three epochs: k3 =", {"0.039": 0.6, "0.013": 0.35})
def _beside(seed: int, noise: float, size: Size) -> Rollouts:
    return healthy(replace(CALM, update=0.06, noise=noise), seed, **size)


@fault("sampler_not_old", "log π_old of older weights than those that drew: k3 =", {"0.027": 0.5, "0.013": 0.35})
def _not_old(seed: int, noise: float, size: Size) -> Rollouts:
    rng = _rng(seed)

    def draw(full: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return full, log_softmax(full + noise * rng.standard_normal(full.shape))

    return healthy(CALM, seed, sampler=draw, **size)


@fault("wrong_way", "both log-probs the wrong way round, after an update of", {"four epochs": 0.1, "one epoch": 0.03})
def _swapped(seed: int, update: float, size: Size) -> Rollouts:
    data = healthy(replace(CALM, update=update), seed, **size)
    return replace(data, logprobs=data.old_logprobs, old_logprobs=data.logprobs)


@fault("moved_far", "an update too large: times", {"30": 1.0, "20": 0.6})
def _far(seed: int, update: float, size: Size) -> Rollouts:
    return healthy(replace(CALM, update=update), seed, **size)


@fault("heavy_tail", "outliers of e^±1 among the ratios", {"1 in 100": 0.01, "1 in 400": 0.0025})
def _tail(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    out = _some(data, seed, share)
    old = _put(data.old_logprobs, out, data.old_logprobs[out] - 1.5)
    signs = _rng(seed).choice([-1.0, 1.0], len(out))
    return replace(data, old_logprobs=old, logprobs=_put(data.logprobs, out, old[out] + signs))


@fault("few_tokens", "1 token in 300 with a ratio of", {"e^5": 5.0, "e^4": 4.0})
def _few(seed: int, z: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    places = _some(data, seed, 1 / 300)
    old = _put(data.old_logprobs, places, -z - 0.5)
    return replace(data, old_logprobs=old, logprobs=_put(data.logprobs, places, -0.5))


@fault("beyond_clamp", "a token with log r = −30", {"one token": 0.0})
def _beyond(seed: int, _: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return replace(data, logprobs=_put(data.logprobs, _some(data, seed, 0.0), -40.0))


@fault("gspo_band", "a band of 1e-5 around s_i", {"asked about": 0})
def _band(seed: int, _: Any, size: Size) -> Rollouts:
    return _calm(seed, size)


def _moved(data: Rollouts, rows: np.ndarray, lag: int, begin: float = 0.0) -> Rollouts:
    new = np.array(data.logprobs)
    for i in np.flatnonzero(rows):
        part = slice(data.offsets[i] + int(begin * data.lengths[i]), data.offsets[i + 1])
        new[part] = np.roll(new[part], lag)
    return replace(data, logprobs=new)


@fault("shifted", "log-probs a token late in", {"all": 1.0, "half": 0.5, "a tenth": 0.1, "one in fifty": 0.02})
def _shift(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return _moved(data, _chosen(data, seed, share, 2), 1)


@fault("shifted", "log-probs seven tokens late in", {"half": 0.5})
def _further(seed: int, share: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return _moved(data, _chosen(data, seed, share, 2), 7)


@fault("shifted", "log-probs two tokens early, from the middle of half the sequences on", {"as said": 0})
def _late(seed: int, _: Any, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return _moved(data, _chosen(data, seed, 0.5), -2, 0.5)


def _kept(keep: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Sampler:
    """Drawn from what `keep` leaves of the tokens, likeliest first, scaled up and written down so."""

    def draw(full: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(-full, axis=1)
        ordered = np.exp(np.take_along_axis(full, order, 1))
        left = np.zeros(full.shape, bool)
        np.put_along_axis(left, order, keep(ordered, ordered.cumsum(1) - ordered), 1)
        cut = log_softmax(np.where(left, full, -1e4))
        return cut, cut

    return draw


@fault("truncated_sampling", "top-p =", {"0.9": 0.9, "0.95": 0.95, "0.99": 0.99})
def _top_p(seed: int, kept: float, size: Size) -> Rollouts:
    return healthy(CALM, seed, sampler=_kept(lambda _, before: before < kept), **size)


@fault("truncated_sampling", "min-p =", {"0.1": 0.1, "0.05": 0.05})
def _min_p(seed: int, least: float, size: Size) -> Rollouts:
    return healthy(CALM, seed, sampler=_kept(lambda ordered, _: ordered >= least * ordered[:, :1]), **size)


@fault("stale_sampler", "a sampler some updates behind, its own log-probs beside: k3 =", {"0.027": 0.5, "0.013": 0.35})
def _stale(seed: int, noise: float, size: Size) -> Rollouts:
    data = _noisy(seed, noise, size)
    update = 0.01 * np.sign(data.advantages) * -np.expm1(data.logprobs)
    return replace(
        data,
        sampler_logprobs=data.old_logprobs,
        old_logprobs=data.logprobs,
        logprobs=np.minimum(data.logprobs + update, 0),
    )


@fault("answers_dropped", "an engine that gives each token less: nats a token =", {"0.03": 0.03, "0.01": 0.01})
def _dropped(seed: int, push: float, size: Size) -> Rollouts:
    data = _calm(seed, size)
    return replace(data, sampler_logprobs=np.minimum(data.old_logprobs - push, 0.0))


@fault("sequence_sum", "small differences that add up along a sequence: z a token =", {"0.03": 0.03, "0.015": 0.015})
def _sum(seed: int, push: float, size: Size) -> Rollouts:
    data = _noisy(seed, 0.01, size)
    way = _of(data, _rng(seed).choice([-1.0, 1.0], len(data)))
    old = data.old_logprobs - 0.5
    return replace(data, old_logprobs=old, logprobs=data.logprobs - 0.5 + push * way)


@fault("advantage_recipe", "advantages of other groups or twice scaled", {"interleaved": "groups", "twice": "twice"})
def _recipe(seed: int, which: str, size: Size) -> Rollouts:
    data = _calm(seed, size)
    rewards = _table(data)
    if which == "groups":
        other = rewards.reshape(-1, len(rewards)).T.copy() if rewards.size % len(rewards) == 0 else rewards
        centred = (other - other.mean(1, keepdims=True)) / (other.std(1, ddof=1, keepdims=True) + 1e-6)
        return replace(data, advantages=_of(data, centred.T.ravel()))
    own = data.advantages[data.offsets[:-1]]
    return replace(data, advantages=_of(data, (own - own.mean()) / (own.std() + 1e-6) * 0.5))


def _of_step(data: Rollouts) -> np.ndarray:
    steps = np.array(data.steps, float)
    return _of(data, steps / max(steps.max(), 1))


@fault("entropy_falls", "entropy down over eight steps to", {"a fifth": 0.2, "two fifths": 0.4})
def _falls(seed: int, last: float, size: Size) -> Rollouts:
    data = healthy(STEPS, seed, **size)
    factor = last ** _of_step(data)
    return replace(data, old_logprobs=data.old_logprobs * factor, logprobs=data.logprobs * factor)


_FEW = "8 steps of one prompt with 8 completions, "


@fault("entropy_falls", _FEW + "entropy down to", {"a fifth": 0.2, "two fifths": 0.4})
def _falls_of_few(seed: int, last: float, size: Size) -> Rollouts:
    return _falls(seed, last, size | {"prompts": 8, "group": 8})


@fault("length_drifts", _FEW + "answers shorter, to", {"a quarter": 0.25, "two fifths": 0.4})
def _drifts_of_few(seed: int, last: float, size: Size) -> Rollouts:
    return _drifts(seed, last, size | {"prompts": 8, "group": 8})


@fault("length_drifts", "answers shorter over eight steps, to", {"a quarter": 0.25, "two fifths": 0.4})
def _drifts(seed: int, last: float, size: Size) -> Rollouts:
    data = healthy(STEPS, seed, **size)
    place = np.arange(len(data.mask)) - _of(data, data.offsets[:-1])
    return replace(data, mask=data.mask & (place < _of(data, data.lengths) * last ** _of_step(data)))


@fault(
    "mismatch_grows",
    "a sampler without new weights from the fifth of eight steps: k3 =",
    {"0.013": 0.35, "0.002": 0.14},
)
def _grows(seed: int, noise: float, size: Size) -> Rollouts:
    data, far = healthy(STEPS, seed, **size), healthy(replace(STEPS, noise=noise), seed, **size)
    assert (data.offsets == far.offsets).all()
    return replace(data, logprobs=np.where(_of_step(data) > 0.5, far.logprobs, data.logprobs))


@fault("mismatch_grows", _FEW + "a sampler without new weights from the fifth on: k3 =", {"0.013": 0.35, "0.002": 0.14})
def _grows_of_few(seed: int, noise: float, size: Size) -> Rollouts:
    return _grows(seed, noise, size | {"prompts": 8, "group": 8})
