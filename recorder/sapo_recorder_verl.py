"""Record a run of verl (0.9): set the variables, change no code.

    VERL_USE_EXTERNAL_MODULES=sapo_recorder_verl SAPO_RECORD=/shared/runs/x python -m verl.trainer.main_ppo …

On a Ray cluster that runs already, put both into ray_kwargs.ray_init.runtime_env.env_vars too. SAPO_RECORD_EVERY (10)
and SAPO_RECORD_SEQUENCES (64) as for TRL; the folder has to be one that all workers see.

In the workers `ppo_loss` is wrapped: the true π_θ of every update. A step is one of the trainer's, its mini-batches
together. SAPO_RECORD_WHERE=driver records in the driver instead, once a step: π_old against the sampler, no π_θ.
"""

from __future__ import annotations

import functools
import json
import os
from typing import Any, Dict, Optional

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from sapo_recorder import Batch, Loss, Recorder, after_import, settings_from_environment

STEP = "sapo_recorder_step"  # how the driver tells its step to the workers
CORRECTION = "sapo_recorder_correction"  # and, as JSON, which sampler correction it has put into the batch


def loss_of(config: Any) -> Loss:
    """The objective of an ActorConfig."""
    mode = str(config.policy_loss.get("loss_mode", "vanilla"))
    clip = {"eps_low": float(config.clip_ratio_low), "eps_high": float(config.clip_ratio_high)}
    if mode == "sapo":
        return Loss(mode, "token", "sapo", {"tau_pos": float(config.tau_pos), "tau_neg": float(config.tau_neg)})
    if mode == "vanilla":
        return Loss(mode, "token", "dual_clip", {**clip, "dual_clip": float(config.clip_ratio_c)})
    if mode in ("gspo", "cispo"):
        return Loss(mode, "sequence" if mode == "gspo" else "token", mode, clip)
    return Loss(mode, "sequence", "gmpo", clip) if mode == "geo_mean" else Loss(mode, "token")


