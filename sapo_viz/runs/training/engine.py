"""The training loop, a generator of events. One step, `train` from top to bottom:

    1  roll out: completions of fresh prompts, by the policy as it is or as it was        models/rollout, runs/past
    2  reward them, and compare each with the others of its prompt: advantages            core/advantages
    3  settle π_old: the sampler's log-probs, or the trainer's before its first update    Rolled
    4  mini-batch updates through the objective's `policy_loss`                           runs/update
    5  say what happened                                                                  runs/metrics

Nothing here writes a file or looks at the clock for anything but speed. Step k's prompts, samples and
mini-batches follow from (seed, k) alone, so a run resumed from a checkpoint goes on exactly as it would
have, and two objectives with the same seed are given the same prompts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sapo_viz.core import kl
from sapo_viz.core.advantages import baseline_advantages
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import LOG_RATIO_LIMIT
from sapo_viz.errors import RunError, TensorError
from sapo_viz.models.policy import Policy, load_policy
from sapo_viz.models.rollout import Rollout, completion_logprobs, decode, prepare_recomputing, sample
from sapo_viz.models.routing import recorded, routers, stacked
from sapo_viz.models.spellings import spelled_out
from sapo_viz.models.tasks import TASKS
from sapo_viz.models.trained import add_lora, load_trained, sharing_copy, trained_parameters, trained_state
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.chosen import advantage_norm
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import Failure, RunEvent
from sapo_viz.runs.questions.exercise import Exercise, exercise_of
from sapo_viz.runs.questions.rewards import Reward
from sapo_viz.runs.starting import no_policy
from sapo_viz.runs.training.past import PastPolicy
from sapo_viz.runs.training.snapshot_probes import Probe, probe_rows, take_probe
from sapo_viz.runs.training.snapshots import KEPT, token_rows
from sapo_viz.runs.training.update import Batch, Diverged, in_parts, make_optimizer, trainer_logprobs, update
from sapo_viz.runs.training.validation import Look, validate

if TYPE_CHECKING:
    from torch import Tensor

_KL_SAMPLES = 32  # sequences, at most, on which KL to the start is measured: all of them would cost a fifth of the step

Never: Callable[[], bool] = lambda: False  # noqa: E731


@dataclass(frozen=True)
class Rolled:
    """One step's rollout and what it earned."""

    rollout: Rollout
    texts: list[str]
    rewards: Tensor  # [P, G]
    advantages: Tensor  # [B]
    old_logprobs: Tensor  # [B, T], π_old's


