"""Where rollouts and updates part: staleness, noise, precision, recomputed log-probs, replayed routes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from sapo_viz.core.kl import k1, k3
from sapo_viz.core.losses import policy_loss
from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import RunError
from sapo_viz.models.policy import Policy, load_policy
from sapo_viz.models.rollout import Rollout, completion_logprobs, sample
from sapo_viz.models.routing import recorded, routers, stacked
from sapo_viz.runs.chosen import correction
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.training import engine
from sapo_viz.runs.training.engine import train
from sapo_viz.runs.training.update import Batch, make_optimizer, minibatch_loss, trainer_logprobs, update
from tests.runs.small_runs import small
from tests.runs.training.test_engine import kept, steps

MOE = {"policy": "addition-moe-start"}


def rolled(policy: Policy, prompts: int = 4, completions: int = 4) -> Rollout:
    texts = [f"^{137 + 101 * index}+{864 - 53 * index}=" for index in range(prompts)]
    rollout = sample(policy, texts, completions, max_length=32, generator=torch.Generator().manual_seed(0))
    assert rollout is not None
    return rollout


def batch_of(policy: Policy, advantages: torch.Tensor, shift: float = 0.0) -> Batch:
    """Old log-probs differ from the policy's by up to `shift`, so that ratios are not 1."""
    rollout = rolled(policy)
    noise = torch.rand(rollout.logprobs.shape, generator=torch.Generator().manual_seed(1)) - 0.5
    return Batch(rollout, rollout.logprobs + 2 * shift * noise * rollout.mask, advantages, None)


def gradients(policy: Policy) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in policy.model.parameters() if p.grad is not None])


# one objective for each way of bringing [B, T] to a scalar, and one that reads log π itself
@pytest.mark.parametrize("objective", ["sapo", "dapo", "luspo", "dr_grpo", "cispo", "gspo"])
def test_leaving_out_sequences_without_signal_leaves_the_gradient_as_it_is(objective: str) -> None:
    """The loss over the whole mini-batch, every sequence computed, is the reference."""
    policy = load_policy("addition-start")
    advantages = torch.tensor([1.0, -1.0, 0.0, 0.5] * 2 + [0.0] * 4 + [-0.3, 0.0, 0.0, 2.0])
    batch = batch_of(policy, advantages, shift=0.3)
    chosen = CATALOG[objective]()
    index = torch.arange(16)
    out, _ = minibatch_loss(small(objective=objective), chosen, policy, batch, index, 40)
    out.loss.backward()  # type: ignore[no-untyped-call]
    lean = gradients(policy)
    policy.model.zero_grad()
    every = completion_logprobs(policy, batch.rollout)
    whole = policy_loss(chosen, every, batch.old_logprobs, advantages, batch.rollout.mask, max_length=40)
    whole.loss.backward()  # type: ignore[no-untyped-call]
    assert float(out.loss.detach()) == pytest.approx(float(whole.loss.detach()), abs=1e-6)
    torch.testing.assert_close(lean, gradients(policy), atol=1e-6, rtol=0)
    assert lean.abs().max() > 1e-3


def test_sgd_is_a_plain_gradient_step() -> None:
    """w − lr·∇ and nothing else: one mini-batch, no clipping, no warm-up."""
    config = small(optimizer="sgd", lr=0.1, grad_clip=0, warmup=0, minibatches=1)
    policy, objective = load_policy("addition-start"), config.make_objective()
    batch = batch_of(policy, torch.tensor([1.0, -1.0, 0.5, -0.5] * 4))
    before = [p.detach().clone() for p in policy.model.parameters()]
    out, _ = minibatch_loss(config, objective, policy, batch, torch.arange(16), 32)
    out.loss.backward()  # type: ignore[no-untyped-call]
    expected = [w - 0.1 * p.grad for w, p in zip(before, policy.model.parameters(), strict=True)]  # type: ignore[operator]
    one_update(config, policy, batch)
    for parameter, wanted in zip(policy.model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), wanted, atol=1e-7, rtol=0)


def one_update(config: RunConfig, policy: Policy, batch: Batch) -> dict[str, float]:
    metrics = update(
        config,
        config.make_objective(),
        policy,
        make_optimizer(config, policy),
        batch,
        updates_done=0,
        max_length=32,
        generator=torch.Generator().manual_seed(0),
        should_stop=lambda: False,
    )
    assert metrics is not None
    return metrics


