"""The tasks: what each teacher writes, and that each reward is exact."""

from __future__ import annotations

import random

import pytest

from sapo_viz.models.pictures import with_places
from sapo_viz.models.tasks import ADDITION, CHAIN, GRID, LINKS, SPELLINGS, SYNONYMS, TASKS, Task, meaning
from sapo_viz.models.tokenizer import encode, make_tokenizer

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


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_prompt_and_completion_has_the_stated_length_and_symbols(task: Task) -> None:
    rng, tokenizer = random.Random(1), make_tokenizer(task)
    assert len(set(task.vocabulary)) == len(task.vocabulary)
    for prompt in task.sample_prompts(100, rng):
        completion = task.teacher(prompt, rng, 0.5)
        shown, prompt = prompt, with_places(prompt) if task.pictured else prompt
        ids = encode(tokenizer, prompt + completion)
        assert len(encode(tokenizer, prompt)) == task.prompt_length
        assert len(ids) == task.prompt_length + task.completion_length or task.pictured
        assert len(ids) <= task.prompt_length + task.completion_length
        assert task.vocabulary[ids[-1]] in (task.ends or (task.end,))
        assert tokenizer.decode(ids) == prompt + completion
        assert task.reward(shown, task.teacher(shown, rng, 0.0)) == 1.0


def test_one_task_is_long_and_one_has_a_large_vocabulary() -> None:
    assert CHAIN.completion_length >= 128 and len(SYNONYMS.vocabulary) >= 8000
    live = {symbol for symbol in SYNONYMS.vocabulary if meaning(symbol) in "0123456789+=,;$"}
    assert len(live) == 15 * SPELLINGS


CHAINED = CHAIN.teacher("^38:", random.Random(0), 0.0)


def test_a_faultless_chain_follows_the_sums() -> None:
    """The numbers were added by hand, each of the two before it."""
    numbers = [3, 8, 1, 9, 0, 9, 9, 8, 7, 5, 2, 7, 9, 6, 5, 1, 6, 7, 3, 0, 3, 3, 6, 9]
    assert len(numbers) == LINKS + 2
    links = [f"{a}+{b}={c}" for a, b, c in zip(numbers, numbers[1:], numbers[2:], strict=False)]
    assert ",".join(links) + ";69$" == CHAINED


@pytest.mark.parametrize(
    ("completion", "reward"),
    [
        (CHAINED, 1.0),
        (";69$", 1.0),  # only the last two numbers count
        (CHAINED.replace(";69", ";68"), 0.0),
        (CHAINED.replace(";69", ";9"), 0.0),
        (CHAINED[:-1], 0.0),
        (CHAINED + "$", 0.0),
        ("69$", 0.0),
        ("", 0.0),
    ],
)
def test_the_chains_reward_is_for_its_last_two_numbers(completion: str, reward: float) -> None:
    assert CHAIN.reward("^38:", completion) == reward


def test_a_slip_in_the_chain_is_carried_on() -> None:
    rng = random.Random(4)
    for prompt in CHAIN.sample_prompts(50, rng):
        links, answer = CHAIN.teacher(prompt, rng, 0.5).rstrip("$").split(";")
        parts = [(link[0], link[2], link[4]) for link in links.split(",")]
        assert parts[0][:2] == (prompt[1], prompt[2]) and answer == parts[-1][1] + parts[-1][2]
        assert all(left[1:] == right[:2] for left, right in zip(parts, parts[1:], strict=False))


@pytest.mark.parametrize(
    ("completion", "reward"),
    [
        (RIGHT, 1.0),
        (";1qz2ab58zz!uv", 1.0),
        (";qz1258$", 1.0),
        (";1qz2ab59zz!uv", 0.0),
        (";1qz2ab58zz", 0.0),
        (";1258!uv$", 0.0),  # ended twice
        (";1qqq258$", 0.0),
    ],
)
def test_synonyms_are_rewarded_for_what_they_mean(completion: str, reward: float) -> None:
    assert SYNONYMS.reward(PROMPT, completion) == reward


@pytest.mark.parametrize(
    ("completion", "reward"),
    [
        ("b1,c1,a2,d4;4$", 1.0),
        ("b1,a2,c1,d4;4$", 0.0),  # row by row
        ("b1,c1,a2;3$", 0.0),
        ("b1,c1,a2,d4;3$", 0.0),
        ("b1,c1,a2,d4;4", 0.0),  # not ended
        (";4$", 0.0),
    ],
)
def test_a_picture_is_rewarded_for_all_of_its_cells_and_their_number(completion: str, reward: float) -> None:
    assert GRID.reward("⟨image 0110 1000 0000 0001⟩?", completion) == reward


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
