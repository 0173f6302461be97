"""reasoning-gym's generators and scorers. What needs the package (the extra `gym`) is skipped without it."""

from __future__ import annotations

import inspect
import json
import re
from importlib.util import find_spec

import pytest

from sapo_viz.errors import RolloutError, RunError
from sapo_viz.models.policy import load_policy
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.exports.reward import reward_file
from sapo_viz.runs.questions import gym
from sapo_viz.runs.questions.exercise import complete, examples_of, reward_line, reward_of, text_exercise

installed = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason="reasoning-gym is not installed")
ENTRY = {"question": "1 + 1 =", "answer": "2", "metadata": {"source_dataset": "chain_sum"}}


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("<answer> 4 </answer> no, <answer>\n5\n</answer>.", "5"),
        ("I add them.\nIt is 7", "It is 7"),
        ("<answer>8", "<answer>8"),
        ("", ""),
    ],
)
def test_the_answer_is_the_last_tagged_one_or_the_last_line(completion: str, answer: str) -> None:
    assert gym.extracted(completion) == answer


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("reasoning-gym:", "it takes names of generators"),
        ("reasoning-gym:chain_sum*0", "from 1 to 10,000"),
        ("reasoning-gym:../x", "it takes names of generators"),
        ("reasoning-gym:chain_sum,countdown", "the scorer of countdown evaluates answers as Python"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(data: str, said: str) -> None:
    with pytest.raises(RolloutError, match=re.escape(said)):
        gym.gym_table(data)


def test_a_row_that_names_an_evaluating_scorer_or_none_is_not_scored() -> None:
    with pytest.raises(RunError, match="the scorer of n_queens evaluates answers"):
        gym.score("1", {"entry": json.dumps(ENTRY | {"metadata": {"source_dataset": "n_queens"}})})
    with pytest.raises(RunError, match="gym scores questions of reasoning-gym"):
        gym.score("1", {"entry": "none"})


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gym.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RunError, match=re.escape("pip install 'sapo-viz[gym]'")):
        reward_of(RunConfig(task="questions", data="reasoning-gym:chain_sum"))


def test_its_questions_bring_their_reward_and_their_template() -> None:
    config = RunConfig(task="questions", data="reasoning-gym:chain_sum@12345678")
    assert reward_line(config) == "gym" and "<answer>" in complete(config).template
    assert reward_line(RunConfig(task="questions", data="sums.csv")) == "exact"


@installed
def test_an_export_says_that_it_cannot_carry_the_scorers() -> None:
    with pytest.raises(RunError, match="no export carries"):
        reward_file(RunConfig(task="questions", data="reasoning-gym:chain_sum"), end=False)


@installed
def test_generated_questions_are_scored_by_their_own_scorer() -> None:
    """Its answers earn 1, others what chain_sum gives them; the same questions come each time."""
    config = RunConfig(task="questions", data="reasoning-gym:chain_sum,leg_counting*20", policy="addition-start")
    table = gym.gym_table(config.data)
    assert len(table) == 40 and table.digest == gym.gym_table(config.data).digest
    told = examples_of(config, table, reward_of(config))
    assert told.scores == (1.0,) * 5 and told.train + told.held_out == 40
    assert told.questions[0].text.endswith("between <answer> and </answer>.")
    answer = told.questions[0].answer
    assert gym.score(f"So: <answer>{answer}</answer>", told.questions[0].row) == 1.0
    assert gym.score("<answer>none</answer>", told.questions[0].row) < 0.5
    exercise = text_exercise(config, load_policy("addition-start"), table, reward_of(config))
    assert exercise.correct(exercise.held_out[0], "no idea") < 0.5


@installed
def test_every_scorer_that_evaluates_an_answer_is_refused() -> None:
    """propositional_logic's parse_expr is a parser of its own."""
    from reasoning_gym.factory import DATASETS

    found = {
        name
        for name, (cls, _config) in DATASETS.items()
        if re.search(r"\beval\(|\bexec\(|parse_expr\(|sympify\(", inspect.getsource(cls.score_answer))
    }
    assert found - {"propositional_logic"} <= set(gym.EVALUATING)
    assert {"composite"} | found >= set(gym.EVALUATING)


@installed
def test_a_generator_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(RolloutError, match="reasoning-gym has no generator 'chain_product'; it has .*chain_sum"):
        gym.gym_table("reasoning-gym:chain_product")
