"""Two answers of the starting policy, one right and one wrong, that every snapshot scores again.

A step's snapshot has that step's own prompts, so no token of it can be followed. These can: the same token ids, with
log π of the policy as it is then beside log π of the policy that the run started from. They are sampled once from the
start, with a generator of their own: a run's other numbers do not change by it, and a resumed run has the same two.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch
from sapo_viz.models.policy import Policy
from sapo_viz.models.rollout import Rollout, completion_logprobs, decode, sample
from sapo_viz.runs.questions.exercise import EXAMPLES, Exercise

if TYPE_CHECKING:
    from torch import Tensor

_PROMPTS, _EACH = 4, 8  # where the two are looked for
_SEED = "probe"


@dataclass(frozen=True)
class Probe:
    """`rows` of the rollout are the answers, in the order of `prompts` and `rewards`."""

    rows: Rollout
    prompts: tuple[str, ...]
    rewards: tuple[float, ...]
    temperature: float
    examples: list[dict[str, Any]] = field(default_factory=list)  # a few of the start's answers, and what they earned


def take_probe(start: Policy, task: Exercise, seed: int, temperature: float = 1.0) -> Probe | None:
    """The first answer with the largest reward and the first with the smallest; one, if all are alike."""
    prompts = task.sample_prompts(_PROMPTS, random.Random(f"{seed}/{_SEED}"))
    device = next(start.model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    rollout = sample(
        start, prompts, _EACH, max_length=task.completion_length, temperature=temperature, generator=generator
    )
    if rollout is None:
        return None
    each = [prompt for prompt in prompts for _ in range(_EACH)]
    texts = decode(start, rollout)
    earned = list(map(task.reward, each, texts))
    rewards = [0.0 if value is None else value for value in earned]
    first = list(dict.fromkeys([rewards.index(max(rewards)), *range(0, len(texts), _EACH), *range(len(texts))]))
    examples = [
        {"prompt": each[place], "completion": texts[place], "reward": earned[place]} for place in first[:EXAMPLES]
    ]
    places = list(dict.fromkeys([rewards.index(max(rewards)), rewards.index(min(rewards))]))
    return Probe(
        rollout.rows(torch.tensor(places, device=device)),
        tuple(each[place] for place in places),
        tuple(float(rewards[place]) for place in places),
        temperature,
        examples,
    )


def probe_rows(probe: Probe, policy: Policy) -> list[dict[str, Any]]:
    """One JSON object an answer: prompt, reward, tokens, and their log-probs now and under the starting policy."""
    with torch.no_grad():
        now = completion_logprobs(policy, probe.rows, temperature=probe.temperature)
    rows = []
    for index, length in enumerate(probe.rows.mask.sum(1).tolist()):
        cut = slice(0, int(length))
        rows.append(
            {
                "prompt": probe.prompts[index],
                "reward": probe.rewards[index],
                "tokens": policy.texts(probe.rows.ids[index, cut].tolist()),
                "logprobs": _numbers(now[index, cut]),
                "start_logprobs": _numbers(probe.rows.logprobs[index, cut]),
            }
        )
    return rows


def _numbers(logprobs: Tensor) -> list[float]:
    return [min(round(value, 4), 0.0) for value in logprobs.tolist()]
