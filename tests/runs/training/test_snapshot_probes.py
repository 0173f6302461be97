"""Two answers of the starting policy, scored again by a policy that has changed since."""

from __future__ import annotations

import copy

import pytest
import torch

from sapo_viz.models.policy import Policy
from sapo_viz.models.tasks import TASKS
from sapo_viz.runs.questions.exercise import toy_exercise
from sapo_viz.runs.training.engine import starting_policy
from sapo_viz.runs.training.snapshot_probes import probe_rows, take_probe
from tests.runs.small_runs import small

TASK = toy_exercise(TASKS["addition"], small())


@pytest.fixture(scope="module")
def start() -> Policy:
    return starting_policy(small(), "cpu")


def test_one_right_and_one_wrong_answer_are_taken_the_same_for_a_seed(start: Policy) -> None:
    probe = take_probe(start, TASK, seed=0)
    assert probe is not None and probe.rewards == (1.0, 0.0)
    rows, again = probe_rows(probe, start), take_probe(start, TASK, seed=0)
    assert again is not None and probe_rows(again, start) == rows
    for row in rows:
        assert TASK.reward(row["prompt"], "".join(row["tokens"])) == row["reward"]
        assert row["logprobs"] == pytest.approx(row["start_logprobs"], abs=2e-4), "nothing has changed yet"


def test_a_policy_that_has_changed_scores_the_same_tokens_otherwise(start: Policy) -> None:
    probe = take_probe(start, TASK, seed=1)
    assert probe is not None
    before = probe_rows(probe, start)
    changed = Policy("changed", copy.deepcopy(start.model), start.tokenizer)
    with torch.no_grad():
        for weights in changed.model.parameters():
            weights.mul_(0.9)
    after = probe_rows(probe, changed)
    for old, new in zip(before, after, strict=True):
        assert (old["tokens"], old["start_logprobs"]) == (new["tokens"], new["start_logprobs"])
        assert old["logprobs"] != new["logprobs"]


def test_taking_them_leaves_the_runs_own_chance_alone(start: Policy) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    take_probe(start, TASK, seed=0)
    assert torch.equal(torch.rand(3), expected)