def test_clipping_scales_the_gradient_down_and_the_metric_is_from_before() -> None:
    def moved(grad_clip: float) -> tuple[float, float]:
        config = small(optimizer="sgd", lr=1.0, grad_clip=grad_clip, warmup=0, minibatches=1)
        policy = load_policy("addition-start")
        before = torch.cat([p.detach().flatten() for p in policy.model.parameters()])
        norm = one_update(config, policy, batch_of(policy, torch.tensor([1.0, -1.0, 0.5, -0.5] * 4)))["grad_norm"]
        after = torch.cat([p.detach().flatten() for p in policy.model.parameters()])
        return norm, float((after - before).norm())

    (free, step), (clipped, short) = moved(0.0), moved(0.01)
    assert free == pytest.approx(clipped, rel=1e-5) and step == pytest.approx(free, rel=1e-3)
    assert free > 0.02 and short == pytest.approx(0.01, rel=1e-2)


# -- staleness -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("staleness", "sampled_by"), [(4, [0, 0, 1, 2]), (8, [0, 0, 0, 1]), (6, [0, 0, None, None])])
def test_a_stale_rollout_has_the_log_probs_of_the_old_weights(staleness: int, sampled_by: list[int | None]) -> None:
    """4 updates per step: k = 4 samples step n by the weights after step n − 2, k = 6 by some in the midst of one."""
    weights, snapshots = {}, {}
    config = small(staleness=staleness, steps=4, lr=1e-3, warmup=0, checkpoint_every=1, snapshot_every=1)
    for event in train(config):
        if event.type == "checkpoint":
            weights[event.step] = kept(event.payload)["model"]
        if event.type == "sample":
            snapshots[event.step] = event.payload
    policy = load_policy("addition-start")
    weights[0] = {name: value.clone() for name, value in policy.model.state_dict().items()}
    for step, by in enumerate(sampled_by, start=1):
        row = snapshots[step][0]
        ids = torch.tensor([policy.encode(row["prompt"]) + row["token_ids"]])
        differences = {}
        for when in range(step):
            policy.model.load_state_dict(weights[when])
            with torch.no_grad():
                logprobs = torch.log_softmax(policy.model(ids).logits, -1)[0, 8:-1]
            own = logprobs.gather(-1, ids[0, 9:, None])[:, 0]
            differences[when] = float((own - torch.tensor(row["old_logprobs"])).abs().max())
        if by is None:  # between two steps: none of the checkpoints
            assert min(differences.values()) > 1e-4
        else:
            assert differences[by] < 1e-5
            assert all(value > 1e-4 for when, value in differences.items() if when != by)


@pytest.mark.parametrize("more", [{"staleness": 6}, {"staleness": 4, "routing_replay": "r3", **MOE}])
def test_a_resumed_run_with_stale_rollouts_goes_on_as_if_nothing_had_been(more: dict[str, Any]) -> None:
    config = small(steps=5, checkpoint_every=3, lr=1e-3, **more)
    events, state = [], None
    for event in train(config):
        events.append(event)
        if event.type == "checkpoint" and event.step == 3:
            state = kept(event.payload)
    resumed = list(train(config, resume=state))
    assert steps(resumed) == steps(events)[3:]
    final = [each[-1].payload.model.state_dict() for each in (events, resumed)]
    assert all(torch.equal(final[0][name], final[1][name]) for name in final[0])


# -- sampler and trainer -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mismatch", [{"sampler_noise": 1.0}, {"sampler_dtype": "bfloat16"}, {"staleness": 4}])
def test_a_mismatch_shows_in_the_ratio_and_recomputing_removes_it(mismatch: dict[str, Any]) -> None:
    """Two steps of one mini-batch each, so that every update is the first of its rollout."""
    config = small(minibatches=1, steps=2, lr=1e-3, warmup=0, **mismatch)
    if "staleness" in mismatch:
        config = replace(config, staleness=1)
    theirs = steps(list(train(config)))[1]
    own = steps(list(train(replace(config, old_logprobs="recomputed"))))[1]
    assert theirs["log_ratio_max"] > 1e-3 and theirs["kl_old"] > 1e-8
    assert own["log_ratio_max"] < 1e-4


