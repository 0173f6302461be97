"""The second engine: TRL's GRPOTrainer with accelerate, the objective's `policy_loss` in place of its loss.

The same events, settings and checkpoints as the loop's (`engine.py`), so that a run folder does not show which of them
trained, but for its setting `engine`. Where it differs: tokens are drawn from PyTorch's own generator, seeded for each
step, so that no number is the loop's; π_old is the trainer's, computed when the rollout is there; entropy is a mean
over the step's updates; and of several processes the first writes, of whose own sequences the metrics of tokens are.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch
from sapo_viz.core.losses import PolicyLoss, policy_loss
from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import RunError, TensorError
from sapo_viz.models.policy import Policy
from sapo_viz.models.rollout import Rollout, decode
from sapo_viz.models.trained import load_trained, sharing_copy, trained_state
from sapo_viz.models.with_trl import Hooks, Minibatch, Plan, join, process_index, processes, trainer_with
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.chosen import advantage_norm, aggregation
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import Failure, RunEvent
from sapo_viz.runs.questions.exercise import Exercise, exercise_of
from sapo_viz.runs.questions.rewards import Reward
from sapo_viz.runs.training.engine import (
    Never,
    Rolled,
    about_run,
    advantages_of,
    against_start,
    due,
    due_look,
    pick_device,
    sample_event,
    starting_policy,
    why_it_diverged,
)
from sapo_viz.runs.training.relay import relayed
from sapo_viz.runs.training.snapshot_probes import Probe, take_probe
from sapo_viz.runs.training.update import Diverged, kl_penalty, make_optimizer, update_metrics
from sapo_viz.runs.training.validation import Look, validate

if TYPE_CHECKING:
    from torch import Tensor

Say = Callable[[RunEvent], None]


def train_by_trl(
    config: RunConfig,
    *,
    should_stop: Callable[[], bool] = Never,
    resume: Mapping[str, Any] | None = None,
    models: Path | None = None,
    table: TextTable | None = None,
    reward: Reward | None = None,
) -> Iterator[RunEvent]:
    """As `engine.train`. Under `accelerate launch` every process iterates it, and each but the first gets no events.

    Raises:
        ModelError, RunError: as there; or TRL is another version, or the rollout cannot be cut for so many processes.
    """

    def work(say: Say) -> None:
        join(cpu=pick_device(config.device) == "cpu")
        _Run(config, _unsaid if process_index() else say, should_stop, models, table, reward, resume).train()

    yield from relayed(work)


def _unsaid(event: RunEvent) -> None:
    """What a process says that is not the first."""


class _Run:
    """One run: what TRL calls back for, and what is said of it."""

    def __init__(
        self,
        config: RunConfig,
        say: Say,
        should_stop: Callable[[], bool],
        models: Path | None,
        table: TextTable | None,
        reward: Reward | None,
        resume: Mapping[str, Any] | None,
    ) -> None:
        self.config, self.say, self.should_stop = config, say, should_stop
        self.objective, self.device = config.make_objective(), pick_device(config.device)
        self.policy = starting_policy(config, self.device, models)
        self.exercise: Exercise = exercise_of(config, self.policy, table, reward)
        self.start = Policy("start", sharing_copy(self.policy.model).requires_grad_(False), self.policy.tokenizer)
        self.optimizer = make_optimizer(config, self.policy)
        self.probe: Probe | None = take_probe(self.start, self.exercise, config.seed, config.temperature)
        self.done, self.tokens, self.seconds = 0, 0, 0.0
        self.resumed = resume is not None
        if resume is not None:
            self._restore(resume)
        self.step = self.done
        self.outs: list[PolicyLoss] = []
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.entropies: list[float] = []
        self.ending: RunEvent | None = None

    def _restore(self, state: Mapping[str, Any]) -> None:
        try:
            load_trained(self.policy.model, state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.done, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError):
            raise RunError("the checkpoint is not one of this run; delete checkpoint.pt to start over.") from None

    def train(self) -> None:
        config = self.config
        about = about_run(config, self.policy, self.device, resumed=self.resumed) | {"processes": processes()}
        if not self.resumed and not process_index():
            before = validate(config, self.start, self.exercise, 0, self.should_stop)
            if before is None:
                self.say(RunEvent("stopped", 0))
                return
            about |= before.metrics | before.told | {"examples": self.probe.examples if self.probe else []}
        self.say(RunEvent("start", self.done, about))
        plan = plan_of(config, self.exercise, self.done, processes(), self.device)
        hooks = Hooks(self._begin, self._rewards, self._advantages, self._rolled, self._loss, self._updated)
        with tempfile.TemporaryDirectory() as folder:
            rate = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._warmed)
            try:
                trainer_with(self.policy, plan, hooks, self.optimizer, rate, folder).train()
            except (Diverged, TensorError) as error:
                self.ending = Failure("diverged", why_it_diverged(config, self.step, error)).at(self.step - 1)
        if self.ending is None:
            self.ending = RunEvent("finished", config.steps, {"seconds": self.seconds}, payload=self.policy)
        self.say(self.ending)

    def _warmed(self, updates: int) -> float:
        """The share of the learning rate that the next update has."""
        before = self.done * self.config.minibatches * self.config.epochs
        return min(1.0, (before + updates + 1) / max(self.config.warmup, 1))

    def _begin(self, number: int) -> None:
        self.step = self.done + number + 1
        self.began = time.perf_counter()
        self.outs, self.losses, self.norms, self.entropies = [], [], [], []
        torch.manual_seed(self.config.seed * 1_000_003 + self.step + 7919 * process_index())

    def _rewards(self, prompts: Sequence[str], texts: Sequence[str]) -> list[float]:
        earned = [self.exercise.reward(prompt, self._cut(text)) for prompt, text in zip(prompts, texts, strict=True)]
        return [float("nan") if value is None else value for value in earned]

    def _cut(self, text: str) -> str:
        """Without the padding after the end symbol."""
        pad = str(self.policy.tokenizer.pad_token or "")
        while pad and text.endswith(pad):
            text = text.removesuffix(pad)
        return text

    def _advantages(self, rewards: Tensor) -> Tensor:
        return advantages_of(rewards, advantage_norm(self.config))

    def _rolled(self, rollout: Rollout, rewards: Tensor, own: Tensor) -> Tensor | None:
        self.rewards = rewards
        own_rewards = rewards.flatten()[: len(own)].view(-1, rollout.completions)
        self.rolled = Rolled(rollout, decode(self.policy, rollout), own_rewards, own, rollout.logprobs)
        self.kl_start, start = against_start(self.config, self.start, self.rolled)
        return start

    def _loss(self, batch: Minibatch) -> Tensor:
        mask = batch.mask
        out = policy_loss(
            self.objective,
            batch.logprobs,
            batch.old_logprobs,
            batch.advantages,
            mask,
            aggregation=aggregation(self.config),
            max_length=self.exercise.completion_length,
        )
        loss = out.loss
        if (
            aggregation(self.config) == "token-mean"
        ):  # the gradient is the processes' mean; a token's weight is everyone's
            loss = loss * (int(mask.sum()) * processes() / max(batch.all_tokens, 1))
        if batch.start_logprobs is not None:
            loss = loss + kl_penalty(self.config, batch.logprobs, batch.start_logprobs, mask)
        self.losses.append(float(loss.detach()))
        self.entropies.append(float(batch.entropy[mask].mean()))
        self.outs.append(replace(out, loss=out.loss.detach(), logprobs=out.logprobs.detach()))
        if not torch.isfinite(loss):
            raise Diverged(f"the loss became {float(loss.detach())}")
        return loss

    def _updated(self, updates: int, norm: float) -> bool:
        if norm != norm or norm == float("inf"):
            raise Diverged(f"the gradient norm became {norm}")
        self.norms.append(norm)
        if updates % (self.config.minibatches * self.config.epochs) == 0:
            return not self._step_said()
        if self.should_stop():
            self.ending = RunEvent("stopped", self.step - 1)
        return self.ending is not None

    def _step_said(self) -> bool:
        """Say what the step was; False if the run was told to stop meanwhile."""
        config, step = self.config, self.step
        took = time.perf_counter() - self.began
        self.seconds += took
        self.tokens += int(self.rolled.rollout.mask.sum()) * processes()
        look = validate(config, self.policy, self.exercise, step, self.should_stop) if self._looks() else Look()
        if look is None:
            self.ending = RunEvent("stopped", step - 1)
            return False
        rewards = self.rewards
        metrics = {
            "reward": float(rewards.nanmean()),
            **look.metrics,
            "entropy": sum(self.entropies) / len(self.entropies),
            "kl_start": self.kl_start,
            **update_metrics(self.objective, self.outs),
            "changed_routes": 0.0,
            "grad_norm": max(self.norms),
            "loss": sum(self.losses) / len(self.losses),
            "lr": config.lr * self._warmed(len(self.norms) * (step - self.done) - 1),
            "signal": float((self.rolled.advantages != 0).float().mean()),
            "dead_groups": float((rewards.nan_to_num() == rewards[:, :1].nan_to_num()).all(-1).float().mean()),
            "length": float(self.rolled.rollout.mask.sum(1).float().mean()),
            "completions_per_s": rewards.numel() / took,
            "tokens": float(self.tokens),
            "seconds": self.seconds,
        }
        self.say(RunEvent("step", step, {"metrics": metrics} | look.told))
        if not process_index() and (due(step, config.snapshot_every, config) or step == 1):
            self.say(sample_event(config, self.policy, self.probe, self.rolled, step))
        if due(step, config.checkpoint_every, config) and config.checkpoint_every:
            state = {"model": trained_state(self.policy.model), "optimizer": self.optimizer.state_dict(), "past": {}}
            progress = {"step": step, "tokens": self.tokens, "seconds": self.seconds}
            self.say(RunEvent("checkpoint", step, payload=state | progress))
        if step < config.steps and self.should_stop():
            self.ending = RunEvent("stopped", step)
            return False
        return True

    def _looks(self) -> bool:
        return not process_index() and due_look(self.step, self.config)


def plan_of(config: RunConfig, exercise: Exercise, done: int, world: int, device: str) -> Plan:
    """The run as TRL's trainer takes it, after `done` steps.

    Raises:
        RunError: a rollout cannot be cut into equal mini-batches for each process.
    """
    whole = config.prompts * config.completions
    if world > 1 and CATALOG[config.objective].reads_other_sequences():
        raise RunError(
            f"{CATALOG[config.objective].label} looks at the whole mini-batch, and each of {world} processes has a "
            "part of it; it trains in one."
        )
    each, left = divmod(whole, config.minibatches * world)
    if left or whole // world % config.completions:
        raise RunError(
            f"{config.prompts} × {config.completions} completions cannot be cut into {config.minibatches} equal "
            f"mini-batches on {world} process(es), each with whole groups, as engine trl needs; take other numbers."
        )
    parts, left = divmod(each, config.micro_batch or each)
    if left:
        raise RunError(
            f"micro_batch is {config.micro_batch}; with engine trl it has to divide a mini-batch's {each} sequences."
        )
    drawn = (
        exercise.sample_prompts(config.prompts, random.Random(f"{config.seed}/{step}"))
        for step in range(done + 1, config.steps + 1)
    )
    return Plan(
        prompts=[prompt for prompts in drawn for prompt in prompts],
        prompts_a_step=config.prompts,
        completions=config.completions,
        max_length=exercise.completion_length,
        temperature=config.temperature,
        minibatches=config.minibatches,
        epochs=config.epochs,
        steps=config.steps - done,
        seed=config.seed,
        cpu=device == "cpu",
        bfloat16=config.dtype == "bfloat16",
        grad_clip=config.grad_clip,
        parts=parts,
        settings={"gradient_checkpointing": config.recompute == "on"},
    )
