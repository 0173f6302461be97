"""What a rollout does to the policy: mini-batch updates through `policy_loss`, and what they looked like.

Where this differs from a textbook loop: sequences with A = 0 give no gradient, so they are left out of
the forward pass and stand in the loss with their old log-probs; denominators stay those of the whole
mini-batch. Late in a run that is half of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sapo_viz.core import kl
from sapo_viz.core.lazy import torch
from sapo_viz.core.losses import PolicyLoss, aggregate, policy_loss
from sapo_viz.core.objective import Objective
from sapo_viz.errors import RunError
from sapo_viz.models.policy import Policy
from sapo_viz.models.rollout import Rollout, completion_logprobs
from sapo_viz.runs.config import RunConfig

if TYPE_CHECKING:
    from torch import Tensor

_ESTIMATORS = {"k1": kl.k1, "k2": kl.k2, "k3": kl.k3}
_ON_POLICY = dict(gate_mean=1.0, clip_fraction=0.0, kl_old=0.0, ratio_p01=1.0, ratio_p50=1.0, ratio_p99=1.0)


class Diverged(RunError):
    """The loss or its gradient is not a number any more."""


@dataclass(frozen=True)
class Batch:
    """A rollout with what the updates need beside it; B sequences of T tokens."""

    rollout: Rollout
    old_logprobs: Tensor  # [B, T]
    advantages: Tensor  # [B]
    start_logprobs: Tensor | None  # [B, T], of the starting policy; only for the KL penalty


def make_optimizer(config: RunConfig, policy: Policy) -> torch.optim.Optimizer:
    parameters = policy.model.parameters()
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.AdamW(parameters, lr=config.lr, betas=(0.9, 0.95), weight_decay=config.weight_decay)


def update(
    config: RunConfig,
    objective: Objective,
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    *,
    updates_done: int,
    max_length: int,
    generator: torch.Generator,
    should_stop: Callable[[], bool],
) -> dict[str, float] | None:
    """All updates of one rollout; their metrics, or None if `should_stop` said so between two of them.

    Raises:
        Diverged: loss or gradient is NaN or infinite; the weights are as they were before that update.
    """
    losses, norms, ratio_max, last = [], [], 1.0, None
    count = len(batch.advantages)
    done = updates_done
    for _ in range(config.epochs):
        order = torch.randperm(count, generator=generator, device=generator.device)
        for index in order.tensor_split(config.minibatches):
            if should_stop():
                return None
            done += 1
            rate = config.lr * min(1.0, done / max(config.warmup, 1))
            for group in optimizer.param_groups:
                group["lr"] = rate
            out, penalty = _loss(config, objective, policy, batch, index, max_length)
            _zero_gradients(policy)
            loss = out.loss + penalty
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            limit = config.grad_clip or float("inf")
            norm = torch.nn.utils.clip_grad_norm_(policy.model.parameters(), limit)
            losses.append(_finite("loss", loss))
            norms.append(_finite("gradient norm", norm))
            optimizer.step()
            if (active := _with_signal(out)) is not None:
                last = active
                log_ratio = (active.logprobs.detach() - active.old_logprobs)[active.mask]
                ratio_max = max(ratio_max, float(log_ratio.max().clamp(max=20).exp()))
    metrics = last.metrics if last else _ON_POLICY
    return {name: metrics[name] for name in _ON_POLICY} | {
        "ratio_max": ratio_max,
        "grad_norm": max(norms),
        "loss": sum(losses) / len(losses),
        "lr": rate,
    }


def _zero_gradients(policy: Policy) -> None:
    """Zeros, not None: a mini-batch without signal has a gradient of zero, and momentum goes on as it would."""
    for parameter in policy.model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        else:
            parameter.grad.zero_()


def _loss(
    config: RunConfig, objective: Objective, policy: Policy, batch: Batch, index: Tensor, max_length: int
) -> tuple[PolicyLoss, Tensor]:
    """The objective's loss on a mini-batch, and the KL penalty that is added to it."""
    rollout = batch.rollout.rows(index)
    old, advantages, start = batch.old_logprobs[index], batch.advantages[index], batch.start_logprobs
    if start is not None:
        logprobs = completion_logprobs(policy, rollout, temperature=config.temperature)
    else:
        signal = advantages.nonzero()[:, 0]
        logprobs = old
        if len(signal):
            moved = completion_logprobs(policy, rollout.rows(signal), temperature=config.temperature)
            logprobs = old.index_copy(0, signal, moved)
    out = policy_loss(objective, logprobs, old, advantages, rollout.mask, max_length=max_length)
    if start is None:
        return out, torch.zeros((), device=old.device)
    log_ratio = (start[index] - logprobs).clamp(-20, 20)  # log q − log p with x ~ p = π_θ, near enough
    estimate = _ESTIMATORS[config.kl_estimator](log_ratio)
    return out, config.kl_coef * aggregate(estimate, rollout.mask, "seq-mean-token-mean")


def _with_signal(out: PolicyLoss) -> PolicyLoss | None:
    """The same, of the sequences with A ≠ 0 only: the others were not computed, and say nothing."""
    signal = (out.advantages != 0).any(-1)
    if not bool(signal.any()):
        return None
    return PolicyLoss(
        out.loss,
        out.objective,
        out.logprobs[signal],
        out.old_logprobs[signal],
        out.advantages[signal],
        out.mask[signal],
    )


def _finite(what: str, value: Tensor) -> float:
    number = float(value.detach())
    if not -float("inf") < number < float("inf"):
        raise Diverged(f"the {what} became {number}")
    return number