def test_the_noise_is_the_samplers_alone() -> None:
    """The trainer's log-probs of the noisy rollout are the policy's own, and the snapshot has both."""
    config = small(sampler_noise=1.0, steps=1, lr=1e-8)
    rows = next(event.payload for event in train(config) if event.type == "sample")
    policy = load_policy("addition-start")
    for row in rows[:4]:
        ids = torch.tensor([policy.encode(row["prompt"]) + row["token_ids"]])
        with torch.no_grad():
            clean = torch.log_softmax(policy.model(ids).logits, -1)[0, 8:-1].gather(-1, ids[0, 9:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(row["logprobs"]), clean, atol=1e-4, rtol=0)
    assert max(abs(a - b) for row in rows for a, b in zip(row["logprobs"], row["old_logprobs"], strict=True)) > 0.5


def test_weights_stay_float32_when_products_are_bfloat16() -> None:
    """Updates of 2e-4 would be lost in bfloat16 weights."""
    config = small(dtype="bfloat16", steps=2)
    policy = list(train(config))[-1].payload
    assert {parameter.dtype for parameter in policy.model.parameters()} == {torch.float32}
    exact = steps(list(train(replace(config, dtype="float32"))))
    assert steps(list(train(config))) != exact


@pytest.mark.parametrize(("how", "of_two"), [("std", 0.7071), ("mean", 0.5), ("none", 1.0)])
def test_advantages_are_normalised_as_asked(how: str, of_two: float) -> None:
    """Group [1, 0]: the sample deviation is 0.7071, so (1 − ½)/0.7071 = 0.7071."""
    rows = next(e.payload for e in train(small(prompts=16, completions=2, steps=1, advantage_norm=how)) if e.payload)
    groups = [(rows[i], rows[i + 1]) for i in range(0, 32, 2)]
    mixed = [pair for pair in groups if {row["reward"] for row in pair} == {0.0, 1.0}]
    assert mixed
    for pair in mixed:
        right = next(row for row in pair if row["reward"] == 1)
        assert right["advantage"] == pytest.approx(of_two, abs=1e-3)


def test_dr_grpo_does_not_divide_by_the_deviation_unless_told_to() -> None:
    assert engine.advantage_norm(RunConfig("dr_grpo")) == "mean" and engine.advantage_norm(RunConfig("sapo")) == "std"
    assert engine.advantage_norm(RunConfig("dr_grpo", advantage_norm="std")) == "std"


# -- KL ------------------------------------------------------------------------------------------------------


def test_the_kl_penalty_runs_from_the_policy_to_its_start() -> None:
    """Far apart, over whole vocabularies: Σ π_θ·(log π_θ − log π_start) at each sampled position, summed exactly.

    The penalty's estimators, on 512 completions sampled from π_θ, come within four standard errors of it; the other
    direction, Σ π_start·(log π_start − log π_θ), lies far outside.
    """
    policy, start = load_policy("addition-start"), load_policy("addition-rl")
    rollout = rolled(policy, 32, 16)
    with torch.no_grad():
        own, other = (completion_logprobs(each, rollout) for each in (policy, start))
        ids = torch.cat([rollout.prompt_ids, rollout.ids[:, :-1]], 1)
        log_p, log_q = (torch.log_softmax(each.model(ids).logits[:, -32:], -1) for each in (policy, start))
    forward = float((log_p.exp() * (log_p - log_q)).sum(-1)[rollout.mask].mean())
    backward = float((log_q.exp() * (log_q - log_p)).sum(-1)[rollout.mask].mean())
    assert abs(forward - backward) > 0.2 * forward
    for name, estimator in (("k1", k1), ("k3", k3)):
        values = estimator((other - own)[rollout.mask])
        error = float(values.std()) / len(values) ** 0.5
        assert float(values.mean()) == pytest.approx(forward, abs=4 * error)
        config = small(kl_coef=1.0, kl_estimator=name)
        batch = Batch(rollout, own, torch.zeros(512), other)
        _, penalty = minibatch_loss(config, config.make_objective(), policy, batch, torch.arange(512), 32)
        assert float(penalty.detach()) == pytest.approx(forward, rel=0.1)
        assert abs(float(penalty.detach()) - backward) > 2 * abs(float(penalty.detach()) - forward)


# -- routing replay ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["grpo", "sapo", "gspo"])
def test_without_replay_updates_change_routes_and_with_it_they_do_not(objective: str) -> None:
    def changed(routing_replay: str) -> list[float]:
        config = small(objective=objective, routing_replay=routing_replay, steps=3, lr=1e-3, warmup=0, **MOE)
        return [step["changed_routes"] for step in steps(list(train(config)))]

    assert max(changed("off")) > 0.005
    assert changed("r2") == changed("r3") == [0.0, 0.0, 0.0]


def test_the_router_still_gets_its_gradient_under_replay() -> None:
    config = small(objective="grpo", routing_replay="r3", **MOE)
    policy = load_policy("addition-moe-start")
    batch = batch_of(policy, torch.tensor([1.0, -1.0, 0.5, -0.5] * 4))
    with torch.no_grad():  # routers that would choose quite differently now
        for router in routers(policy.model):
            router.weight.copy_(router.weight.flip(0))
    with recorded(policy.model) as used:
        out, _ = minibatch_loss(config, config.make_objective(), policy, batch, torch.arange(16), 32)
    out.loss.backward()  # type: ignore[no-untyped-call]
    routes = stacked(used, 16)
    assert routes is not None and batch.rollout.routes is not None
    assert torch.equal(routes, batch.rollout.routes[:, : routes.shape[1]])
    assert all(router.weight.grad.abs().max() > 1e-6 for router in routers(policy.model))


def test_replaying_routes_that_have_not_changed_changes_nothing() -> None:
    policy = load_policy("addition-moe-start")
    rollout = rolled(policy)
    with torch.no_grad():
        free, replayed = (completion_logprobs(policy, rollout, replay=replay) for replay in (False, True))
    torch.testing.assert_close(free, replayed, atol=1e-5, rtol=0)
    torch.testing.assert_close(free[rollout.mask], rollout.logprobs[rollout.mask], atol=2e-5, rtol=0)


def test_r2_takes_the_trainers_routes_and_r3_the_samplers() -> None:
    """They differ where the sampler's weights are old."""
    more = {"staleness": 1, "minibatches": 1, "steps": 2, "lr": 1e-2, "warmup": 0, **MOE}
    r2, r3 = (steps(list(train(small(routing_replay=how, **more))))[1] for how in ("r2", "r3"))
    assert r2["kl_old"] != r3["kl_old"] and r2["changed_routes"] == r3["changed_routes"] == 0


def test_replay_for_a_policy_without_experts_is_refused() -> None:
    with pytest.raises(RunError, match="routing_replay is 'r2'.*has no experts.*addition-moe-start"):
        next(train(small(routing_replay="r2")))


# -- tasks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["chain", "synonyms"])
def test_every_task_trains_from_its_own_warm_start(task: str) -> None:
    events = list(train(small(task=task, prompts=2, completions=4, steps=1, minibatches=1)))
    assert events[-1].type == "finished"
    assert steps(events)[0]["length"] > 30 and events[0].data["policy"] == {"chain": "chain-start"}.get(
        task, "addition-start"
    )


def test_early_configs_that_say_trainer_still_load() -> None:
    assert RunConfig.from_dict({"old_logprobs": "trainer"}).old_logprobs == "recomputed"


@pytest.mark.parametrize("state", [{}, {"model": {}}, {"model": {"w": torch.zeros(2)}, "optimizer": {}}])
def test_a_checkpoint_of_another_model_is_refused_in_one_sentence(state: dict[str, Any]) -> None:
    with pytest.raises(RunError, match="not one of this run.*75,776 parameters; delete checkpoint.pt to start over"):
        next(train(small(), resume=state))


@pytest.mark.parametrize("how", ["token-truncate", "token-mask", "sequence-truncate", "sequence-mask"])
def test_a_correction_weighs_the_tokens_of_a_noisy_sampler_as_policy_loss_does(how: str) -> None:
    more = {"correction_low": 0.5} if how.endswith("mask") else {}
    config = small(sampler_noise=0.5, old_logprobs="recomputed", correction=how, correction_high=1.5, **more)
    policy = load_policy("addition-start")
    rollout = sample(policy, ["^123+456="] * 4, 8, max_length=32, noise=0.5, generator=torch.Generator().manual_seed(1))
    assert rollout is not None
    old = trainer_logprobs(config, policy, rollout).where(rollout.mask, torch.zeros(()))
    advantages = torch.tensor([1.0, -1.0] * 16)
    batch = Batch(rollout, old, advantages, None, rollout.logprobs)
    out, _ = minibatch_loss(config, config.make_objective(), policy, batch, torch.arange(32), 32)
    weights = correction(config).weights(old, rollout.logprobs, rollout.mask)
    assert out.correction is not None and torch.equal(out.correction, weights)
    assert (weights[rollout.mask] != 1).any() and weights.max() <= 1.5
    assert how.endswith("truncate") or (weights[rollout.mask] == 0).any()


def test_a_correction_of_an_equal_sampler_changes_nothing() -> None:
    more: dict[str, object] = {"old_logprobs": "recomputed", "steps": 2, "warmup": 0, "lr": 1e-3}
    plain, corrected = (
        [step["grad_norm"] for step in steps(list(train(small(**more, **how))))]
        for how in ({}, {"correction": "token-truncate"})
    )
    assert corrected == pytest.approx(plain, rel=1e-3)


def test_a_correction_without_anything_to_correct_is_refused() -> None:
    with pytest.raises(RunError, match="π_old is the sampler and nothing is left to correct; take old_logprobs"):
        small(correction="token-mask")
    with pytest.raises(RunError, match="correction_high is 3, and correction is off"):
        small(correction_high=3.0)
