"""The training loop, a generator of events. One step, `train` from top to bottom:

    1  roll out: completions of fresh prompts, by the policy as it is or as it was        models/rollout, runs/past
    2  reward them, and compare each with the others of its prompt: advantages            core/advantages
    3  settle π_old: the sampler's log-probs, or the trainer's before its first update    _Rolled
    4  mini-batch updates through the objective's `policy_loss`                           runs/update
    5  say what happened                                                                  runs/metrics

Nothing here writes a file or looks at the clock for anything but speed. Step k's prompts, samples and
mini-batches follow from (seed, k) alone, so a run resumed from a checkpoint goes on exactly as it would
have, and two objectives with the same seed are given the same prompts.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from sapo_viz.core import kl
from sapo_viz.core.advantages import baseline_advantages
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import CATALOG, LOG_RATIO_LIMIT
from sapo_viz.errors import RunError, TensorError
from sapo_viz.models.policy import Policy, load_policy
from sapo_viz.models.rollout import Rollout, completion_logprobs, decode, sample
from sapo_viz.models.routing import recorded, routers, stacked
from sapo_viz.models.spellings import spelled_out
from sapo_viz.models.tasks import TASKS, Task
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.past import PastPolicy
from sapo_viz.runs.snapshot_probes import Probe, probe_rows, take_probe
from sapo_viz.runs.snapshots import KEPT, token_rows
from sapo_viz.runs.update import Batch, Diverged, make_optimizer, trainer_logprobs, update

if TYPE_CHECKING:
    from torch import Tensor

_KL_SAMPLES = 32  # sequences, at most, on which KL to the start is measured: all of them would cost a fifth of the step

Never: Callable[[], bool] = lambda: False  # noqa: E731


@dataclass(frozen=True)
class _Rolled:
    """One step's rollout and what it earned."""

    rollout: Rollout
    texts: list[str]
    rewards: Tensor  # [P, G]
    advantages: Tensor  # [B]
    old_logprobs: Tensor  # [B, T], π_old's


