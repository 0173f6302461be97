"""A GRPOTrainer of TRL that is done in seconds on a processor: a policy of 2 layers, made up here, sums of digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

POLICY = Path(__file__).parents[2] / "assets" / "policies" / "addition-start"
PROMPTS = ["^864+394=", "^123+456=", "^700+199=", "^555+545="]


def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
    """Differs within a group and costs nothing: the share of even ids."""
    return [sum(token % 2 == 0 for token in ids) / max(len(ids), 1) for ids in completion_ids]


def trainer(out: Path, *, lora: bool = False, steps: int = 4, kind: Any = None, **settings: Any) -> Any:
    """`settings` are GRPOConfig's."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
    from trl import GRPOConfig, GRPOTrainer

    set_seed(1)
    usual: dict[str, Any] = dict(
        output_dir=str(out), use_cpu=True, bf16=False, gradient_checkpointing=False, seed=1, max_steps=steps,
        per_device_train_batch_size=8, num_generations=4, max_completion_length=12, learning_rate=1e-3,
        report_to="none", save_strategy="no", disable_tqdm=True, logging_steps=1000, loss_type="sapo",
        steps_per_generation=2, num_iterations=1, gradient_accumulation_steps=1,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(POLICY, dtype="float32")
    extra: dict[str, Any] = {}
    if lora:
        from peft import LoraConfig

        extra["peft_config"] = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    return (kind or GRPOTrainer)(
        model=model,
        reward_funcs=reward,
        args=GRPOConfig(**{**usual, **settings}),
        train_dataset=Dataset.from_dict({"prompt": PROMPTS * 8}),
        processing_class=AutoTokenizer.from_pretrained(POLICY, padding_side="left"),
        **extra,
    )