def train(
    config: RunConfig,
    *,
    should_stop: Callable[[], bool] = Never,
    resume: Mapping[str, Any] | None = None,
    models: Path | None = None,
    table: TextTable | None = None,
    reward: Reward | None = None,
) -> Iterator[RunEvent]:
    """Run `config` and yield what happens, from `start` to `finished`, `stopped` or `failed`.

    Args:
        should_stop: asked between sampled tokens and between updates.
        resume: the payload of a checkpoint event of the same config.
        models: None takes any folder of this machine for the starting policy; else `root` of `models.source.locate`.
        table: the questions of the task "questions".
        reward: of a text task; None takes what the settings say, any Python file included.

    Payloads: `sample` carries token rows, `checkpoint` a state for `resume`, `finished` the Policy. The
    last two share tensors with the live policy: save or copy them before asking for the next event.

    Raises:
        ModelError, RunError: the policy cannot be loaded, the device is not there, or the questions or their reward
            cannot be used; all that is asked before the first step.
    """
    objective, device = config.make_objective(), pick_device(config.device)
    policy = starting_policy(config, device, models)
    exercise = exercise_of(config, policy, table, reward)
    start = Policy("start", sharing_copy(policy.model).requires_grad_(False), policy.tokenizer)
    optimizer = make_optimizer(config, policy)
    updates_per_step = config.minibatches * config.epochs
    past = PastPolicy(policy, config.staleness, updates_per_step)
    probe = take_probe(start, exercise, config.seed, config.temperature)
    done, tokens, seconds = 0, 0, 0.0
    if resume is not None:
        try:
            load_trained(policy.model, resume["model"])
            optimizer.load_state_dict(resume["optimizer"])
            past.restore(resume.get("past", {}))
            done, tokens, seconds = resume["step"], resume["tokens"], resume["seconds"]
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError):
            raise RunError(
                f"the checkpoint is not one of this run, whose policy is {policy.name!r} with {policy.parameters:,} "
                "parameters; delete checkpoint.pt to start over."
            ) from None
    about = about_run(config, policy, device, resumed=resume is not None)
    if resume is None:
        before = validate(config, start, exercise, 0, should_stop)
        if before is None:
            yield RunEvent("stopped", 0)
            return
        about |= before.metrics | before.told | {"examples": probe.examples if probe else []}
    yield RunEvent("start", done, about)

    for step in range(done + 1, config.steps + 1):
        began = time.perf_counter()
        generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + step)
        updates_done = (step - 1) * updates_per_step
        try:
            rolled = _roll_out(config, exercise, past.at(updates_done), step, generator, should_stop)
            if rolled is None:
                yield RunEvent("stopped", step - 1)
                return
            rolled = _settle_old(config, policy, rolled)
            kl_start, start_logprobs = against_start(config, start, rolled)
            updated = update(
                config,
                objective,
                policy,
                optimizer,
                Batch(
                    rolled.rollout,
                    rolled.old_logprobs,
                    rolled.advantages,
                    start_logprobs,
                    None if config.correction == "off" else rolled.rollout.logprobs,
                ),
                updates_done=updates_done,
                max_length=exercise.completion_length,
                generator=generator,
                should_stop=should_stop,
                after_each=past.keep,
            )
        except (Diverged, TensorError) as error:
            yield Failure("diverged", why_it_diverged(config, step, error)).at(step - 1)
            return
        if updated is None:
            yield RunEvent("stopped", step - 1)
            return
        mask = rolled.rollout.mask
        tokens += int(mask.sum())
        took = time.perf_counter() - began
        seconds += took
        look = validate(config, policy, exercise, step, should_stop) if due_look(step, config) else Look()
        if look is None:
            yield RunEvent("stopped", step - 1)
            return
        metrics = {
            "reward": float(rolled.rewards.nanmean()),
            **look.metrics,
            "entropy": rolled.rollout.entropy,
            "kl_start": kl_start,
            **updated,
            "signal": float((rolled.advantages != 0).float().mean()),
            "dead_groups": float(
                (rolled.rewards.nan_to_num() == rolled.rewards[:, :1].nan_to_num()).all(-1).float().mean()
            ),
            "length": float(mask.sum(1).float().mean()),
            "completions_per_s": len(mask) / took,
            "tokens": float(tokens),
            "seconds": seconds,
        }
        yield RunEvent("step", step, {"metrics": metrics} | look.told)
        if due(step, config.snapshot_every, config) or step == 1:
            yield sample_event(config, policy, probe, rolled, step)
        if due(step, config.checkpoint_every, config) and config.checkpoint_every:
            state = {"model": trained_state(policy.model), "optimizer": optimizer.state_dict(), "past": past.state()}
            progress = {"step": step, "tokens": tokens, "seconds": seconds}
            yield RunEvent("checkpoint", step, payload=state | progress)
    yield RunEvent("finished", config.steps, {"seconds": seconds}, payload=policy)


def starting_policy(config: RunConfig, device: str, models: Path | None = None, *, bare: bool = False) -> Policy:
    """The policy that the run begins with, in the task's vocabulary.

    Args:
        models: None takes any folder of this machine; else `root` of `models.source.locate`.
        bare: without layers that are trained beside its own, and not made ready for training.

    Raises:
        ModelError, RunError: it cannot be loaded, or does not fit the settings.
    """
    task = TASKS.get(config.task)
    if task is None and config.policy == "auto":
        raise no_policy(config.task)
    name = task.start if task and config.policy == "auto" else config.policy
    # What is frozen need not be held more precisely than it is multiplied; what is trained is float32 always.
    dtype = config.dtype if config.lora_rank else "float32"
    policy = load_policy(name, device=device, dtype=dtype, root=models)
    if task and task.ends and task.ends[-1] not in policy.tokenizer.get_vocab():
        policy = spelled_out(policy, task)
    if bare:
        return policy
    if config.routing_replay != "off" and not routers(policy.model):
        raise RunError(
            f"routing_replay is {config.routing_replay!r}, and policy {policy.name!r} has no experts; it takes off, or "
            "a policy such as addition-moe-start."
        )
    if routers(policy.model) and (config.micro_batch or config.recompute == "on"):
        raise RunError(
            f"policy {policy.name!r} is a mixture of experts, whose routes are recorded in one pass over a mini-batch; "
            "it takes micro_batch 0 and recompute off."
        )
    if config.lora_rank:
        add_lora(policy.model, config.lora_rank, config.lora_alpha, config.lora_targets, config.seed, policy.name)
    if config.recompute == "on":
        prepare_recomputing(policy)
    return policy


