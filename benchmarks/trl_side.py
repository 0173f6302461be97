"""TRL's side of `make bench-trl`: its GRPOTrainer on the same work. Run by .venv-trl/bin/python.

python -m benchmarks.trl_side SEED STEPS THREADS OUT
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.trl_work import (
    BETAS,
    CLIP,
    COMPLETIONS,
    LEARNING_RATE,
    LENGTH,
    MINIBATCHES,
    POLICY,
    PROMPTS,
    WARMUP,
    Clock,
    Side,
    pin,
    prompts_of,
)


def main(seed: int, steps: int, threads: int, out: Path) -> None:
    pin(threads)
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from sapo_viz.models.tasks import TASKS

    task, side, groups = TASKS["addition"], Side("trl", seed), PROMPTS
    tokenizer = AutoTokenizer.from_pretrained(POLICY, padding_side="left")
    first = prompts_of(seed, 1)[0]
    assert tokenizer.decode(tokenizer(first)["input_ids"]) == first, tokenizer(first)

    def reward(prompts: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        """Whole texts, with the end symbol that the trainer's own decoding drops."""
        texts = tokenizer.batch_decode(completion_ids, skip_special_tokens=False)
        rewards = [task.reward(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
        members = [slice(group * COMPLETIONS, (group + 1) * COMPLETIONS) for group in range(groups)]
        alive = [len(set(rewards[part])) > 1 for part in members]
        lengths = [sum(len(ids) for ids in completion_ids[part]) for part in members]
        assert len(rewards) == PROMPTS * COMPLETIONS and all(len(set(prompts[part])) == 1 for part in members)
        side.rewards.append(sum(rewards) / len(rewards))
        side.sampled.append(sum(lengths))
        side.trained.append(sum(length for length, has in zip(lengths, alive, strict=True) if has))
        side.sequences.append(COMPLETIONS * sum(alive))
        return rewards

    class Laps(TrainerCallback):
        """The time of a rollout with its updates: four optimiser steps."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.clock = Clock()

        def on_step_end(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
            if state.global_step % MINIBATCHES == 0:
                self.clock.lap(side)

    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            seed=seed,
            shuffle_dataset=False,
            per_device_train_batch_size=PROMPTS * COMPLETIONS // MINIBATCHES,
            steps_per_generation=MINIBATCHES,
            num_generations=COMPLETIONS,
            max_completion_length=LENGTH,
            max_steps=steps * MINIBATCHES,
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            beta=0.0,
            loss_type="grpo",
            epsilon=0.2,
            scale_rewards="group",
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=WARMUP,
            adam_beta1=BETAS[0],
            adam_beta2=BETAS[1],
            weight_decay=0.0,
            max_grad_norm=CLIP,
            logging_steps=MINIBATCHES * steps,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(POLICY, dtype="float32"),
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_dict({"prompt": [p for k in range(1, steps + 1) for p in prompts_of(seed, k)]}),
            processing_class=tokenizer,
            callbacks=[Laps()],
        )
        trainer.train()
    assert len(side.seconds) == len(side.rewards) == steps, (len(side.seconds), len(side.rewards))
    side.write(out)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), Path(sys.argv[4]))
