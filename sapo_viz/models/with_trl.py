"""TRL's GRPOTrainer with your own loss, reward and advantages: its sampling, its processes, its updates.

What is taken from TRL 1.16: prompts to ranks, generation, log-probs, mini-batches, accelerate. Its own loss and its own
advantages are replaced, so that whatever the catalogue has is trained. The methods that are overridden are private
there; `trainer_with` looks whether they still take what is passed, and says so in one sentence where they do not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch
from sapo_viz.errors import ModelError
from sapo_viz.models.policy import Policy
from sapo_viz.models.rollout import Rollout

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Plan:
    """What TRL has to know of a run; counts are of all processes together."""

    prompts: Sequence[str]  # `prompts_a_step` for each step, in their order
    prompts_a_step: int
    completions: int
    max_length: int
    temperature: float
    minibatches: int
    epochs: int
    steps: int
    seed: int
    cpu: bool
    bfloat16: bool
    grad_clip: float
    parts: int = 1  # micro-batches of a mini-batch
    settings: dict[str, Any] = field(default_factory=dict)  # of GRPOConfig, beyond these

    @property
    def updates(self) -> int:
        """Optimiser steps of one rollout."""
        return self.minibatches * self.epochs


@dataclass(frozen=True)
class Minibatch:
    """What the loss is made of, of this process: [B, T] but for `advantages` [B]."""

    logprobs: Tensor
    old_logprobs: Tensor
    advantages: Tensor
    mask: Tensor  # bool
    start_logprobs: Tensor | None
    entropy: Tensor
    all_tokens: int  # of the mini-batch, over all processes


@dataclass(frozen=True)
class Hooks:
    """What the run does: called in the order in which they stand, on every process."""

    begin: Callable[[int], None]  # of the step's number within this training, from 0, before it samples
    rewards: Callable[[Sequence[str], Sequence[str]], list[float]]  # (prompts, completions with their end) -> NaN: none
    advantages: Callable[[Tensor], Tensor]  # [P, G] -> [P, G]
    rolled: Callable[
        [Rollout, Tensor, Tensor], Tensor | None
    ]  # (own rollout, all rewards, own advantages) -> log π_start
    loss: Callable[[Minibatch], Tensor]
    updated: Callable[[int, float], bool]  # (updates done, gradient norm) -> whether all are to end


def missing() -> str:
    """What has to be installed, or nothing."""
    return ", ".join(name for name in ("trl", "accelerate", "datasets") if find_spec(name) is None)


def join(cpu: bool) -> None:
    """Meet the other processes, if `accelerate launch` or torchrun has started any; each takes its own GPU."""
    from accelerate import PartialState

    PartialState(cpu=cpu)


def processes() -> int:
    """How many there are; after `join`."""
    from accelerate import PartialState

    return int(PartialState().num_processes)


def process_index() -> int:
    """Which of them this one is; the first, 0, is the one that writes."""
    from accelerate import PartialState

    return int(PartialState().process_index)


def trainer_with(policy: Policy, plan: Plan, hooks: Hooks, optimizer: Any, scheduler: Any, folder: str) -> Any:
    """A GRPOTrainer that trains `policy` in place.

    Raises:
        ModelError: the installed TRL is another than this is written for.
    """
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    _check(GRPOTrainer)

    class Trainer(GRPOTrainer):
        def _calculate_rewards(self, *args: Any) -> Any:
            self.all_rewards = super()._calculate_rewards(*args)
            return self.all_rewards

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            hooks.begin(self.state.global_step // plan.updates)
            out = super()._generate_and_score_completions(inputs)
            rewards = self.all_rewards[:, 0].float().view(-1, plan.completions)
            every = hooks.advantages(rewards).flatten()
            own = every.view(self.accelerator.num_processes, -1)[self.accelerator.process_index]
            mask = out["completion_mask"].bool()
            old = out.get("old_per_token_logps")
            rollout = Rollout(
                tuple(row["prompt"] for row in inputs[:: plan.completions]),
                plan.completions,
                out["prompt_ids"],
                None if bool(out["prompt_mask"].all()) else out["prompt_mask"],
                out["completion_ids"],
                mask,
                torch.zeros_like(mask, dtype=torch.float32) if old is None else torch.where(mask, old, 0.0),
                0.0,
            )
            out["advantages"] = own
            start = hooks.rolled(rollout, rewards, own)
            return out if start is None else out | {"ref_per_token_logps": start}

        def _compute_loss(self, model: Any, inputs: Any) -> Any:
            mask = inputs["completion_mask"]
            ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
            attention = torch.cat([inputs["prompt_mask"], mask], 1)
            logprobs, entropies, _ = self._get_per_token_logps_and_entropies(
                model, ids, attention, mask.shape[1], compute_entropy=True
            )
            old = inputs.get("old_per_token_logps")
            loss = hooks.loss(
                Minibatch(
                    logprobs,
                    logprobs.detach() if old is None else old,
                    inputs["advantages"],
                    mask.bool(),
                    inputs.get("ref_per_token_logps"),
                    entropies.detach(),
                    int(self.accelerator.gather(mask.sum()).sum()),
                )
            )
            return loss / self.current_gradient_accumulation_steps

    class Watch(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            norm = (logs or {}).get("grad_norm")
            if norm is None:  # the last words of a training
                return
            ends = torch.tensor(float(hooks.updated(state.global_step, float(norm))), device=trainer.accelerator.device)
            if float(trainer.accelerator.reduce(ends)) > 0:  # one that ends alone would leave the others waiting
                control.should_training_stop = True

    world = processes()
    size = plan.prompts_a_step * plan.completions // plan.minibatches // world
    settings = GRPOConfig(
        output_dir=folder,
        use_cpu=plan.cpu,
        bf16=plan.bfloat16,
        seed=plan.seed,
        shuffle_dataset=False,
        per_device_train_batch_size=size // plan.parts,
        gradient_accumulation_steps=plan.parts,
        steps_per_generation=plan.minibatches * plan.parts,
        num_iterations=plan.epochs,
        num_generations=plan.completions,
        max_completion_length=plan.max_length,
        max_steps=plan.steps * plan.updates,
        temperature=plan.temperature,
        top_p=1.0,
        top_k=0,
        beta=0.0,
        max_grad_norm=plan.grad_clip,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        log_level="error",
        **plan.settings,
    )

    def reward(prompts: list[str], completion_ids: list[list[int]], **_: Any) -> list[float | None]:
        texts = policy.tokenizer.batch_decode(completion_ids, skip_special_tokens=False)
        return [*hooks.rewards(prompts, texts)]

    policy.tokenizer.padding_side = "left"
    trainer = Trainer(
        model=policy.model,
        reward_funcs=reward,
        args=settings,
        train_dataset=Dataset.from_dict({"prompt": list(plan.prompts)}),
        processing_class=policy.tokenizer,
        optimizers=(optimizer, scheduler),
        callbacks=[Watch()],
    )
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise ModelError(
            "engine trl keeps whole weights on each device, which FSDP and DeepSpeed cut up; launch without them, or "
            "export the run to TRL, whose script takes both."
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


_TAKE = {
    "_calculate_rewards": ("inputs", "prompts", "completions", "completion_ids_list"),
    "_generate_and_score_completions": ("inputs",),
    "_compute_loss": ("model", "inputs"),
    "_get_per_token_logps_and_entropies": ("model", "input_ids", "attention_mask", "logits_to_keep"),
}


def _check(trainer: type) -> None:
    for name, wanted in _TAKE.items():
        method = getattr(trainer, name, None)
        there = tuple(inspect.signature(method).parameters)[1:] if method else ()
        if there[: len(wanted)] != wanted:
            raise ModelError(
                f"this version of TRL has another {name} than 1.16; install trl==1.16.0, or take engine loop."
            )