def train(
    config: RunConfig, *, should_stop: Callable[[], bool] = Never, resume: Mapping[str, Any] | None = None
) -> Iterator[RunEvent]:
    """Run `config` and yield what happens, from `start` to `finished`, `stopped` or `failed`.

    Args:
        should_stop: asked between sampled tokens and between updates.
        resume: the payload of a checkpoint event of the same config.

    Payloads: `sample` carries token rows, `checkpoint` a state for `resume`, `finished` the Policy. The
    last two share tensors with the live policy: save or copy them before asking for the next event.

    Raises:
        ModelError, RunError: the policy cannot be loaded, or the device is not there.
    """
    task, objective, device = TASKS[config.task], config.make_objective(), pick_device(config.device)
    policy = starting_policy(config, task, device)
    start = Policy("start", copy.deepcopy(policy.model).requires_grad_(False), policy.tokenizer)
    optimizer = make_optimizer(config, policy)
    updates_per_step = config.minibatches * config.epochs
    past = PastPolicy(policy, config.staleness, updates_per_step)
    probe = take_probe(start, task, config.seed, config.temperature)
    done, tokens, seconds = 0, 0, 0.0
    if resume is not None:
        try:
            policy.model.load_state_dict(resume["model"])
            optimizer.load_state_dict(resume["optimizer"])
            past.restore(resume.get("past", {}))
            done, tokens, seconds = resume["step"], resume["tokens"], resume["seconds"]
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError):
            raise RunError(
                f"the checkpoint is not one of this run, whose policy is {policy.name!r} with {policy.parameters:,} "
                "parameters; delete checkpoint.pt to start over."
            ) from None
    yield RunEvent("start", done, _about(config, policy, device, resumed=resume is not None))

    for step in range(done + 1, config.steps + 1):
        began = time.perf_counter()
        generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + step)
        updates_done = (step - 1) * updates_per_step
        try:
            rolled = _roll_out(config, task, past.at(updates_done), step, generator, should_stop)
            if rolled is None:
                yield RunEvent("stopped", step - 1)
                return
            rolled = _settle_old(config, policy, rolled)
            kl_start, start_logprobs = _against_start(config, start, rolled)
            updated = update(
                config,
                objective,
                policy,
                optimizer,
                Batch(rolled.rollout, rolled.old_logprobs, rolled.advantages, start_logprobs),
                updates_done=updates_done,
                max_length=task.completion_length,
                generator=generator,
                should_stop=should_stop,
                after_each=past.keep,
            )
        except (Diverged, TensorError) as error:
            yield RunEvent("failed", step - 1, {"message": _why_it_diverged(config, step, error)})
            return
        if updated is None:
            yield RunEvent("stopped", step - 1)
            return
        mask = rolled.rollout.mask
        tokens += int(mask.sum())
        took = time.perf_counter() - began
        seconds += took
        metrics = {
            "reward": float(rolled.rewards.mean()),
            "entropy": rolled.rollout.entropy,
            "kl_start": kl_start,
            **updated,
            "signal": float((rolled.advantages != 0).float().mean()),
            "dead_groups": float((rolled.rewards == rolled.rewards[:, :1]).all(-1).float().mean()),
            "length": float(mask.sum(1).float().mean()),
            "completions_per_s": len(mask) / took,
            "tokens": float(tokens),
            "seconds": seconds,
        }
        yield RunEvent("step", step, {"metrics": metrics})
        if _due(step, config.snapshot_every, config) or step == 1:
            yield _sample_event(config, policy, probe, rolled, step)
        if _due(step, config.checkpoint_every, config) and config.checkpoint_every:
            state = {"model": policy.model.state_dict(), "optimizer": optimizer.state_dict(), "past": past.state()}
            progress = {"step": step, "tokens": tokens, "seconds": seconds}
            yield RunEvent("checkpoint", step, payload=state | progress)
    yield RunEvent("finished", config.steps, {"seconds": seconds}, payload=policy)


def starting_policy(config: RunConfig, task: Task, device: str) -> Policy:
    """The policy that the run begins with, in the task's vocabulary."""
    policy = load_policy(task.start if config.policy == "auto" else config.policy, device=device)
    if task.ends and task.ends[-1] not in policy.tokenizer.get_vocab():
        policy = spelled_out(policy, task)
    if config.routing_replay != "off" and not routers(policy.model):
        raise RunError(
            f"routing_replay is {config.routing_replay!r}, and policy {policy.name!r} has no experts; it takes off, or "
            "a policy such as addition-moe-start."
        )
    return policy


def pick_device(name: str) -> str:
    """`auto` takes CUDA where there is one."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise RunError("device is 'cuda', and PyTorch finds no GPU on this machine; it takes auto or cpu here.")
    return "cuda" if available and name != "cpu" else "cpu"


def _roll_out(
    config: RunConfig,
    task: Task,
    sampler: Policy,
    step: int,
    generator: torch.Generator,
    should_stop: Callable[[], bool],
) -> _Rolled | None:
    """Sample the step's prompts, reward the completions, and compare each with its group."""
    prompts = task.sample_prompts(config.prompts, random.Random(f"{config.seed}/{step}"))
    rollout = sample(
        sampler,
        prompts,
        config.completions,
        max_length=task.completion_length,
        temperature=config.temperature,
        noise=config.sampler_noise,
        low_precision="bfloat16" in (config.dtype, config.sampler_dtype),
        generator=generator,
        should_stop=should_stop,
    )
    if rollout is None:
        return None
    texts = decode(sampler, rollout)
    each = [prompt for prompt in prompts for _ in range(config.completions)]
    rewards = torch.tensor(list(map(task.reward, each, texts)), device=rollout.ids.device).view(config.prompts, -1)
    advantages = baseline_advantages(rewards, advantage_norm(config)).flatten()
    return _Rolled(rollout, texts, rewards, advantages, rollout.logprobs)


