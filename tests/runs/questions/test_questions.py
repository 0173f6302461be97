"""Questions of one's own: what completions earn, which rows are held out, and what is refused before a run begins."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from sapo_viz.errors import ModelError, RunError
from sapo_viz.models.policy import Policy, load_policy
from sapo_viz.models.tasks import TASKS
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.questions import rows, terms
from sapo_viz.runs.questions.exercise import examples_of, reward_of, text_exercise, toy_exercise
from sapo_viz.runs.questions.kept import keep_table, kept_table, with_table
from sapo_viz.runs.questions.rewards import last_letter, last_number, parse_reward
from sapo_viz.runs.training.engine import train
from sapo_viz.runs.training.validation import interval
from sapo_viz.runs.workers import launcher
from sapo_viz.runs.workers.quotas import Quotas, admitted_reward
from tests.runs.small_runs import small


def table(rows: int = 20, **more: list[str]) -> TextTable:
    """Sums that the addition policy's tokenizer knows."""
    columns = {
        "question": [f"^{100 + n}+{200 + n}=" for n in range(rows)],
        "answer": [f"{300 + 2 * n}" for n in range(rows)],
    }
    columns |= more
    return TextTable("sums.csv", tuple(columns), tuple(map(tuple, columns.values())))


def questions(**settings: object) -> RunConfig:
    return small(**{"task": "questions", "policy": "addition-start", "reward": "numeric", "steps": 2, **settings})


@pytest.mark.parametrize(
    ("reward", "completion", "answer", "earned"),
    [
        ("exact", " Paris.\n", "paris", 1),
        ("exact", "It is Paris", "Paris", 0),
        ("numeric", "that makes $1,234.50 in all", "1234.5", 1),
        ("numeric", "first 7, then 8", "#### 7", 0),
        ("numeric", "no idea", "7", 0),
        ("regex(answer:? {answer}$)", "The answer: a+b", "a+b", 1),
        ("regex", "colour", "colou?r", 1),
        ("choice", "The answer is (b).", "B", 1),
        ("choice", "A dog, so C", "C", 1),
        ("choice", "A dog", "B", 0),
        ("math", r"So the result is $\frac{1}{2}$.", "0.5", 1),
        ("math", r"\boxed{(x+1)^2}", "x^2 + 2x + 1", 1),
        ("math", "That is 1,234 in all.", "1234", 1),
        ("math", "I take 7, no, 8", "7", 0),
        ("math", "no idea", "7", 0),
        ("length(2, 3)", "one two three", "", 1),
        ("format(^#### \\d+$)", "#### 12", "", 1),
        ("format((a|[)])+\\)$) + 2*exact", "a))", "x", 1),
        ("0.5*exact + 0.25*length(1, 1) + -1*format(x)", "x", "x", -0.25),
    ],
)
def test_what_a_completion_earns(reward: str, completion: str, answer: str, earned: float) -> None:
    assert parse_reward(reward).score("q", completion, answer, {}) == earned


def test_last_number_and_last_letter() -> None:
    assert (last_number("1,000 and -2.5e1"), last_number("1,2"), last_number("–")) == (-25.0, 2.0, None)
    assert (last_letter("a cat"), last_letter("(a) a cat"), last_letter("so d")) == (None, "A", "D")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("exakt", "there is no 'exakt'"),
        ("exact +", "is not understood"),
        ("length(3)", "length(3) is not understood"),
        ("format", "format takes a pattern"),
        ("regex((", "is not closed"),
        ("", "is not understood"),
        ("exact numeric", "is not understood"),
        ("format(a**)", "is no regular expression"),
        ("numeric(3)", "takes no argument"),
        ("mine.py", "SAPO_VIZ_DATA_DIR alone"),
    ],
)
def test_a_reward_that_means_nothing_gets_a_sentence(text: str, says: str) -> None:
    with pytest.raises(RunError) as error:
        parse_reward(text)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("answers", "says"),
    [(["(" * 5_000 + ")" * 5_000] * 20, "is no regular expression"), (["a" * 10_001] * 20, "up to 10,000 are taken")],
)
def test_an_answer_that_cannot_be_a_pattern_gets_a_sentence(answers: list[str], says: str) -> None:
    config = questions(reward="regex")
    with pytest.raises(RunError) as error:
        examples_of(config, table(answer=answers), reward_of(config))
    assert says in str(error.value)


def test_a_page_compiles_so_many_patterns_and_a_run_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python compiles them: 64 MB of answers would take ten minutes of everybody's pages."""
    monkeypatch.setattr(rows, "_PATTERNS", 30)
    config, last_is_none = questions(reward="regex"), table(answer=["1234567890"] * 19 + ["a**"])
    assert examples_of(config, last_is_none, reward_of(config)).train == 16
    with pytest.raises(RunError, match="is no regular expression"):
        text_exercise(config, load_policy("addition-start"), last_is_none, reward_of(config))


