"""TRL: a script for GRPOTrainer, which runs as it stands.

The names are fields of GRPOConfig, but for those with a colon: `model:` goes to from_pretrained, `peft:` to LoraConfig.
"""

from __future__ import annotations

from dataclasses import replace

from sapo_viz.models.tasks import TASKS
from sapo_viz.models.trained import LORA_TARGETS
from sapo_viz.runs.chosen import advantage_norm, aggregation
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.exports import bash
from sapo_viz.runs.exports.data import steps_written
from sapo_viz.runs.exports.mapping import (
    Framework,
    Line,
    SettingRule,
    TheirValue,
    There,
    Translation,
    advantage_notes,
    aggregation_notes,
    dividing,
    is_plain,
    no_correction,
    no_sampler_of_its_own,
    policy_name,
    policy_notes,
    unless,
    with_another,
)
from sapo_viz.runs.questions.exercise import completion_length

# The loss types that differ from one another by their aggregation alone.
LOSS_TYPES = {"seq-mean-token-mean": "grpo", "token-mean": "dapo", "seq-mean-token-sum-norm": "dr_grpo"}
CLIPPED = ("grpo", "gspo", "dapo", "dr_grpo", "dual_clip")
OTHERS = {"sapo": "seq-mean-token-mean", "gmpo": "seq-mean-token-mean", "cispo": "token-mean", "vespo": "token-mean"}


def _policy(config: RunConfig) -> There:
    return There({"model:name": policy_name(config)}, policy_notes(config))


def batches(config: RunConfig, framework: str) -> There:
    """TRL and ms-swift count sequences per device, and rollouts in such batches; on several devices both multiply."""
    whole = config.prompts * config.completions
    count = dividing(whole, config.minibatches)
    size = whole // count
    part = dividing(size, config.micro_batch or size)
    values: dict[str, TheirValue] = {
        "per_device_train_batch_size": part,
        "gradient_accumulation_steps": size // part,
        "steps_per_generation": whole // part,
        "max_steps": config.steps * count * config.epochs,
    }
    notes = [f"{config.minibatches} mini-batches do not divide {whole} completions; here it is {count}."]
    notes = notes if count != config.minibatches else []
    if config.micro_batch and part != min(config.micro_batch, size):
        notes.append(f"Micro-batches of {config.micro_batch} do not divide a mini-batch of {size}; here it is {part}.")
    return There(values, tuple(notes))


def updates_a_step(config: RunConfig) -> int:
    """Optimiser steps there for one rollout here."""
    return dividing(config.prompts * config.completions, config.minibatches) * config.epochs


def _validation(config: RunConfig) -> There:
    if not config.validate_every:
        return There({"eval_strategy": "no"})
    return There(
        {
            "eval_strategy": "steps",
            "eval_steps": config.validate_every * updates_a_step(config),
            "num_generations_eval": config.pass_at or 1,
            "per_device_eval_batch_size": max(16, config.pass_at),
        },
        (
            "TRL validates by sampling at the training temperature: the mean reward of "
            f"{config.pass_at or 1} completion(s) a held-out prompt, not greedy answers, pass@k or an interval.",
        ),
    )


def _lora(config: RunConfig) -> There:
    if not config.lora_rank:
        return There()
    targets = LORA_TARGETS[config.lora_targets]
    values: dict[str, TheirValue] = {"peft:r": config.lora_rank, "peft:lora_alpha": config.lora_alpha}
    return There(values | {"peft:target_modules": targets if isinstance(targets, str) else tuple(targets)})


def scale_rewards(config: RunConfig, framework: str) -> There:
    scale = "group" if advantage_norm(config) == "std" else "none"
    return There({"scale_rewards": scale}, advantage_notes(config, framework))


def loss_type(config: RunConfig, framework: str) -> There:
    """Both frameworks tie the aggregation to the loss type."""
    asked = aggregation(config)
    if config.objective in CLIPPED and asked in LOSS_TYPES:
        return There({"loss_type": LOSS_TYPES[asked]})
    there = OTHERS.get(config.objective, "seq-mean-token-sum" if config.objective == "luspo" else "")
    if config.objective == "fipo":
        there = "token-mean"
    return There(notes=aggregation_notes(config, framework, there or "seq-mean-token-mean"))