class Worker:
    """What one worker process knows: its recorder, made at the first loss, and where in a step it is."""

    def __init__(self) -> None:
        self.recorder: Optional[Recorder] = None
        self.step: Optional[int] = None  # the driver's; None: counted here
        self.correction: Dict[str, Any] = {}
        self.minibatch = 0

    def patch_loss(self, module: Any) -> None:
        """verl.workers.utils.losses"""
        original = module.ppo_loss

        @functools.wraps(original)
        def ppo_loss(config: Any, model_output: Any, data: Any, dp_group: Any = None) -> Any:
            out = original(config, model_output, data, dp_group)
            if torch.is_grad_enabled():
                recorder = self._recorder(config, dp_group)
                with recorder.quietly(), torch.no_grad():
                    if recorder.running:
                        from verl.workers.utils.padding import no_padding_2_padding

                        padded = functools.partial(no_padding_2_padding, data=data)
                        batch = batch_of(model_output, data, out[0], self.minibatch)
                        recorder.add(batch, source=model_output["log_probs"], arrange=padded)
            return out

        module.ppo_loss = ppo_loss

    def patch_worker(self, module: Any) -> None:
        """verl.workers.engine_workers: one call of train_mini_batch is one step of the trainer."""
        original = module.TrainingWorker.train_mini_batch

        @functools.wraps(original)
        def train_mini_batch(worker: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
            self.begin_step(data)
            out = original(worker, data, *args, **kwargs)
            self.end_step()
            return out

        module.TrainingWorker.train_mini_batch = train_mini_batch

    def begin_step(self, data: Any) -> None:
        self.step, self.minibatch = None, 0
        from verl.utils import tensordict_utils

        if STEP in data:
            self.step = int(tensordict_utils.pop(data, STEP))
        if CORRECTION in data:
            self.correction = json.loads(tensordict_utils.pop(data, CORRECTION))

    def after_update(self, *_: Any) -> None:
        """After any optimiser's step in this process; a critic's does no harm, as counting starts anew with a step."""
        self.minibatch += 1

    def end_step(self) -> None:
        if self.recorder is not None and self.recorder.running:
            self.recorder.end_step(self.recorder.step + 1 if self.step is None else self.step)

    def _recorder(self, config: Any, dp_group: Any) -> Recorder:
        if self.recorder is None:
            import verl

            here = torch.distributed.is_available() and torch.distributed.is_initialized()
            rank = torch.distributed.get_rank(dp_group) if here else 0
            world = torch.distributed.get_world_size(dp_group) if here else 1
            names = (
                "loss_agg_mode",
                "ppo_epochs",
                "ppo_mini_batch_size",
                "use_kl_loss",
                "kl_loss_coef",
                "kl_loss_type",
                "entropy_coeff",
            )
            self.recorder = Recorder(
                framework="verl", version=verl.__version__, loss=loss_of(config), rank=rank, world=world,
                tokenizer=getattr(getattr(config, "model_config", None), "tokenizer", None),
                settings={**{name: getattr(config, name, None) for name in names}, **self.correction},
                **settings_from_environment(),
            )  # fmt: skip
            self.recorder.begin(max((self.step or 1) - 1, 0))
        return self.recorder


def batch_of(model_output: Any, data: Any, loss: Tensor, minibatch: int) -> Batch:
    """What ppo_loss saw, padded to [B, T]."""
    from verl.workers.utils.padding import no_padding_2_padding

    logprobs = no_padding_2_padding(model_output["log_probs"], data)
    entropy = model_output.get("entropy", None)
    width = logprobs.shape[1]
    given = tensors_of(data, width)
    return Batch(
        logprobs=logprobs,
        entropies=None if entropy is None else no_padding_2_padding(entropy, data),
        old_logprobs=given["old_log_probs"],
        loss=loss,
        minibatch=minibatch,
        **common(given),
    )


def tensors_of(data: Any, width: int) -> Dict[str, Any]:
    """The fields of a batch that are there, nested ones padded on the right to `width`; prompts to their longest."""
    out: Dict[str, Any] = {}
    names = ("prompts", "responses", "response_mask", "old_log_probs", "rollout_log_probs", "ref_log_prob",
             "advantages", "rollout_is_weights", "rm_scores", "token_level_scores")  # fmt: skip
    keys = set(data.keys())
    for name in names:
        if name in keys:
            value = data[name]
            if value.is_nested:
                lengths = value.offsets().diff()
                value = value.to_padded_tensor(0)
                if name == "prompts":
                    positions = torch.arange(value.shape[1], device=value.device)
                    out["prompt_mask"] = positions < lengths[:, None]
                if name == "responses":
                    out["present"] = torch.arange(width, device=value.device) < lengths[:, None]
            if name != "prompts" and value.dim() == 2 and value.shape[1] < width:
                value = torch.nn.functional.pad(value, (0, width - value.shape[1]))
            out[name] = value
    if "attention_mask" in keys and "prompt_mask" not in out and "prompts" in out:  # padded batches
        mask, length = data["attention_mask"], out["prompts"].shape[1]
        out["prompt_mask"], out["present"] = mask[:, :length], mask[:, length:]
    uid = data.get("uid", None) if "uid" in keys else None
    out["uid"] = None if uid is None else [str(each) for each in (uid.tolist() if hasattr(uid, "tolist") else uid)]
    return out


def common(given: Dict[str, Any]) -> Dict[str, Any]:
    scores = given.get("rm_scores", given.get("token_level_scores"))
    return {
        "advantages": given["advantages"],
        "mask": given["response_mask"],
        "ids": given.get("responses"),
        "present": given.get("present"),
        "sampler_logprobs": given.get("rollout_log_probs"),
        "ref_logprobs": given.get("ref_log_prob"),
        "correction": given.get("rollout_is_weights"),
        "rewards": None if scores is None else scores.sum(-1) if scores.dim() > 1 else scores,
        "groups": given["uid"],
        "prompt_ids": given.get("prompts"),
        "prompt_mask": given.get("prompt_mask"),
    }


def patch_driver(module: Any, record_here: bool) -> None:
    """verl.trainer.ppo.v1.trainer_base: tell the workers the step; or record what the driver has of it."""
    trainer = module.PPOTrainer
    update, compute = trainer._update_actor, trainer._compute_metrics
    recorders: Dict[int, Recorder] = {}

    @functools.wraps(update)
    def _update_actor(self: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        batch.extra_info[STEP] = self.global_steps
        correction = self.config.algorithm.get("rollout_correction", None) or {}
        names = ("rollout_is", "rollout_is_threshold")
        batch.extra_info[CORRECTION] = json.dumps({name: correction.get(name, None) for name in names})
        return update(self, batch, *args, **kwargs)

    @functools.wraps(compute)
    def _compute_metrics(self: Any, batch: Any, metrics: Any, timing_raw: Any, global_steps: int, epoch: int) -> Any:
        out = compute(self, batch, metrics, timing_raw, global_steps, epoch)
        recorder = recorders.get(id(self))
        if recorder is None:
            import verl

            actor = self.config.actor_rollout_ref.actor
            recorder = recorders[id(self)] = Recorder(
                framework="verl", version=verl.__version__, loss=loss_of(actor),
                tokenizer=getattr(self, "tokenizer", None), **settings_from_environment(),
            )  # fmt: skip
            recorder.begin(global_steps - 1)
        with recorder.quietly():
            recorder.add(driver_batch(module.tq, batch))
            recorder.end_step(global_steps)
        return out

    if record_here:
        trainer._compute_metrics = _compute_metrics
    else:
        trainer._update_actor = _update_actor


def driver_batch(queue: Any, batch: Any) -> Batch:
    """A whole step as the driver can fetch it, before the queue is cleared: no π_θ, so it stands as π_old."""
    names = (
        "prompts",
        "responses",
        "response_mask",
        "rollout_log_probs",
        "old_log_probs",
        "advantages",
        "rm_scores",
        "uid",
    )
    data = queue.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=list(names))
    given = tensors_of(data, int(data["responses"].offsets().diff().max()))
    return Batch(logprobs=given["old_log_probs"], **common(given))


if settings_from_environment():
    in_driver = os.environ.get("SAPO_RECORD_WHERE", "worker") == "driver"
    after_import("verl.trainer.ppo.v1.trainer_base", functools.partial(patch_driver, record_here=in_driver))
    if not in_driver:
        WORKER = Worker()
        after_import("verl.workers.utils.losses", WORKER.patch_loss)
        after_import("verl.workers.engine_workers", WORKER.patch_worker)
        register_optimizer_step_post_hook(WORKER.after_update)
