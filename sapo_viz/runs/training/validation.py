"""How a policy does on prompts that it is never trained on: its likeliest answer to each, and k samples of each.

    held_out                        mean over the prompts of what the likeliest (greedy) answer is worth, 1 if right
    held_out_low, held_out_high     its 95 % interval over prompts: Wilson's for right and wrong, else a normal's
    pass_k                          share of prompts with at least one right of k samples; else the mean best of k

Randomness follows from (seed, step), with a generator of its own: a run's other numbers do not change by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, stdev

from sapo_viz.core.lazy import torch
from sapo_viz.models.policy import Policy
from sapo_viz.models.rollout import decode, sample
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.questions.exercise import Exercise

_Z = 1.959964  # of a normal distribution, 2.5 % lie beyond


def validate(
    config: RunConfig, policy: Policy, exercise: Exercise, step: int, should_stop: Callable[[], bool]
) -> dict[str, float] | None:
    """The metrics of one look; empty without held-out prompts, None if `should_stop` said so."""
    if not exercise.held_out:
        return {}
    greedy = _worth(config, policy, exercise, 1, None, should_stop)
    if greedy is None:
        return None
    values = [best for (best,) in greedy if best is not None]
    if not values:
        return {}
    low, high = interval(values, counts=exercise.counts_right)
    found = {"held_out": fmean(values), "held_out_low": low, "held_out_high": high}
    if config.pass_at:
        generator = torch.Generator(policy.device).manual_seed(config.seed * 1_000_003 + step)
        sampled = _worth(config, policy, exercise, config.pass_at, generator, should_stop)
        if sampled is None:
            return None
        best = [max(value for value in group if value is not None) for group in sampled if set(group) != {None}]
        if best:
            found["pass_k"] = fmean(best)
    return found


def interval(values: Sequence[float], *, counts: bool) -> tuple[float, float]:
    """95 %, over prompts. Of one number that is no count, itself."""
    n, mean = len(values), fmean(values)
    if counts and set(values) <= {0.0, 1.0}:
        centre, scale = mean + _Z**2 / (2 * n), 1 + _Z**2 / n
        half = _Z * math.sqrt(mean * (1 - mean) / n + _Z**2 / (4 * n**2))
        return max(0.0, min(mean, (centre - half) / scale)), min(1.0, max(mean, (centre + half) / scale))
    half = _Z * stdev(values) / math.sqrt(n) if n > 1 else 0.0
    return mean - half, mean + half


def _worth(
    config: RunConfig,
    policy: Policy,
    exercise: Exercise,
    completions: int,
    generator: torch.Generator | None,
    should_stop: Callable[[], bool],
) -> list[tuple[float | None, ...]] | None:
    """What each held-out prompt's completions are worth, no more of them at once than in a rollout."""
    found: list[tuple[float | None, ...]] = []
    for prompts in _batches(exercise.held_out, max(1, config.prompts * config.completions // completions)):
        rollout = sample(
            policy,
            prompts,
            completions,
            max_length=exercise.completion_length,
            temperature=config.temperature,
            greedy=generator is None,
            low_precision=config.dtype == "bfloat16",
            generator=generator,
            should_stop=should_stop,
        )
        if rollout is None:
            return None
        texts = decode(policy, rollout)
        for place, prompt in enumerate(prompts):
            own = texts[place * completions : (place + 1) * completions]
            found.append(tuple(exercise.correct(prompt, text) for text in own))
    return found


def _batches(prompts: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(prompts), size):
        yield list(prompts[start : start + size])
