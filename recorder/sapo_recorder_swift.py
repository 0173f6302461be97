"""Record a GRPO run of ms-swift (4.6): a plugin file, with `sapo_recorder.py` beside it or installed.

    SAPO_RECORD=runs/x swift rlhf --rlhf_type grpo --external_plugins sapo_recorder_swift.py …

Padding-free batches have no rows: their metrics are recorded, their tokens are not.
"""

from __future__ import annotations

import functools
from typing import Any, Dict

from torch import Tensor

from sapo_recorder import Batch, Loss, Recorder, after_import, settings_from_environment


def loss_of(trainer: Any) -> Loss:
    name, level = str(trainer.loss_type), str(trainer.importance_sampling_level)
    level = "sequence" if level == "sequence_token" else level
    clip = {"eps_low": float(trainer.epsilon_low), "eps_high": float(trainer.epsilon_high)}
    if name == "sapo":
        return Loss(name, level, "sapo", {"tau_pos": float(trainer.tau_pos), "tau_neg": float(trainer.tau_neg)})
    if name == "cispo":  # its epsilon_high is the cap itself
        return Loss(name, level, "cispo", {"eps_low": 1.0, "eps_high": clip["eps_high"] - 1})
    if name in ("grpo", "bnpo", "dr_grpo", "dapo"):
        delta = getattr(trainer.args, "delta", None)
        known = "gspo" if level == "sequence" else {"bnpo": "dapo"}.get(name, name)
        if delta is not None:
            return Loss(name, level, "dual_clip" if level == "token" else known, {**clip, "dual_clip": float(delta)})
        return Loss(name, level, known, clip)
    return Loss(name, level)


def batch_of(found: Any, model_inputs: Any, batch: Any, loss: Any) -> Batch:
    """What _compute_loss_and_metrics saw; `found` are the log-probs and entropies computed inside it."""
    ids, width = model_inputs.get("input_ids"), batch.completion_mask.shape[1]
    rows = isinstance(ids, Tensor) and len(ids) == len(batch.completion_mask) and ids.shape[1] >= width
    return Batch(
        logprobs=found[0],
        entropies=found[1] if isinstance(found[1], Tensor) else None,
        advantages=batch.advantages,
        mask=batch.completion_mask,
        ids=ids[:, -width:] if rows else None,
        old_logprobs=batch.old_per_token_logps,
        sampler_logprobs=batch.rollout_per_token_logps,
        ref_logprobs=batch.ref_per_token_logps,
        loss=loss if isinstance(loss, Tensor) else None,
    )


def patch(module: Any) -> None:
    """swift.rlhf_trainers.grpo_trainer"""
    trainer = module.GRPOTrainer
    logprobs, compute = trainer._get_per_token_logps_and_entropies, trainer._compute_loss_and_metrics
    recorders: Dict[int, Recorder] = {}
    found: Dict[int, Any] = {}

    @functools.wraps(logprobs)
    def _get_per_token_logps_and_entropies(self: Any, *args: Any, **kwargs: Any) -> Any:
        out = logprobs(self, *args, **kwargs)
        if found.get(id(self), 0) is None:
            found[id(self)] = out
        return out

    @functools.wraps(compute)
    def _compute_loss_and_metrics(self: Any, model: Any, model_inputs: Any, grpo_batch: Any) -> Any:
        found[id(self)] = None
        try:
            out = compute(self, model, model_inputs, grpo_batch)
        finally:
            inside = found.pop(id(self))
        if self.model.training and inside is not None:
            recorder = recorders.get(id(self)) or recorders.setdefault(id(self), start(self))
            with recorder.quietly():
                if grpo_batch.old_per_token_logps is None:
                    recorder.note("on-policy", "One update a rollout: π_old = π_θ, every ratio is 1, SAPO = GRPO.")
                recorder.add(batch_of(inside, model_inputs, grpo_batch, out[0]))
        return out

    trainer._get_per_token_logps_and_entropies = _get_per_token_logps_and_entropies
    trainer._compute_loss_and_metrics = _compute_loss_and_metrics


def start(trainer: Any) -> Recorder:
    """The trainer's recorder, made at its first loss, and ended with its training."""
    import swift
    from transformers import TrainerCallback

    accelerator = trainer.accelerator
    recorder = Recorder(
        framework="ms-swift", version=swift.__version__, loss=loss_of(trainer), rank=accelerator.process_index,
        world=accelerator.num_processes, tokenizer=trainer.processing_class, **settings_from_environment(),
    )  # fmt: skip

    class Steps(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            rewards, extra = getattr(trainer, "_rewards_per_func", None), {}
            if isinstance(rewards, Tensor):  # of all ranks
                extra = {"reward": (rewards * trainer.reward_weights.to(rewards.device)).nansum(1).mean()}
            recorder.end_step(state.global_step, extra)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            recorder.end("finished", "trained")

    trainer.add_callback(Steps())
    recorder.begin(trainer.state.global_step)
    return recorder


if settings_from_environment():
    after_import("swift.rlhf_trainers.grpo_trainer", patch)
