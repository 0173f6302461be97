"""Addition: what the teacher writes, and that the reward is exact."""

from __future__ import annotations

import random

import pytest

from sapo_viz.models.tasks import ADDITION

PROMPT = "^864+394="  # 864 + 394 = 1258: the design's example
RIGHT = "4+4+0=08,6+9+0=15,8+3+1=12;1258$"


def test_a_faultless_teacher_writes_the_example_of_the_design() -> None:
    assert ADDITION.teacher(PROMPT, random.Random(0), 0.0) == RIGHT


@pytest.mark.parametrize(
    ("completion", "reward"),
    [
        (RIGHT, 1.0),
        (RIGHT.replace("6+9+0=15", "6+9+0=16"), 1.0),  # only the answer counts, not the working
        (";1258$", 1.0),
        (RIGHT.replace("1258", "1259"), 0.0),
        (RIGHT.replace("1258", "258"), 0.0),
        (RIGHT.replace("1258", "01258"), 0.0),
        (RIGHT[:-1], 0.0),  # not ended
        (RIGHT + "$", 0.0),
        ("$" + RIGHT, 0.0),
        (RIGHT.replace(";1258", ";1258;1257"), 0.0),
        ("1258$", 0.0),
        ("", 0.0),
    ],
)
def test_the_reward_is_one_for_the_exact_answer_and_nothing_else(completion: str, reward: float) -> None:
    assert ADDITION.reward(PROMPT, completion) == reward


def test_every_prompt_and_completion_has_the_stated_length_and_symbols() -> None:
    rng = random.Random(1)
    for prompt in ADDITION.sample_prompts(300, rng):
        completion = ADDITION.teacher(prompt, rng, 0.5)
        assert len(prompt) == ADDITION.prompt_length and len(completion) == ADDITION.completion_length
        assert set(prompt + completion) <= set(ADDITION.vocabulary)
        assert ADDITION.reward(prompt, ADDITION.teacher(prompt, rng, 0.0)) == 1.0


def test_the_noisy_teacher_carries_its_mistakes_on() -> None:
    """A wrong column's tens are the next column's carry and its units the answer's digit."""
    rng = random.Random(2)
    for prompt in ADDITION.sample_prompts(200, rng):
        working, answer = ADDITION.teacher(prompt, rng, 0.9).rstrip("$").split(";")
        columns = [column.split("=") for column in working.split(",")]
        results = [int(result) for _, result in columns]
        carries = [int(column.split("+")[2]) for column, _ in columns]
        assert carries == [0, results[0] // 10, results[1] // 10]
        assert answer == f"{results[2] // 10}{results[2] % 10}{results[1] % 10}{results[0] % 10}"


def test_a_third_of_wrong_columns_leaves_three_answers_in_ten() -> None:
    """(1 − 0.33)³ = 0.30, plus the rare mistake that does not show; n = 2000, sd 0.010."""
    rng = random.Random(3)
    prompts = ADDITION.sample_prompts(2000, rng)
    right = sum(ADDITION.reward(prompt, ADDITION.teacher(prompt, rng, 0.33)) for prompt in prompts) / 2000
    assert right == pytest.approx(0.30, abs=0.04)
