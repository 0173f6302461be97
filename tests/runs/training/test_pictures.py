"""Runs on prompts with pictures: objectives, the settings that have to carry them, and what is kept of a step."""

from __future__ import annotations

from itertools import compress
from typing import Any

import pytest

from sapo_viz.errors import RunError
from sapo_viz.models.tasks import IMAGE_PLACE
from sapo_viz.rollouts.readers.read import read_rollouts
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.exports.export import export, frameworks_for
from sapo_viz.runs.folder.asked import Asking
from sapo_viz.runs.folder.snapshot_ratios import snapshot_ratios
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.training.asking import ask
from sapo_viz.runs.training.engine import train
from sapo_viz.runs.workers.worker import work
from tests.runs.small_runs import small

PROMPTS = ("⟨image 0110 1000 0000 0001⟩?", "⟨image 0000 0110 0110 0000⟩?")


def grid(**settings: Any) -> list[RunEvent]:
    return list(train(small(task="grid", seed=1, **settings)))


@pytest.mark.parametrize("objective", ["sapo", "grpo", "gspo"])
def test_an_objective_trains_on_pictures(objective: str) -> None:
    events = grid(objective=objective, steps=3)
    told = [event.metrics for event in events if event.type == "step"]
    assert events[-1].type == "finished" and max(step["grad_norm"] for step in told) > 0
    assert "held_out" in told[-1] and told[-1]["ratio_max"] > 1


@pytest.mark.parametrize(
    "settings",
    [
        {"old_logprobs": "recomputed", "sampler_noise": 0.5, "correction": "token-truncate"},
        {"staleness": 3, "kl_coef": 0.1},
        {"lora_rank": 2, "dtype": "bfloat16"},
        {"recompute": "on", "pass_at": 2},
    ],
)
def test_pictures_go_along_wherever_sequences_go(settings: dict[str, Any]) -> None:
    assert grid(steps=2, **settings)[-1].type == "finished"


def test_micro_batches_change_nothing() -> None:
    whole, parts = (grid(steps=1, minibatches=1, lr=1e-3, micro_batch=size) for size in (0, 3))
    of_each = [next(event.metrics for event in events if event.type == "step") for events in (whole, parts)]
    assert of_each[0]["grad_norm"] == pytest.approx(of_each[1]["grad_norm"], rel=1e-4)


def test_a_snapshot_has_the_pictures_places_before_the_answer_and_out_of_the_ratios(store: RunStore) -> None:
    run_id = store.create(small(task="grid", seed=1, steps=1, lr=1e-2))
    assert work(store.path(run_id)).type == "finished"
    rollouts = read_rollouts(store.tokens(run_id)[1].files[0])
    for sequence in rollouts:
        texts = list(sequence.tokens)
        assert texts[1:5] == [IMAGE_PLACE] * 4 and sequence.mask.tolist() == [False] * 7 + [True] * (len(texts) - 7)
        assert "".join(compress(texts, sequence.mask)).endswith("$") or len(texts) == 7 + 51
    assert not rollouts.log_ratio[~rollouts.mask].any() and rollouts.log_ratio[rollouts.mask].any()
    [row] = snapshot_ratios(store, run_id, [1])
    assert row["damage"] == "" and all(IMAGE_PLACE not in shown["tokens"] for shown in row["sequences"])
    answers, rows = ask(store.config(run_id), store.path(run_id) / "policy", Asking(PROMPTS), reward=None)
    assert [answer.prompt for answer in answers.now] == list(PROMPTS) and len(rows) == 4


@pytest.mark.parametrize("to", ["trl", "verl"])
def test_what_knows_texts_alone_refuses_pictures(to: str) -> None:
    with pytest.raises(RunError, match="has a picture in each prompt, and an export carries texts alone"):
        export(RunConfig(task="grid"), to)
    assert frameworks_for(RunConfig(task="grid")) == []  # no button that would lead nowhere


def test_trl_is_not_given_pictures() -> None:
    with pytest.raises(RunError, match="task is 'grid', whose prompts have pictures; .* take loop"):
        RunConfig(task="grid", engine="trl")
