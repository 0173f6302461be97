"""What a rollout does to the policy: mini-batch updates through `policy_loss`, and what they looked like.

Where this differs from a textbook loop: sequences with A = 0 give no gradient in most objectives, so they are left
out of the forward pass and are in the loss with their old log-probs. They are still counted: whatever the aggregation
divides by (sequences, tokens, T_max) is that of the whole mini-batch. Late in a run that is half of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sapo_viz.core import kl
from sapo_viz.core.lazy import torch
from sapo_viz.core.losses import PolicyLoss, policy_loss
from sapo_viz.core.metrics import batch_metrics
from sapo_viz.core.objective import Objective
from sapo_viz.core.surrogate import aggregate
from sapo_viz.core.token_view import token_view
from sapo_viz.errors import RunError
from sapo_viz.models.policy import Policy
from sapo_viz.models.rollout import Rollout, completion_logprobs
from sapo_viz.models.routing import changed_share, recorded, stacked
from sapo_viz.models.trained import trained_parameters
from sapo_viz.runs.chosen import aggregation, correction
from sapo_viz.runs.config import RunConfig

if TYPE_CHECKING:
    from torch import Tensor

_ESTIMATORS = {"k1": kl.k1, "k2": kl.k2, "k3": kl.k3}


class Diverged(RunError):
    """The loss or its gradient is not a number any more."""


@dataclass(frozen=True)
class Batch:
    """A rollout with what the updates need beside it; B sequences of T tokens."""

    rollout: Rollout  # its routes are those that are replayed
    old_logprobs: Tensor  # [B, T]
    advantages: Tensor  # [B]
    start_logprobs: Tensor | None  # [B, T], of the starting policy; only for the KL penalty
    sampler_logprobs: Tensor | None = None  # [B, T], the sampler's; only for a correction


def make_optimizer(config: RunConfig, policy: Policy) -> torch.optim.Optimizer:
    parameters = trained_parameters(policy.model)
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.AdamW(parameters, lr=config.lr, betas=(0.9, 0.95), weight_decay=config.weight_decay, fused=True)


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
    after_each: Callable[[int], None] = lambda done: None,
) -> dict[str, float] | None:
    """All updates of one rollout; their metrics, or None if `should_stop` said so between two of them.

    Args:
        updates_done: before this call, in the whole run.
        max_length: the generation budget that Dr. GRPO divides by.
        after_each: called after each update with the number of updates done.

    Raises:
        Diverged: loss or gradient is NaN or infinite; the weights are as they were before that update.
    """
    losses, norms, seen, changed = [], [], [], []
    parameters = trained_parameters(policy.model)
    done = updates_done
    for _ in range(config.epochs):
        order = torch.randperm(len(batch.advantages), generator=generator, device=generator.device)
        for index in order.tensor_split(config.minibatches):
            if should_stop():
                return None
            done += 1
            rate = config.lr * min(1.0, done / max(config.warmup, 1))
            for group in optimizer.param_groups:
                group["lr"] = rate
            _zero_gradients(parameters)
            deferred = _Deferred(config, policy) if config.micro_batch else None
            with recorded(policy.model) as used:
                out, penalty = minibatch_loss(config, objective, policy, batch, index, max_length, deferred)
            loss = out.loss + penalty
            if loss.requires_grad:
                loss.backward()
                if deferred is not None:
                    deferred.backward()
            limit = config.grad_clip or float("inf")
            norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
            losses.append(_finite("loss", loss))
            norms.append(_finite("gradient norm", norm))
            optimizer.step()
            after_each(done)
            seen.append(replace(out, loss=out.loss.detach(), logprobs=out.logprobs.detach()))  # let the graph go
            if used:
                changed.append(_changed_routes(config, objective, batch, index, used))
    return update_metrics(objective, seen) | {
        "changed_routes": sum(changed) / max(len(changed), 1),
        "grad_norm": max(norms),
        "loss": sum(losses) / len(losses),
        "lr": rate,
    }


def update_metrics(objective: Objective, seen: list[PolicyLoss]) -> dict[str, float]:
    """Ratios and gates of all tokens that carried signal, over all mini-batches of a step together.

    Each token counts with the ratio that it had when it was trained on. Without any signal they are the on-policy
    values.
    """
    parts = zip(*((out.logprobs, out.old_logprobs, out.advantages, out.mask) for out in seen), strict=True)
    logprobs, old_logprobs, advantages, mask = (torch.cat(part) for part in parts)
    signal = (advantages != 0).any(-1)
    logprobs, old_logprobs, mask = logprobs[signal], old_logprobs[signal], mask[signal]
    view = token_view(objective, logprobs, old_logprobs, advantages[signal], mask)
    log_ratio = (logprobs - old_logprobs)[mask]
    largest = float(log_ratio.abs().max()) if len(log_ratio) else 0.0
    return batch_metrics(view, logprobs, old_logprobs) | {"log_ratio_max": largest}


def _changed_routes(config: RunConfig, objective: Objective, batch: Batch, index: Tensor, used: list[Tensor]) -> float:
    """Share of the mini-batch's routes, where its tokens were predicted, that are not those of the rollout."""
    every = batch.start_logprobs is not None or objective.pulls_without_advantage
    rows = index if every else index[batch.advantages[index] != 0]
    rollout = batch.rollout.rows(rows)
    now = stacked(used, len(rows))
    assert now is not None and rollout.routes is not None
    first = rollout.prompt_ids.shape[1] - 1  # the last prompt token predicts the first sampled one
    length = now.shape[1] - first
    return changed_share(rollout.routes[:, first : now.shape[1]], now[:, first:], rollout.mask[:, :length])