def test_a_template_cannot_make_a_small_file_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_TEXT", 10**6)
    config = questions(template="{question}" * 180)
    with pytest.raises(RunError, match=r"sums.csv: as template asks them, its questions have more than 1 million"):
        examples_of(config, table(question=[f"{n}" * 1_000 for n in range(20)]), reward_of(config))


def test_a_pattern_that_would_never_end_is_ended() -> None:
    with pytest.raises(RunError, match="took more than 0.5 s"):
        parse_reward("format((a|aa)+$)").score("", "a" * 60 + "b", "", {})


@pytest.mark.parametrize(
    ("given", "settings", "says"),
    [
        (table(), {"answer_column": "solution"}, "answer_column is 'solution'; sums.csv has question, answer"),
        (table(answer=["5"] * 3 + [""] + ["6"] * 16), {}, "row 4: the answer is empty"),
        (table(answer=["five"] * 20), {}, "row 1: the answer 'five' holds no number"),
        (table(4), {}, "there are 4 questions and none can be held out"),
        (table(), {"template": "{problem}"}, "template names {problem}"),
        (TextTable("x.csv", ("a", "b"), (("1",), ("2",))), {}, "no column is known as the question among a, b"),
    ],
)
def test_questions_that_cannot_be_trained_on_are_refused_before_a_model_is_loaded(
    given: TextTable, settings: dict[str, object], says: str
) -> None:
    config = questions(**settings)
    with pytest.raises(RunError) as error:
        examples_of(config, given, reward_of(config))
    assert says in str(error.value)


def test_a_run_that_is_refused_has_no_folder(store: RunStore) -> None:
    with pytest.raises(RunError, match="none can be held out"):
        launcher.launch(questions(), store, table(4))
    assert store.list() == []


def test_the_split_follows_from_its_seed_alone_and_equal_questions_fall_on_one_side() -> None:
    policy = load_policy("addition-start")
    twice = TextTable("x", ("question", "answer"), tuple(column * 2 for column in table().cells))
    config = questions()
    first, again = (text_exercise(replace(config, seed=seed), policy, twice, reward_of(config)) for seed in (0, 5))
    other = text_exercise(replace(config, split_seed=1), policy, twice, reward_of(config))
    assert first.held_out == again.held_out != other.held_out and len(first.held_out) == 4
    drawn = set(first.sample_prompts(500, random.Random(0)))
    assert len(drawn) == 16 and not drawn & set(first.held_out)


@pytest.mark.parametrize(("task", "count"), [("addition", 64), ("chain", 20), ("synonyms", 64)])
def test_toy_tasks_never_train_on_what_is_held_out(task: str, count: int) -> None:
    exercise = toy_exercise(TASKS[task], RunConfig(task=task))
    assert len(set(exercise.held_out)) == count
    assert not set(exercise.sample_prompts(1000, random.Random(1))) & set(exercise.held_out)


def test_interval_of_right_and_wrong_is_wilsons() -> None:
    """Newcombe 1998, table I: 81 of 263 has .2553 to .3662; 0 of 20 has 0 to .1611."""
    assert interval([1.0] * 81 + [0.0] * 182, counts=True) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert interval([0.0] * 20, counts=True) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_a_run_on_questions_tells_of_its_start_and_of_what_is_held_out() -> None:
    events = list(train(questions(pass_at=2, validate_every=1, max_tokens=32), table=table()))
    start, steps = events[0].data, [event for event in events if event.type == "step"]
    assert len(start["examples"]) == 5 and {"prompt", "completion", "reward"} == set(start["examples"][0])
    assert 0 <= start["held_out_low"] <= start["held_out"] <= start["held_out_high"] <= 1
    assert len(steps) == 2 and all({"held_out", "pass_k"} <= set(step.metrics) for step in steps)


def test_each_look_keeps_the_likeliest_answers_to_the_same_questions() -> None:
    """As people read them: no template around the question, no end symbol after the answer, its worth beside it."""
    events = list(train(questions(validate_every=1, max_tokens=32), table=table()))
    start, *looks = [event.data["answers"] for event in events if "answers" in event.data]
    assert len(looks) == 2 and len(start) == 4
    for look in looks:
        assert [row["prompt"] for row in look] == [row["prompt"] for row in start]
    asked = set(table().cells[0])
    assert all(row["prompt"] in asked and not row["completion"].endswith("$") for row in start)
    assert sum(row["reward"] for row in start) / 4 == pytest.approx(events[0].data["held_out"])