def advantage_norm(config: RunConfig) -> Literal["std", "mean", "none"]:
    """The setting, or what the objective's paper does."""
    if config.advantage_norm == "auto":
        return "std" if CATALOG[config.objective].normalize_advantage_std else "mean"
    return cast(Literal["std", "mean", "none"], config.advantage_norm)


def _settle_old(config: RunConfig, policy: Policy, rolled: _Rolled) -> _Rolled:
    """Replace the sampler's log-probs or routes by the trainer's own, where the settings ask for it."""
    recompute, r2 = config.old_logprobs == "recomputed", config.routing_replay == "r2"
    if not (recompute or r2):
        return rolled
    rollout = rolled.rollout
    with torch.no_grad(), recorded(policy.model) as used:
        # Under R2 this pass is the one that chooses the routes; under R3 it goes through the sampler's.
        logprobs = trainer_logprobs(replace(config, routing_replay="off") if r2 else config, policy, rollout)
    old_logprobs = torch.where(rollout.mask, logprobs, 0.0) if recompute else rolled.old_logprobs
    if r2:
        routes = stacked(used, len(rollout.ids))
        assert routes is not None and rollout.routes is not None
        rollout = replace(rollout, routes=torch.cat([routes, rollout.routes[:, routes.shape[1] :]], 1))
    return replace(rolled, rollout=rollout, old_logprobs=old_logprobs)


def _against_start(config: RunConfig, start: Policy, rolled: _Rolled) -> tuple[float, Tensor | None]:
    """KL(π_old ‖ π_start) per token; and the start's log-probs of every token if the loss needs them."""
    count = len(rolled.advantages)
    every = 1 if config.kl_coef else -(-count // _KL_SAMPLES)
    index = torch.arange(0, count, every, device=rolled.advantages.device)
    part = rolled.rollout.rows(index)
    with torch.no_grad():
        logprobs = completion_logprobs(
            start, part, temperature=config.temperature, low_precision=config.dtype == "bfloat16"
        )
    log_ratio = (logprobs - rolled.old_logprobs[index])[part.mask]
    return float(kl.k3(log_ratio.clamp(max=LOG_RATIO_LIMIT)).mean()), logprobs if config.kl_coef else None


def _sample_event(config: RunConfig, policy: Policy, probe: Probe | None, rolled: _Rolled, step: int) -> RunEvent:
    """The step's tokens with their log-probs after the update: what the Tokens page opens."""
    keep = torch.arange(min(KEPT, len(rolled.texts)), device=rolled.advantages.device)
    part = rolled.rollout.rows(keep)
    with torch.no_grad():
        logprobs = trainer_logprobs(config, policy, part)
    rewards = rolled.rewards.flatten()
    rows = token_rows(policy, part, logprobs, rolled.old_logprobs[keep], rolled.advantages[keep], rewards[keep], step)
    best = int(rewards.argmax())
    example = {
        "prompt": rolled.rollout.prompts[best // config.completions],
        "completion": rolled.texts[best],
        "reward": float(rewards[best]),
    }
    probes = probe_rows(probe, policy) if probe else []
    return RunEvent("sample", step, {"sequences": len(rows), **example, "probes": probes}, payload=rows)


def _due(step: int, every: int, config: RunConfig) -> bool:
    return step == config.steps or (every > 0 and step % every == 0)


def _about(config: RunConfig, policy: Policy, device: str, *, resumed: bool) -> dict[str, Any]:
    return {
        "config": config.to_dict(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "policy": policy.name,
        "parameters": policy.parameters,
        "resumed": resumed,
    }


def _why_it_diverged(config: RunConfig, step: int, error: Exception) -> str:
    clipping = " or gradient clipping, which is off" if not config.grad_clip else ""
    return (
        f"At step {step} {str(error).rstrip('.')}: the weights have run away; a smaller learning rate "
        f"than {config.lr:g}{clipping} would hold them."
    )