def optimizer(config: RunConfig) -> There:
    if config.optimizer == "sgd":
        return There({"optim": "sgd"})
    return There({"optim": "adamw_torch", "adam_beta1": 0.9, "adam_beta2": 0.95})


def warmup(config: RunConfig) -> There:
    return There({"lr_scheduler_type": "constant_with_warmup", "warmup_steps": config.warmup})


def saving(config: RunConfig) -> There:
    if not config.checkpoint_every:
        return There({"save_strategy": "no"})
    return There({"save_strategy": "steps", "save_steps": config.checkpoint_every * updates_a_step(config)})


def _kl_estimator(config: RunConfig) -> There:
    wrong = config.kl_coef and config.kl_estimator != "k3"
    return There(notes=(f"TRL's KL is k3; in the run it is {config.kl_estimator}.",) if wrong else ())


def old_logprobs(config: RunConfig, framework: str) -> There:
    if config.old_logprobs == "recomputed":
        return There()
    return There(
        notes=(f"{framework} takes the ratio against log-probs that the trainer computes; in the run the sampler's.",)
    )


def _precision(config: RunConfig) -> There:
    held = config.dtype if config.lora_rank else "float32"
    return There({"bf16": config.dtype == "bfloat16", "model:dtype": held})


def _needs(config: RunConfig) -> There:
    values: dict[str, TheirValue] = {"top_p": 1.0, "top_k": 0, "shuffle_dataset": False}
    values |= {"logging_steps": updates_a_step(config), "report_to": "none"}
    notes = []
    if config.objective == "dual_clip" and config.knobs["dual_clip"] < 1 + config.knobs["eps_high"]:
        notes.append("TRL's delta caps the ratio for both signs; below 1 + ε_high that is not dual clip.")
    if steps_written(config) < config.steps:
        notes.append(f"train.jsonl has the prompts of {steps_written(config):,} steps; after them it begins anew.")
    return There(values, tuple(notes))


class Code(str):
    """A value that goes into the script as it is."""

    __repr__ = str.__str__


_USE_CPU: dict[str, TheirValue] = {"cpu": True, "cuda": False, "auto": Code("not torch.cuda.is_available()")}

RULES: dict[str, SettingRule] = {
    "policy": _policy,
    "seed": "seed",
    "steps": with_another,
    "chat": with_another,
    "max_tokens": lambda config: There({"max_completion_length": completion_length(config)}),
    "validate_every": _validation,
    "pass_at": with_another,
    "lora_rank": _lora,
    "lora_alpha": with_another,
    "lora_targets": with_another,
    "micro_batch": lambda config: batches(config, "TRL"),
    "recompute": lambda config: There({"gradient_checkpointing": config.recompute == "on"}),
    "lr": "learning_rate",
    "minibatches": with_another,
    "epochs": "num_iterations",
    "advantage_norm": lambda config: scale_rewards(config, "TRL"),
    "aggregation": lambda config: loss_type(config, "TRL"),
    "optimizer": optimizer,
    "grad_clip": "max_grad_norm",
    "warmup": warmup,
    "weight_decay": "weight_decay",
    "kl_coef": "beta",
    "kl_estimator": _kl_estimator,
    "prompts": with_another,
    "completions": "num_generations",
    "temperature": "temperature",
    **no_sampler_of_its_own("TRL"),
    "sampler_dtype": unless("sampler_dtype", "same", "TRL: the sampler has the trainer's precision, not {value}."),
    "old_logprobs": lambda config: old_logprobs(config, "TRL"),
    **no_correction("TRL"),
    "routing_replay": unless("routing_replay", "off", "TRL replays no routes ({value} in the run)."),
    "checkpoint_every": saving,
    "device": lambda config: There({"use_cpu": _USE_CPU[config.device]}),
    "dtype": _precision,
}


