"""A prompt of one's own after a run: both policies answer it, and each answer's tokens carry both log-probs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sapo_viz.errors import ModelError, RunError
from sapo_viz.models.policy import load_policy, load_source
from sapo_viz.models.scoring.score import score_text
from sapo_viz.models.source import locate
from sapo_viz.rollouts.readers.read import read_rollouts
from sapo_viz.rollouts.table import parse_table
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.asked import MOST, Asking, answer_tokens, keep_answers, read_answers
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.questions.rewards import parse_reward
from sapo_viz.runs.training.asking import ask
from sapo_viz.runs.workers.worker import work
from tests.models.tiny import CHAT, byte_level, save_model
from tests.runs.small_runs import small

PROMPTS = ("^864+394=", "^100+100=")


def finished(store: RunStore, **settings: Any) -> tuple[RunConfig, Path]:
    config = small(steps=2, validate_every=0, lr=1e-2, **settings)
    run_id = store.create(config)
    assert work(store.path(run_id)).type == "finished"
    folder = store.policy_path(run_id)
    assert folder
    return config, folder


@pytest.mark.parametrize("rank", [0, 4])
def test_both_answer_and_each_answer_is_scored_by_both(store: RunStore, rank: int) -> None:
    config, folder = finished(store, lora_rank=rank)
    answers, rows = ask(config, folder, Asking(PROMPTS), reward=None)
    assert [answer.prompt for answer in answers.start] == [answer.prompt for answer in answers.now] == list(PROMPTS)
    assert {answer.reward for answer in answers.start} <= {0.0, 1.0}  # the task's own
    assert [row["id"] for row in rows[:2]] == ["prompt 1, trained", "prompt 1, start"]
    assert [row["advantage"] for row in rows] == [1, -1, 1, -1]
    start = load_policy("addition-start")
    now = load_source(locate("addition-start", str(folder))) if rank else load_policy(str(folder))
    for row, answer in zip(rows, [answers.now[0], answers.start[0]], strict=False):
        assert "".join(row["tokens"]) == answer.completion
        for policy, name in ((now, "logprobs"), (start, "old_logprobs")):
            scored = score_text(policy, PROMPTS[0], answer.completion)
            assert row[name] == pytest.approx(scored.logprobs, abs=1e-4)


def test_equal_seeds_draw_alike_and_the_likeliest_token_needs_none(store: RunStore) -> None:
    config, folder = finished(store)
    first, again = (ask(config, folder, Asking(PROMPTS, 1.0, seed=3), reward=None)[0] for _ in range(2))
    assert first == again
    assert ask(config, folder, Asking(PROMPTS, 1.0, seed=4), reward=None)[0].start != first.start
    greedy = [ask(config, folder, Asking(PROMPTS, 0.0, seed=seed), reward=None)[0] for seed in (1, 2)]
    assert greedy[0] == replace(greedy[1], seed=1)


def test_what_has_not_changed_has_ratio_1() -> None:
    start = Path(locate("addition-start").base.folder)
    _answers, rows = ask(small(), start, Asking(PROMPTS), reward=None)
    for row in rows:
        assert row["logprobs"] == pytest.approx(row["old_logprobs"], abs=1e-5)


def test_a_language_model_is_asked_in_its_chat_template_and_what_needs_no_answer_is_judged(
    store: RunStore, tmp_path: Path
) -> None:
    tokenizer = byte_level()
    tokenizer.chat_template = CHAT
    save_model(tmp_path / "model", tokenizer)
    settings = dict(task="mood", policy=str(tmp_path / "model"), lora_rank=2, max_tokens=5)
    config, folder = finished(store, **settings)
    answers, rows = ask(config, folder, Asking(("Tell me\nabout the sea.",)), reward=parse_reward("length(0, 50)"))
    assert rows[0]["prompt"].endswith("<user>Tell me\nabout the sea.\n<assistant>")
    assert answers.now[0].prompt == "Tell me\nabout the sea."
    assert answers.now[0].reward == 1.0
    judged = ask(config, folder, Asking(("The sea?",)), reward=parse_reward("exact"))[0]
    assert judged.now[0].reward is None  # nobody knows the answer


def test_a_prompt_that_is_one_of_the_runs_own_questions_is_held_to_its_answer(tmp_path: Path) -> None:
    save_model(tmp_path / "model", byte_level())
    settings = dict(task="questions", data="q.csv", question_column="frage", reward="regex + 0.5*length(0, 99)")
    config = small(policy=str(tmp_path / "model"), max_tokens=5, template="Say: {question}", **settings)
    table = parse_table(b"frage,answer\nsea,(?s).*\n", "q.csv")
    asking = Asking(("Say: sea ", "Say: land"))
    answers, rows = ask(config, tmp_path / "model", asking, reward=parse_reward(config.reward), table=table)
    assert [answer.reward for answer in answers.now] == [1.5, None]  # its pattern fits whatever is said
    assert [row.get("reward") for row in rows] == [1.5, 1.5, None, None]


def test_what_cannot_be_asked_is_a_sentence(store: RunStore) -> None:
    for bad in ({"prompts": ()}, {"prompts": ("1",) * 17}, {"prompts": ("1",), "temperature": math.nan}):
        with pytest.raises(RunError, match="it takes|there is no prompt"):
            Asking(**bad)
    config, folder = finished(store)
    with pytest.raises(ModelError, match="U\\+00E9"):
        ask(config, folder, Asking(("é",)), reward=None)
    with pytest.raises(ModelError, match="a prompt is 70 tokens; addition-start reads up to 64"):
        ask(config, folder, Asking(("1" * 70,)), reward=None)
    with pytest.raises(RunError, match="SAPO_VIZ_RUN_MINUTES"):
        ask(config, folder, Asking(PROMPTS), reward=None, seconds=0.0)


def test_the_last_answers_are_kept_and_read_back_with_their_tokens(store: RunStore) -> None:
    config, folder = finished(store)
    run_id = folder.parent.name
    answers, rows = ask(config, folder, Asking(PROMPTS, 0.7, seed=5), reward=None)
    for number in range(1, MOST + 3):
        assert keep_answers(folder.parent, answers, rows) == number
    assert read_answers(store, run_id, MOST + 2) == answers
    rollouts = read_rollouts(answer_tokens(store, run_id, MOST + 2))
    assert len(rollouts) == 4 and rollouts[0].id == "prompt 1, trained"
    for look in (read_answers, answer_tokens):
        with pytest.raises(RunError, match="keeps no answers 2; the last 20 are kept"):
            look(store, run_id, 2)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"start": [1], "now": [2]}', '{"start": [], "now": [{}]}'])
def test_damaged_answers_are_a_sentence(store: RunStore, text: str) -> None:
    run_id = store.create(small())
    (store.path(run_id) / "asked").mkdir()
    (store.path(run_id) / "asked" / "1.json").write_text(text)
    with pytest.raises(RunError, match="asked/1.json cannot be read"):
        read_answers(store, run_id, 1)
