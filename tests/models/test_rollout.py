"""Sampling: its log-probs are the policy's, its mask ends at the end symbol, its draws follow the distribution."""

from __future__ import annotations

import random

import torch

from sapo_viz.models.policy import Policy
from sapo_viz.models.rollout import Rollout, _draw, completion_logprobs, decode, sample
from sapo_viz.models.tasks import ADDITION


def rolled(policy: Policy, prompts: list[str], completions: int = 2, **more: object) -> Rollout:
    generator = torch.Generator().manual_seed(0)
    rollout = sample(policy, prompts, completions, max_length=32, generator=generator, **more)  # type: ignore[arg-type]
    assert rollout is not None
    return rollout


def test_the_samplers_logprobs_are_the_policys_own(start: Policy) -> None:
    prompts = ADDITION.sample_prompts(4, random.Random(0))
    for temperature in (1.0, 0.7):
        rollout = rolled(start, prompts, temperature=temperature)
        again = completion_logprobs(start, rollout, temperature=temperature)
        torch.testing.assert_close(rollout.logprobs[rollout.mask], again[rollout.mask], atol=2e-5, rtol=0)


def test_prompts_of_different_lengths_do_not_disturb_one_another(start: Policy) -> None:
    """Padded together on the left, each has the greedy completion that it has alone."""
    prompts = ["^864+394=", "864+394=", "^12+3="]
    together = decode(start, rolled(start, prompts, 1, greedy=True))
    alone = [decode(start, rolled(start, [prompt], 1, greedy=True))[0] for prompt in prompts]
    assert together == alone
    rollout = rolled(start, prompts, 2)
    again = completion_logprobs(start, rollout)
    torch.testing.assert_close(rollout.logprobs[rollout.mask], again[rollout.mask], atol=2e-5, rtol=0)


def test_the_mask_covers_the_end_symbol_and_nothing_after_it(start: Policy) -> None:
    rollout = rolled(start, ADDITION.sample_prompts(8, random.Random(1)), 8, temperature=2.0)
    for ids, mask in zip(rollout.ids.tolist(), rollout.mask.tolist(), strict=True):
        end = start.tokenizer.eos_token_id
        length = ids.index(end) + 1 if end in ids else len(ids)
        assert mask == [True] * length + [False] * (len(ids) - length)


def test_noise_makes_the_sampler_differ_from_the_trainer(start: Policy) -> None:
    rollout = rolled(start, ADDITION.sample_prompts(8, random.Random(2)), 4, noise=1.0)
    difference = (rollout.logprobs - completion_logprobs(start, rollout))[rollout.mask]
    assert difference.abs().max() > 0.5


def test_a_stop_ends_the_sampling_between_two_tokens(start: Policy) -> None:
    answers = iter([False] * 5 + [True] * 100)
    assert sample(start, ["^864+394="], 2, max_length=32, should_stop=lambda: next(answers)) is None
    assert next(answers) is True  # asked six times, not thirty-two


def test_draws_follow_the_distribution_and_never_take_the_impossible() -> None:
    """n = 20,000: the standard error of a share is at most 0.0035."""
    probabilities = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0])
    drawn = _draw(probabilities.log().expand(20_000, 6), torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=6) / 20_000
    torch.testing.assert_close(shares, probabilities, atol=0.014, rtol=0)
    assert shares[[0, 2, 5]].tolist() == [0, 0, 0]