def test_validation_changes_no_other_number_of_a_run() -> None:
    """Addition has 810,000 prompts; of those drawn here none is held out."""

    def numbers(**settings: int) -> list[dict[str, float]]:
        out = ("seconds", "completions_per_s", "held_out", "held_out_low", "held_out_high", "pass_k")
        steps = [event.metrics for event in train(small(steps=2, **settings)) if event.type == "step"]
        return [{name: value for name, value in step.items() if name not in out} for step in steps]

    assert numbers(validate_every=0) == numbers(validate_every=1, pass_at=2)


def test_mood_trains_a_language_model_and_wants_one() -> None:
    with pytest.raises(RunError, match="the task mood has no policy of its own"):
        next(train(small(task="mood")))
    reward = reward_of(small(task="mood"))
    assert reward.score("", "What a wonderful day!", "", {}) > 0.5 > -0.3 > reward.score("", "Horrible.", "", {})


def test_a_chat_template_is_asked_for_where_there_is_none() -> None:
    config = questions(chat="on")
    with pytest.raises(ModelError, match="has no chat template"):
        next(train(config, table=table()))


def with_template() -> Policy:
    policy = load_policy("addition-start")
    policy.tokenizer.chat_template = "{% for m in messages %}^{{ m['content'] }}={% endfor %}"
    return policy


def test_a_question_goes_into_the_chat_template_and_the_end_symbol_is_no_part_of_an_answer() -> None:
    policy, config = with_template(), questions(reward="exact")
    sums = table(question=[f"{n}+1" for n in range(100, 120)])
    exercise = text_exercise(config, policy, sums, reward_of(config))
    prompt = exercise.sample_prompts(1, random.Random(0))[0]
    row = int(prompt[1:4]) - 100
    assert prompt == f"^{100 + row}+1=" and exercise.reward(prompt, f"{300 + 2 * row}$") == 1.0


def test_the_owners_function_may_give_none_and_its_completions_have_no_say(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def reward(prompt, completion, row):\n    return None if completion[7:8] in '02468' else len(set(completion))"
    )
    events = list(train(questions(reward=str(file), snapshot_every=1, max_tokens=8), table=table()))
    rows = [row for event in events if event.type == "sample" for row in event.payload]
    unrewarded = [row for row in rows if "reward" not in row]
    assert unrewarded and all(row["advantage"] == 0 for row in unrewarded)
    assert any(row["advantage"] for row in rows)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("raise KeyError('x')", "mine.py raised KeyError: 'x'"),
        ("return 'good'", "mine.py returned 'good'"),
        ("return float('nan')", "mine.py returned nan"),
    ],
)
def test_an_owners_function_that_fails_is_told_before_the_first_step(tmp_path: Path, body: str, says: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"def reward(prompt, completion, row):\n    {body}\n")
    with pytest.raises(RunError) as error:
        next(train(questions(reward=str(file)), table=table()))
    assert says in str(error.value)


def test_a_page_runs_only_the_owners_python(tmp_path: Path) -> None:
    inside, outside = tmp_path / "data" / "mine.py", tmp_path / "other.py"
    inside.parent.mkdir()
    for file in (inside, outside):
        file.write_text("def reward(prompt, completion, row):\n    return 1.0\n")
    rules = Quotas(data=inside.parent)
    assert admitted_reward(questions(reward="mine.py"), rules) is not None
    (inside.parent / "link.py").symlink_to(outside)
    for name in (str(outside), "../other.py", "link.py", "nothing.py"):
        with pytest.raises(RunError, match="is no file below SAPO_VIZ_DATA_DIR"):
            admitted_reward(questions(reward=name), rules)
    with pytest.raises(RunError, match="has not set"):
        admitted_reward(questions(reward="mine.py"), Quotas(data=Path()))


def test_a_run_keeps_its_questions_and_notices_other_ones(tmp_path: Path) -> None:
    config = with_table(questions(), table())
    keep_table(tmp_path, table())
    kept = kept_table(tmp_path, config)
    assert kept is not None and kept.cells == table().cells
    keep_table(tmp_path, table(19))
    with pytest.raises(RunError, match="is not what the run began with"):
        kept_table(tmp_path, config)
    (tmp_path / "questions.jsonl").unlink()
    with pytest.raises(RunError, match="is not there"):
        kept_table(tmp_path, config)


def test_a_judge_that_takes_too_long_says_nothing_and_the_next_question_goes_to_a_new_process() -> None:
    judge = terms.Judge("import time; time.sleep(600)", 0.1)
    assert judge.ask("1/2", "0.5") is None
    judge._program, judge._seconds = terms._MATH, terms._MATH_SECONDS
    assert judge.ask("1/2", "0.5") is True


def test_a_process_that_has_just_ended_is_replaced_and_the_question_asked_again() -> None:
    judge = terms.Judge(terms._MATH, terms._MATH_SECONDS)
    assert judge.ask("1/2", "0.5") is True
    ended = judge._running()
    ended.kill()
    assert judge.ask("1/2", "0.5") is True and judge._running() is not ended