def pick_device(name: str) -> str:
    """`auto` takes CUDA where there is one."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise RunError("device is 'cuda', and PyTorch finds no GPU on this machine; it takes auto or cpu here.")
    return "cuda" if available and name != "cpu" else "cpu"


def _roll_out(
    config: RunConfig,
    exercise: Exercise,
    sampler: Policy,
    step: int,
    generator: torch.Generator,
    should_stop: Callable[[], bool],
) -> Rolled | None:
    """Sample the step's prompts, reward the completions, and compare each with its group."""
    prompts = exercise.sample_prompts(config.prompts, random.Random(f"{config.seed}/{step}"))
    rollout = sample(
        sampler,
        prompts,
        config.completions,
        max_length=exercise.completion_length,
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
    earned = [float("nan") if value is None else value for value in map(exercise.reward, each, texts)]
    rewards = torch.tensor(earned, dtype=torch.float32, device=rollout.ids.device).view(config.prompts, -1)
    advantages = advantages_of(rewards, advantage_norm(config)).flatten()
    return Rolled(rollout, texts, rewards, advantages, rollout.logprobs)


def advantages_of(rewards: Tensor, how: Literal["std", "mean", "none"]) -> Tensor:
    """As `baseline_advantages`; a completion without a reward (NaN) has 0, and no say for the others.

    [P, G] -> [P, G]
    """
    given = rewards.isfinite()
    if bool(given.all()):
        return baseline_advantages(rewards, how)
    out = torch.zeros_like(rewards)
    for group, there in enumerate(given):
        if bool(there.any()):
            out[group, there] = baseline_advantages(rewards[group, there][None], how)[0]
    return out


def _settle_old(config: RunConfig, policy: Policy, rolled: Rolled) -> Rolled:
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


def against_start(config: RunConfig, start: Policy, rolled: Rolled) -> tuple[float, Tensor | None]:
    """KL(π_old ‖ π_start) per token; and the start's log-probs of every token if the loss needs them."""
    count = len(rolled.advantages)
    every = 1 if config.kl_coef else -(-count // _KL_SAMPLES)
    index = torch.arange(0, count, every, device=rolled.advantages.device)
    part = rolled.rollout.rows(index)
    with torch.no_grad():
        logprobs = in_parts(
            part,
            config.micro_batch,
            lambda rows: completion_logprobs(
                start, rows, temperature=config.temperature, low_precision=config.dtype == "bfloat16"
            ),
        )
    log_ratio = (logprobs - rolled.old_logprobs[index])[part.mask]
    return float(kl.k3(log_ratio.clamp(max=LOG_RATIO_LIMIT)).mean()), logprobs if config.kl_coef else None


def sample_event(config: RunConfig, policy: Policy, probe: Probe | None, rolled: Rolled, step: int) -> RunEvent:
    """The step's tokens with their log-probs after the update: what the Tokens page opens."""
    keep = torch.arange(min(KEPT, len(rolled.texts)), device=rolled.advantages.device)
    part = rolled.rollout.rows(keep)
    with torch.no_grad():
        logprobs = trainer_logprobs(config, policy, part)
    rewards = rolled.rewards.flatten()
    rows = token_rows(policy, part, logprobs, rolled.old_logprobs[keep], rolled.advantages[keep], rewards[keep], step)
    best = int(rewards.nan_to_num(-float("inf")).argmax())
    example = {
        "prompt": rolled.rollout.prompts[best // config.completions],
        "completion": rolled.texts[best],
        "reward": float(rewards[best].nan_to_num()),
    }
    probes = probe_rows(probe, policy) if probe else []
    return RunEvent("sample", step, {"sequences": len(rows), **example, "probes": probes}, payload=rows)


def due_look(step: int, config: RunConfig) -> bool:
    return config.validate_every > 0 and due(step, config.validate_every, config)


def due(step: int, every: int, config: RunConfig) -> bool:
    return step == config.steps or (every > 0 and step % every == 0)


def about_run(config: RunConfig, policy: Policy, device: str, *, resumed: bool) -> dict[str, Any]:
    return {
        "config": config.to_dict(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "policy": policy.name,
        "parameters": policy.parameters,
        "trained": sum(parameter.numel() for parameter in trained_parameters(policy.model)),
        "resumed": resumed,
    }


def why_it_diverged(config: RunConfig, step: int, error: Exception) -> str:
    clipping = " or gradient clipping, which is off" if not config.grad_clip else ""
    return (
        f"At step {step} {str(error).rstrip('.')}: the weights have run away; a smaller learning rate "
        f"than {config.lr:g}{clipping} would hold them."
    )
