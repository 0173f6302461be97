"""Record a PPO or GRPO run of OpenRLHF (0.11): a setup hook of Ray's workers.

    ray job submit --runtime-env-json='{"worker_process_setup_hook": "sapo_recorder_openrlhf.install",
        "env_vars": {"SAPO_RECORD": "/shared/runs/x"}}' -- python3 -m openrlhf.cli.train_ppo_ray …

In your own script: `watch(trainer)` with an ActorPPOTrainer. A step is one update of the actor's weights.
"""

from __future__ import annotations

import functools
from typing import Any, List, Optional

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from sapo_recorder import Batch, Loss, Recorder, after_import, settings_from_environment


def loss_of(module: Any) -> Loss:
    """The objective of a PolicyLoss."""
    knobs = {"eps_low": float(module.clip_eps_low), "eps_high": float(module.clip_eps_high)}
    if module.policy_loss_type == "gspo":
        return Loss("gspo", "sequence", "gspo", knobs)
    if module.dual_clip is not None:
        return Loss("ppo", "token", "dual_clip", {**knobs, "dual_clip": float(module.dual_clip)})
    return Loss("ppo", "token", "grpo", knobs)


def watch_loss(module: Any, recorder: Recorder, experience: Any = lambda: None) -> Any:
    """Hand every batch of a PolicyLoss that is trained on to the recorder; `experience()` is the one under way."""

    def before(_: Any, args: Any, kwargs: Any) -> None:
        if not torch.is_grad_enabled():
            return
        with recorder.quietly():
            names = ("log_probs", "old_log_probs", "advantages", "action_mask", "rollout_log_probs")
            given = {**dict(zip(names, args)), **kwargs}
            mask, now = given.get("action_mask"), experience()
            logprobs = given["log_probs"]
            sequences, width = getattr(now, "sequences", None), logprobs.shape[1]
            rewards = getattr(now, "rewards", None)
            fits = isinstance(rewards, torch.Tensor) and rewards.shape == logprobs.shape[:1]
            recorder.add(
                Batch(
                    logprobs=logprobs,
                    old_logprobs=given["old_log_probs"],
                    advantages=given["advantages"],
                    mask=torch.ones_like(logprobs) if mask is None else mask,
                    sampler_logprobs=given.get("rollout_log_probs"),
                    ref_logprobs=getattr(now, "base_action_log_probs", None),
                    ids=sequences[:, -width:] if isinstance(sequences, torch.Tensor) else None,
                    rewards=rewards if fits else None,
                )
            )

    return module.register_forward_pre_hook(before, with_kwargs=True)


def watch(trainer: Any) -> Optional[Recorder]:
    """Record what an ActorPPOTrainer trains, where SAPO_RECORD names a folder."""
    settings = settings_from_environment()
    if not settings:
        return None
    from importlib.metadata import version

    here = torch.distributed.is_available() and torch.distributed.is_initialized()
    recorder = Recorder(
        framework="openrlhf", version=version("openrlhf"), loss=loss_of(trainer.actor_loss_fn),
        rank=torch.distributed.get_rank() if here else 0, world=torch.distributed.get_world_size() if here else 1,
        tokenizer=trainer.tokenizer, **settings,
    )  # fmt: skip
    under_way: List[Any] = []
    original = trainer.training_step

    @functools.wraps(original)
    def training_step(experience: Any, *args: Any, **kwargs: Any) -> Any:
        under_way[:] = [experience]
        return original(experience, *args, **kwargs)

    trainer.training_step = training_step
    watch_loss(trainer.actor_loss_fn, recorder, lambda: under_way[0] if under_way else None)
    recorder.begin()
    end_steps_with_updates(recorder)
    return recorder


def end_steps_with_updates(recorder: Recorder) -> Any:
    """A step ends with the optimiser's; calls without a loss before them (another model's, parts of one) are none."""

    def after(*_: Any) -> None:
        if recorder.under_way:
            recorder.end_step(recorder.step + 1)

    return register_optimizer_step_post_hook(after)


def install() -> None:
    """In each of Ray's workers, before anything of OpenRLHF is imported."""

    def patch(module: Any) -> None:
        original = module.ActorPPOTrainer.__init__

        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            watch(self)

        module.ActorPPOTrainer.__init__ = __init__

    after_import("openrlhf.trainer.ray.ppo_actor", patch)