def _files(translation: Translation, config: RunConfig, head: str) -> dict[str, str]:
    gmpo, texts = config.objective == "gmpo", config.task not in TASKS
    model = {line.name: line.value for line in _of(translation, "model:")}
    lora = "".join(f"            {_argument(line)}\n" for line in _of(translation, "peft:"))
    script = _SCRIPT.format(
        head=head.replace("\\", "/").replace('"', "'"),
        home="trl.experimental.gmpo" if gmpo else "trl",
        config="GMPOConfig" if gmpo else "GRPOConfig",
        trainer="GMPOTrainer" if gmpo else "GRPOTrainer",
        model=model["name"],
        dtype=model["dtype"],
        completions=_ANSWERS if texts else _WITH_END,
        rows="row" if config.reward.endswith(".py") else "[None] * len(question)",
        row=", row" if config.reward.endswith(".py") else "",
        plain=_PLAIN if _may_be_plain(config) else "",
        held_out=_HELD_OUT if config.validate_every else "",
        flatten=_flatten(config) if _may_be_plain(config) else "",
        arguments=_grouped(translation),
        evaluate="        eval_dataset=held_out,\n" if config.validate_every else "",
        lora_import="from peft import LoraConfig\n" if lora else "",
        lora=f"        peft_config=LoraConfig(\n{lora}        ),\n" if lora else "",
    )
    return {"train.py": script}


def _of(translation: Translation, prefix: str) -> list[Line]:
    found = (line for line in translation.lines if line.name.startswith(prefix))
    return [replace(line, name=line.name.removeprefix(prefix)) for line in found]


def _grouped(translation: Translation) -> str:
    text = ""
    for group, lines in bash.by_group(line for line in translation.lines if ":" not in line.name):
        text += f"        # {group}\n" + "".join(f"        {_argument(line)}\n" for line in lines)
    return text


def _argument(line: Line) -> str:
    value = list(line.value) if isinstance(line.value, tuple) else line.value
    return f"{line.name}={value!r},"


def _may_be_plain(config: RunConfig) -> bool:
    """Chat template `auto`: whether there is one is known when the tokenizer is there."""
    return config.chat == "auto" and not is_plain(config)


def _flatten(config: RunConfig) -> str:
    names = ("train", "held_out") if config.validate_every else ("train",)
    return "    if not tokenizer.chat_template:\n" + "".join(f"        {name} = {name}.map(plain)\n" for name in names)


_WITH_END = """    # With the end symbol, which counts: the trainer's own texts are without it.
    completions = tokenizer.batch_decode(completion_ids)
"""
_ANSWERS = """    completions = [said if isinstance(said, str) else said[-1]["content"] for said in completions]
"""
_PLAIN = '''def plain(row):
    """A chat as a text, for a model without a chat template."""
    return {"prompt": "\\n\\n".join(said["content"] for said in row["prompt"])}


'''
_HELD_OUT = """    held_out = load_dataset("json", data_files=str(HERE / "held_out.jsonl"), split="train")
"""
_SCRIPT = '''"""{head}
"""

import os
from pathlib import Path

import torch
from datasets import load_dataset
{lora_import}from transformers import AutoModelForCausalLM, AutoTokenizer
from {home} import {config}, {trainer}

from reward import reward

HERE = Path(__file__).parent
MODEL = os.environ.get("MODEL", {model!r})

tokenizer = AutoTokenizer.from_pretrained(MODEL, padding_side="left")


def earned(completions, completion_ids, question, answer{row}, **_):
    """What each completion earns."""
{completions}    return [reward(*each) for each in zip(question, completions, answer, {rows})]


{plain}def main():
    train = load_dataset("json", data_files=str(HERE / "train.jsonl"), split="train")
{held_out}{flatten}    settings = {config}(
        output_dir=str(HERE / "trained"),
{arguments}    )
    trainer = {trainer}(
        model=AutoModelForCausalLM.from_pretrained(MODEL, dtype={dtype!r}),
        processing_class=tokenizer,
        reward_funcs=earned,
        args=settings,
        train_dataset=train,
{evaluate}{lora}    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
'''

TRL = Framework(
    key="trl",
    name="TRL",
    start="python train.py",
    decodes_end=True,
    rules=RULES,
    files=_files,
    row=lambda row: {name: value for name, value in row.items() if name not in ("text", "messages")},
    needs=_needs,
)