def _zero_gradients(parameters: list[torch.nn.Parameter]) -> None:
    """Zeros, not None: a mini-batch without signal has a gradient of zero, and momentum goes on as it would."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        else:
            parameter.grad.zero_()


class _Deferred:
    """A mini-batch's log-probs in micro-batches, exactly: no objective notices.

    First all log-probs, a part at a time and without a graph; of them the loss and its gradient [B, T]; then each part
    once more, with its graph, which takes its rows of that gradient on to the weights. So whatever the objective or the
    aggregation makes of the whole mini-batch holds, for a second forward pass (a third more arithmetic), and no more
    than one part's activations are there at a time.
    """

    def __init__(self, config: RunConfig, policy: Policy) -> None:
        self._config, self._policy = config, policy
        self._rollout: Rollout | None = None
        self._logprobs: Tensor | None = None

    def logprobs(self, rollout: Rollout) -> Tensor:
        with torch.no_grad():
            values = trainer_logprobs(self._config, self._policy, rollout)
        self._rollout, self._logprobs = rollout, values.detach().requires_grad_()
        return self._logprobs

    def backward(self) -> None:
        assert self._rollout is not None and self._logprobs is not None
        if self._logprobs.grad is None:
            return
        for rows in torch.arange(len(self._logprobs), device=self._logprobs.device).split(self._config.micro_batch):
            part = _trainer_logprobs(self._config, self._policy, self._rollout.rows(rows))
            part.backward(self._logprobs.grad[rows])


def minibatch_loss(
    config: RunConfig,
    objective: Objective,
    policy: Policy,
    batch: Batch,
    index: Tensor,
    max_length: int,
    deferred: _Deferred | None = None,
) -> tuple[PolicyLoss, Tensor]:
    """The objective's loss on the sequences of `index`, and the KL penalty that is added to it.

    The penalty is a mean over sequences of token means whatever the loss's aggregation is, so that β weighs
    nats per token. What it estimates and where its gradient leads are two things: see `core/kl`.
    """
    rollout = batch.rollout.rows(index)
    logprobs_of = deferred.logprobs if deferred else lambda rows: _trainer_logprobs(config, policy, rows)
    old, advantages, start = batch.old_logprobs[index], batch.advantages[index], batch.start_logprobs
    if start is not None or objective.pulls_without_advantage:
        logprobs = logprobs_of(rollout)
    else:
        signal = advantages.nonzero()[:, 0]
        logprobs = old
        if len(signal):
            logprobs = old.index_copy(0, signal, logprobs_of(rollout.rows(signal)))
    out = policy_loss(
        objective,
        logprobs,
        old,
        advantages,
        rollout.mask,
        aggregation=aggregation(config),
        max_length=max_length,
        sampler_logprobs=None if batch.sampler_logprobs is None else batch.sampler_logprobs[index],
        correction=correction(config),
    )
    if start is None:
        return out, torch.zeros((), device=old.device)
    return out, kl_penalty(config, logprobs, start[index], rollout.mask)


def kl_penalty(config: RunConfig, logprobs: Tensor, start_logprobs: Tensor, mask: Tensor) -> Tensor:
    """β·KL(π_θ ‖ π_start), a mean over sequences of token means. All [B, T]"""
    log_ratio = (start_logprobs - logprobs).clamp(-20, 20)  # log q − log p with x ~ p = π_θ, near enough
    estimate = _ESTIMATORS[config.kl_estimator](log_ratio)
    return config.kl_coef * aggregate(estimate, mask, "seq-mean-token-mean")


def trainer_logprobs(config: RunConfig, policy: Policy, rollout: Rollout) -> Tensor:
    """log π of the sampled tokens as the trainer computes it, in micro-batches if so set. For use without gradient.

    Through the replayed experts, if so set. [B, T]
    """
    return in_parts(rollout, config.micro_batch, lambda rows: _trainer_logprobs(config, policy, rows))


def in_parts(rollout: Rollout, size: int, logprobs_of: Callable[[Rollout], Tensor]) -> Tensor:
    """The log-probs of so many sequences at a time; 0: of all at once. [B, T]"""
    count = len(rollout.ids)
    if not size or size >= count:
        return logprobs_of(rollout)
    places = torch.arange(count, device=rollout.ids.device).split(size)
    return torch.cat([logprobs_of(rollout.rows(rows)) for rows in places])


def _trainer_logprobs(config: RunConfig, policy: Policy, rollout: Rollout) -> Tensor:
    return completion_logprobs(
        policy,
        rollout,
        temperature=config.temperature,
        replay=config.routing_replay != "off",
        low_precision=config.dtype == "bfloat16",
    )


def _finite(what: str, value: Tensor) -> float:
    number = float(value.detach())
    if not -float("inf") < number < float("inf"):
        raise Diverged(f"the {what} became {number}")
    return number
