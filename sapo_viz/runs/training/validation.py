"""How a policy does on prompts that it is never trained on: its likeliest answer to each, and k samples of each.

    held_out                        mean over the prompts of what the likeliest (greedy) answer is worth, 1 if right
    held_out_low, held_out_high     its 95 % interval over prompts: Wilson's for right and wrong, else a normal's
    pass_k                          share of prompts with at least one right of k samples; else the mean best of k

Randomness follows from (seed, step), with a generator of its own: a run's other numbers do not change by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from sapo_viz.core.lazy import torch
from sapo_viz.models.policy import Policy
from sapo_viz.models.rollout import decode, sample
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.questions.exercise import Exercise

_Z = 1.959964  # of a normal distribution, 2.5 % lie beyond
SHOWN = 8  # held-out prompts whose likeliest answers are kept word for word, to be read beside the start's
_LONGEST = 600  # characters of such a prompt or answer

Answer = tuple[str, float | None]  # a completion, and what it is worth


@dataclass(frozen=True)
class Look:
    """One look at what is held out. Nothing in it without held-out prompts."""

    metrics: dict[str, float] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(
        default_factory=list
    )  # prompt, completion, reward; the same prompts each time

    @property
    def told(self) -> dict[str, Any]:
        """What an event carries of it beside the metrics."""
        return {"answers": self.answers} if self.answers else {}


def validate(
    config: RunConfig, policy: Policy, exercise: Exercise, step: int, should_stop: Callable[[], bool]
) -> Look | None:
    """One look; None if `should_stop` said so."""
    if not exercise.held_out:
        return Look()
    greedy = _answered(config, policy, exercise, 1, None, should_stop)
    if greedy is None:
        return None
    answers = [
        _row(exercise, prompt, *answer)
        for prompt, (answer,) in zip(exercise.held_out[:SHOWN], greedy[:SHOWN], strict=True)
    ]
    values = [worth for ((_text, worth),) in greedy if worth is not None]
    if not values:
        return Look(answers=answers)
    low, high = interval(values, counts=exercise.counts_right)
    found = {"held_out": fmean(values), "held_out_low": low, "held_out_high": high}
    if config.pass_at:
        generator = torch.Generator(policy.device).manual_seed(config.seed * 1_000_003 + step)
        sampled = _answered(config, policy, exercise, config.pass_at, generator, should_stop)
        if sampled is None:
            return None
        groups = [[worth for _text, worth in group if worth is not None] for group in sampled]
        best = [max(group) for group in groups if group]
        if best:
            found["pass_k"] = fmean(best)
    return Look(found, answers)


def interval(values: Sequence[float], *, counts: bool) -> tuple[float, float]:
    """95 %, over prompts. Of one number that is no count, itself."""
    n, mean = len(values), fmean(values)
    if counts and set(values) <= {0.0, 1.0}:
        centre, scale = mean + _Z**2 / (2 * n), 1 + _Z**2 / n
        half = _Z * math.sqrt(mean * (1 - mean) / n + _Z**2 / (4 * n**2))
        return max(0.0, min(mean, (centre - half) / scale)), min(1.0, max(mean, (centre + half) / scale))
    half = _Z * stdev(values) / math.sqrt(n) if n > 1 else 0.0
    return mean - half, mean + half


def _row(exercise: Exercise, prompt: str, completion: str, worth: float | None) -> dict[str, Any]:
    question, answer = exercise.plain(prompt, completion)
    return {"prompt": _cut(question), "completion": _cut(answer), "reward": worth}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 2] + " …"


def _answered(
    config: RunConfig,
    policy: Policy,
    exercise: Exercise,
    completions: int,
    generator: torch.Generator | None,
    should_stop: Callable[[], bool],
) -> list[tuple[Answer, ...]] | None:
    """Each held-out prompt's completions and what they are worth, no more of them at once than in a rollout."""
    found: list[tuple[Answer, ...]] = []
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
            found.append(tuple((text, exercise.correct(prompt, text)) for text in own))
    return found


def _batches(prompts: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(prompts), size):
        yield list(prompts[start : start + size])
