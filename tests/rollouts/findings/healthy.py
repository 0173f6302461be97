"""Healthy runs from a seed, eight kinds: what no finding may accuse.

Tokens are drawn from softmax contexts over 64 words, so that what holds for real policies holds exactly: E[r] = 1, and
a change of the logits is a change of a whole distribution. π_θ is π_old after an update along the advantages (the
score function, e − π) and, by kind, after noise on its logits, as an older copy of the weights or another engine
gives. Contexts come from a pool, since a file needs ten thousand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from zlib import crc32

import numpy as np

from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.vocabulary import Tokens

_WORDS, _POOL = 64, 4096
_ROWS = 512  # contexts at a time: as many as a processor's cache holds
Sampler = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # [M, W] -> drawn from, written down


@dataclass(frozen=True)
class Kind:
    """How a healthy run differs from the calm one."""

    name: str
    update: float = 0.03  # of the logits, along A
    noise: float = 0.0  # standard deviation on the logits
    rounded: float = 0.0  # the sampler's logits are rounded to multiples of this, as a 16-bit engine does
    per_token: bool = False  # advantages as GAE gives them, one per token, without groups
    steps: int = 1
    tools: bool = False  # a tool's answer in the middle of a third of the sequences, masked
    of_prompt: float = 0.0  # in logs, how far prompts differ in the length of their answers and in how sure they are
    kept: float = 1.0  # share of the sequences, picked at random: the file has a part of each group


KINDS = (
    Kind("calm: one update"),
    Kind("four epochs on one rollout", update=0.1),
    Kind("a sampler two updates behind", update=0.04, noise=0.03),
    Kind("a sampler in bfloat16", update=0.01, noise=0.04, rounded=1 / 16),
    Kind("GAE: an advantage per token", per_token=True),
    Kind("eight steps, with a tool's masked answers", steps=8, tools=True),
    Kind("eight steps, prompts that differ in length and entropy", steps=8, of_prompt=0.5),
    Kind("a quarter of twice as many, as a recorder keeps them", kept=0.25),
)


def healthy(
    kind: Kind, seed: int, *, prompts: int = 16, group: int = 8, length: float = 100, sampler: Sampler | None = None
) -> Rollouts:
    """128 sequences of 20 to 400 tokens, of 16 prompts with 8 completions each; other numbers where they are given.

    `length` is the median; the shortest has a fifth of it and the longest four times as much. `sampler` takes the
    log-probs of all contexts and gives what is drawn from and what is written down: a fault of its own.
    """
    rng = np.random.default_rng((seed, crc32(kind.name.encode())))
    prompts *= 2 if kind.kept < 1 else 1
    count = prompts * group
    lengths = np.clip(length * np.exp(rng.normal(0, 0.4, count)), 0.2 * length, 4 * length)
    surer = np.ones(count)
    if kind.of_prompt:
        lengths *= np.repeat(np.exp(rng.normal(0, kind.of_prompt, prompts)), group)
        surer *= np.repeat(np.exp(rng.normal(0, kind.of_prompt, prompts)), group)
    lengths = np.maximum(lengths, 8).astype(np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    total = int(offsets[-1])
    rewards = (rng.random((prompts, group)) < rng.beta(2, 2, prompts)[:, None]).astype(float)
    centred = rewards - rewards.mean(1, keepdims=True)
    advantages = np.repeat((centred / (rewards.std(1, ddof=1, keepdims=True) + 1e-6)).ravel(), lengths)
    if kind.per_token:
        advantages = rng.standard_normal(total) + 0.3 * advantages
    old, chosen, new = _policies(kind, rng, advantages, np.repeat(surer, lengths), sampler or (lambda x: (x, x)))
    mask = np.ones(total, bool)
    if kind.tools:
        for i in np.flatnonzero(rng.random(count) < 1 / 3):
            first = offsets[i] + lengths[i] // 3
            mask[first : first + lengths[i] // 4] = False
    grouped = not kind.per_token
    whole = Rollouts(
        name=f"{kind.name}, {seed}",
        offsets=offsets,
        tokens=Tokens(chosen.astype(np.int32), tuple(f"w{i}" for i in range(_WORDS))),
        logprobs=np.minimum(new.astype(np.float32).astype(np.float64), 0.0),
        old_logprobs=np.minimum(old.astype(np.float32).astype(np.float64), 0.0),
        advantages=advantages,
        mask=mask,
        ids=tuple(map(str, range(count))),
        prompts=(None,) * count,
        rewards=tuple(rewards.ravel().tolist()) if grouped else (None,) * count,
        groups=tuple(str(i // group) if grouped else None for i in range(count)),
        steps=tuple(i // group * kind.steps // prompts if kind.steps > 1 else None for i in range(count)),
    )
    return whole if kind.kept == 1 else _part(whole, np.sort(rng.permutation(count)[: round(kind.kept * count)]))


def _part(data: Rollouts, indices: np.ndarray) -> Rollouts:
    """These sequences alone."""
    parts = [np.arange(data.offsets[i], data.offsets[i + 1]) for i in indices]
    take = np.concatenate(parts)
    flat = {name: getattr(data, name)[take] for name in ("logprobs", "old_logprobs", "advantages", "mask")}
    labels = {
        name: tuple(getattr(data, name)[i] for i in indices)
        for name in ("ids", "prompts", "rewards", "groups", "steps")
    }
    offsets = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
    tokens = Tokens(data.tokens.codes[take], data.tokens.vocabulary)
    return replace(data, offsets=offsets, tokens=tokens, **flat, **labels)


def _policies(
    kind: Kind, rng: np.random.Generator, advantages: np.ndarray, surer: np.ndarray, sampler: Sampler
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sampler's log-prob of each token, the token, and its log π_θ. Each [M]"""
    total = len(advantages)
    context = rng.integers(0, _POOL, total)
    contexts = _contexts()[:, np.argsort(rng.random(_WORDS))]  # other words each file
    chance = rng.random((total, 1))
    written, chosen, new = np.empty(total), np.empty(total, np.int64), np.empty(total)
    for start in range(0, total, _ROWS):
        part = slice(start, min(start + _ROWS, total))
        logits = contexts[context[part]] * surer[part, None]
        old = log_softmax(logits if not kind.rounded else np.round(logits / kind.rounded) * kind.rounded)
        drawn, down = sampler(old)
        words = np.minimum((np.exp(drawn).cumsum(1) < chance[part]).sum(1), _WORDS - 1)
        place = np.arange(len(words))
        moved = logits - kind.update * advantages[part, None] * np.exp(old)
        moved[place, words] += kind.update * advantages[part]
        if kind.noise:
            moved += kind.noise * rng.standard_normal(moved.shape)
        written[part], chosen[part], new[part] = down[place, words], words, log_softmax(moved)[place, words]
    return written, chosen, new


@cache
def _contexts() -> np.ndarray:
    """Logits of contexts of mixed entropy: from sure of one word to undecided among all. [4096, 64]"""
    rng = np.random.default_rng(9)
    scale = rng.choice([1.5, 3.0, 6.0, 12.0], size=_POOL, p=[0.1, 0.2, 0.3, 0.4])
    return rng.gumbel(size=(_POOL, _WORDS)) * scale[:, None]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))
