"""The engine, iterated inline: it learns, repeats itself exactly, resumes exactly, and says why it ends."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
import torch

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.errors import ModelError, RunError
from sapo_viz.models.rollout import completion_logprobs
from sapo_viz.models.tasks import TASKS
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.metrics import RUN_METRICS
from sapo_viz.runs.training import engine
from sapo_viz.runs.training.engine import train
from tests.runs.small_runs import small

CLOCK = {"seconds", "completions_per_s"}  # the only metrics that another try may change


def steps(events: list[RunEvent]) -> list[dict[str, float]]:
    """The steps' metrics without those that depend on the clock."""
    return [
        {name: value for name, value in event.metrics.items() if name not in CLOCK}
        for event in events
        if event.type == "step"
    ]


def kept(payload: Any) -> Any:
    """A checkpoint as it comes back from a file."""
    file = io.BytesIO()
    torch.save(payload, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_reward_climbs_on_the_default_settings() -> None:
    """.23 at the start and about .6 after a dozen steps (measured: .52 to .66 over two seeds)."""
    rewards = [step["reward"] for step in steps(list(train(RunConfig(steps=14, snapshot_every=0, device="cpu"))))]
    assert sum(rewards[:2]) / 2 < 0.4
    assert sum(rewards[-3:]) / 3 > 0.5


def test_equal_configs_give_equal_runs_and_other_seeds_other_ones() -> None:
    first, again = (list(train(small(sampler_noise=0.5))) for _ in range(2))
    assert steps(first) == steps(again)
    assert steps(list(train(small(sampler_noise=0.5, seed=1)))) != steps(first)


def test_two_objectives_with_one_seed_are_given_the_same_prompts() -> None:
    def prompts(objective: str) -> list[list[str]]:
        events = train(small(objective=objective, snapshot_every=1))
        return [[row["prompt"] for row in event.payload] for event in events if event.type == "sample"]

    assert prompts("sapo") == prompts("gspo")


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_resumed_run_equals_one_that_was_never_interrupted(optimizer: str) -> None:
    config = small(steps=6, checkpoint_every=3, optimizer=optimizer, lr=1e-3)
    whole, state = [], None
    for event in train(config):
        whole.append(event)
        if event.type == "checkpoint" and event.step == 3:
            state = kept(event.payload)
    resumed = list(train(config, resume=state))
    assert resumed[0].data["resumed"] and resumed[0].step == 3
    assert steps(resumed) == steps(whole)[3:]
    final = [events[-1].payload.model.state_dict() for events in (whole, resumed)]
    assert all(torch.equal(final[0][name], final[1][name]) for name in final[0])


def test_leaving_out_sequences_without_signal_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a KL penalty of (almost) no weight every sequence is computed: the weights come out the same."""
    lean, full = (list(train(small(kl_coef=coefficient, steps=3)))[-1].payload for coefficient in (0.0, 1e-9))
    for one, other in zip(lean.model.parameters(), full.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_every_logged_metric_is_explained_and_every_explained_one_is_logged() -> None:
    """What is looked at now and then stands in the steps that looked: here the second."""
    looks = {"held_out", "held_out_low", "held_out_high", "pass_k"}
    for step, metrics in enumerate(steps(list(train(small(steps=2, validate_every=2, pass_at=2)))), 1):
        assert metrics.keys() | CLOCK == RUN_METRICS.keys() - (looks if step == 1 else set())
        assert all(isinstance(value, float) for value in metrics.values())


def test_the_first_rollout_lies_at_the_start_and_later_ones_move_away() -> None:
    kl = [step["kl_start"] for step in steps(list(train(small(lr=1e-3))))]
    assert kl[0] == pytest.approx(0, abs=1e-6) and kl[-1] > 1e-4


@pytest.mark.parametrize(("prompts", "measured"), [(4, 16), (12, 24), (16, 32)])
def test_kl_to_the_start_is_measured_on_32_sequences_at_most(
    monkeypatch: pytest.MonkeyPatch, prompts: int, measured: int
) -> None:
    """48 sequences are every second one: 24."""
    seen = []

    def look(policy: Any, rollout: Any, **more: Any) -> torch.Tensor:
        seen.append(len(rollout.ids))
        return completion_logprobs(policy, rollout, **more)

    monkeypatch.setattr(engine, "completion_logprobs", look)
    list(train(small(prompts=prompts, completions=4, steps=1)))
    assert seen == [measured]


def test_warm_up_raises_the_learning_rate_update_by_update() -> None:
    """4 updates per step and 8 of warm-up: 4/8 and 8/8 of the rate after the first two steps."""
    rates = [step["lr"] for step in steps(list(train(small(lr=1e-3, steps=3))))]
    assert rates == pytest.approx([5e-4, 1e-3, 1e-3])


@pytest.mark.parametrize(
    "settings",
    [
        {"kl_coef": 0.1, "kl_estimator": "k1"},
        {"kl_coef": 0.1, "kl_estimator": "k2"},
        {"kl_coef": 0.1, "kl_estimator": "k3"},
        {"epochs": 2, "minibatches": 3},  # sixteen sequences do not divide by three
        {"sampler_noise": 1.0, "old_logprobs": "recomputed"},
        {"dtype": "bfloat16"},
        {"temperature": 0.5},
        {"grad_clip": 0, "optimizer": "sgd", "weight_decay": 0.01, "warmup": 0},
    ],
)
def test_every_setting_trains(settings: dict[str, Any]) -> None:
    assert list(train(small(steps=2, **settings)))[-1].type == "finished"


@pytest.mark.parametrize("objective", CATALOG)
def test_every_objective_of_the_catalogue_trains(objective: str) -> None:
    events = list(train(small(objective=objective, steps=2)))
    assert events[-1].type == "finished" and steps(events)[0]["grad_norm"] > 0


def test_an_objective_registered_in_a_test_trains(toy_objective: type[Objective]) -> None:
    events = list(train(small(objective="toy", knobs={"kappa": 3.0}, steps=2)))
    assert events[-1].type == "finished" and steps(events)[0]["grad_norm"] > 0


def test_recomputed_old_logprobs_do_not_see_the_samplers_noise() -> None:
    """On the first mini-batch, the only one here, the policy has not moved: r = 1 to rounding."""
    once = {"sampler_noise": 1.0, "minibatches": 1, "steps": 1}
    own = steps(list(train(small(old_logprobs="recomputed", **once))))[0]
    theirs = steps(list(train(small(old_logprobs="sampler", **once))))[0]
    assert own["ratio_max"] == pytest.approx(1, abs=1e-3) and theirs["ratio_max"] > 1.1


@pytest.mark.parametrize("after", [0, 3, 33, 40])
def test_a_stop_is_heard_in_the_midst_of_a_rollout_or_an_update(after: int) -> None:
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > after

    events = list(train(small(), should_stop=should_stop))
    assert events[-1].type == "stopped" and asked == after + 1
    assert events[-1].step == sum(event.type == "step" for event in events)


def test_a_stop_is_looked_for_between_sampled_tokens_and_between_updates() -> None:
    """Before each token of the longest completion and before each of 4 updates: the stop waits for one of them."""
    looks, steps = 0, []

    def should_stop() -> bool:
        nonlocal looks
        looks += 1
        return False

    for event in train(small(steps=3, minibatches=4, validate_every=0), should_stop=should_stop):
        if event.type == "step":
            steps.append(looks)
            looks = 0
    assert steps == [TASKS["addition"].completion_length + 4] * 3


def test_a_run_that_explodes_fails_with_a_plain_sentence() -> None:
    """It goes on from weights that are not numbers, which is what an exploded update leaves behind."""
    config = small(lr=10.0, grad_clip=0.0, checkpoint_every=1, steps=1)
    (state,) = [kept(event.payload) for event in train(config) if event.type == "checkpoint"]
    for weights in state["model"].values():
        weights.fill_(float("nan"))
    last = list(train(replace(config, steps=2), resume=state))[-1]
    assert (last.type, last.step) == ("failed", 1)
    message = last.data["message"]
    assert message.startswith("At step 2 ") and message.count(".") == message.count(". ") + 1
    assert "smaller learning rate than 10 or gradient clipping, which is off" in message


def test_a_policy_or_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="addition-start, .*, a folder"):
        next(train(small(policy="no-such-policy")))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RunError, match="finds no GPU"):
        next(train(small(device="cuda")))


def test_a_snapshot_holds_the_rollout_after_its_update() -> None:
    events = list(train(small(lr=1e-3, snapshot_every=2, steps=3)))
    samples = [event for event in events if event.type == "sample"]
    assert [event.step for event in samples] == [1, 2, 3]
    rows = samples[1].payload
    assert [row["group"] for row in rows] == [index // 4 for index in range(16)]
    for row in rows:
        assert len(row["tokens"]) == len(row["token_ids"]) == len(row["logprobs"]) == len(row["old_logprobs"])
        assert all(value <= 0 for value in row["logprobs"] + row["old_logprobs"])
    moved = [abs(a - b) for row in rows for a, b in zip(row["logprobs"], row["old_logprobs"], strict=True)]
    assert max(moved) > 1e-3


def test_the_aggregation_of_a_run_is_the_one_that_is_set() -> None:
    """One update each: sums divided by the longest completion, 32 tokens, have 1/32 of the gradient of sums."""
    norms = {}
    for how in ("seq-mean-token-sum", "seq-mean-token-sum-norm"):
        config = small(aggregation=how, minibatches=1, steps=1, prompts=8, completions=8)
        (step,) = [event for event in train(config) if event.type == "step"]
        norms[how] = step.metrics["grad_norm"]
    assert norms["seq-mean-token-sum"] == pytest.approx(32 * norms["seq-mean-token-sum-norm"], rel=1e-5)
    assert norms["seq-mean-token-sum"] > 0
