"""Rollouts made from a seed, with one fault put in: what the tests of findings, fits and disagreements share."""

from __future__ import annotations

from typing import Any

import numpy as np

from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.vocabulary import Tokens


def rollouts(**changes: Any) -> Rollouts:
    """64 sequences of about 60 tokens in 8 groups of 8, calm: an update moved z a little, with A. `changes` replace."""
    rng = np.random.default_rng(0)
    count, group = 64, 8
    lengths = rng.integers(40, 81, count)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    total = int(offsets[-1])
    rewards = rng.integers(0, 2, (count // group, group)).astype(float)
    rewards[:, 0], rewards[:, 1] = 0, 1  # every group has a spread
    advantages = ((rewards - rewards.mean(1, keepdims=True)) / (rewards.std(1, ddof=1, keepdims=True) + 1e-6)).ravel()
    old = np.where(rng.random(total) < 0.6, -1e-3 * rng.random(total), -rng.exponential(1.2, total))
    per_token = np.repeat(advantages, lengths)
    surprise = -np.expm1(old)  # a sure token cannot move much
    z = surprise * (0.03 * rng.standard_normal(total) + 0.02 * per_token * rng.random(total))
    fields: dict[str, Any] = dict(
        name="made",
        offsets=offsets,
        tokens=Tokens(np.zeros(total, np.int32), ("x",)),
        logprobs=np.minimum(old + z, 0.0),
        old_logprobs=old,
        advantages=per_token,
        mask=np.ones(total, bool),
        ids=tuple(map(str, range(count))),
        prompts=(None,) * count,
        rewards=tuple(rewards.ravel().tolist()),
        groups=tuple(str(i // group) for i in range(count)),
        steps=(None,) * count,
    )
    return Rollouts(**(fields | changes))


def tempered(
    alpha: float, *, tokens: int = 24_000, words: int = 60, of_new: bool = False, top_p: float = 1.0
) -> Rollouts:
    """Tokens sampled from softmax contexts of mixed entropy; the new log-probs are the old logits times `alpha`.

    With `of_new` the tokens are sampled from the new distribution instead of the old one. With `top_p` the old one
    is cut to the likeliest tokens that hold this mass, and scaled up. No update at all.
    """
    rng = np.random.default_rng(1)
    scale = rng.choice([1.5, 3.0, 6.0, 12.0], size=tokens, p=[0.1, 0.2, 0.3, 0.4])
    old = _log_softmax(rng.gumbel(size=(tokens, words)) * scale[:, None])
    new = _log_softmax(alpha * old)
    if top_p < 1:
        order = np.argsort(-old, axis=1)
        before = np.take_along_axis(np.exp(old), order, 1).cumsum(1) - np.take_along_axis(np.exp(old), order, 1)
        keep = np.zeros_like(old, dtype=bool)
        np.put_along_axis(keep, order, before < top_p, 1)
        old = _log_softmax(np.where(keep, old, -1e4))
    sampler = np.exp(new if of_new else old)
    chosen = np.minimum((sampler.cumsum(1) < rng.random((tokens, 1))).sum(1), words - 1)
    place = np.arange(tokens)
    noise = 0.01 * rng.standard_normal(tokens) * -np.expm1(old[place, chosen])
    lengths = np.full(tokens // 200, 200)
    signs = np.repeat(np.where(np.arange(len(lengths)) % 2, 1.0, -1.0), lengths)
    return rollouts(
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        tokens=Tokens(np.zeros(tokens, np.int32), ("x",)),
        logprobs=np.minimum(new[place, chosen] + noise, 0.0),
        old_logprobs=old[place, chosen],
        advantages=signs,
        mask=np.ones(tokens, bool),
        ids=tuple(map(str, range(len(lengths)))),
        **{name: (None,) * len(lengths) for name in ("prompts", "rewards", "groups", "steps")},
    )


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))
