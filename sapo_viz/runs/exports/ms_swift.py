"""ms-swift: options of `swift rlhf --rlhf_type grpo`; many are TRL's, which it builds on."""

from __future__ import annotations

from sapo_viz.models.trained import LORA_TARGETS
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.exports import bash, trl
from sapo_viz.runs.exports.mapping import (
    ExportRow,
    Framework,
    Line,
    SettingRule,
    TheirValue,
    There,
    Translation,
    asked,
    is_plain,
    no_correction,
    no_sampler_of_its_own,
    policy_name,
    policy_notes,
    unless,
    with_another,
)


def _policy(config: RunConfig) -> There:
    return There({"model": policy_name(config)}, policy_notes(config))


def _chat(config: RunConfig) -> There:
    if is_plain(config):
        return There({"use_chat_template": False})
    notes = ("ms-swift asks in the model's chat template; the run does so only where there is one.",)
    return There({"use_chat_template": True}, notes if config.chat == "auto" else ())


def _validation(config: RunConfig) -> There:
    if not config.validate_every:
        return There({"eval_strategy": "no"})
    count = config.pass_at or 1
    return There(
        {
            "val_dataset": "held_out.jsonl",
            "eval_strategy": "steps",
            "eval_steps": config.validate_every * trl.updates_a_step(config),
            "num_generations_eval": count,
            "per_device_eval_batch_size": max(16, count),
        },
        (
            f"ms-swift validates by sampling: the mean reward of {count} completion(s) a held-out prompt, not greedy "
            "answers, pass@k or an interval.",
        ),
    )


def _lora(config: RunConfig) -> There:
    if not config.lora_rank:
        return There({"tuner_type": "full"})
    targets = LORA_TARGETS[config.lora_targets]
    return There(
        {
            "tuner_type": "lora",
            "lora_rank": config.lora_rank,
            "lora_alpha": round(config.lora_alpha) or 1,
            "target_modules": (targets,) if isinstance(targets, str) else tuple(targets),
        },
        (f"lora_alpha is a whole number there ({config.lora_alpha:g} in the run).",)
        if config.lora_alpha != round(config.lora_alpha)
        else (),
    )


def _needs(config: RunConfig) -> There:
    notes = []
    if config.objective == "dual_clip" and config.knobs["dual_clip"] < 1 + config.knobs["eps_high"]:
        notes.append("ms-swift's delta caps the ratio for both signs; below 1 + ε_high that is not dual clip.")
    values: dict[str, TheirValue] = {
        "rlhf_type": "grpo",
        "dataset": "train.jsonl",
        "dataset_shuffle": False,
        "train_dataloader_shuffle": False,
        "split_dataset_ratio": 0.0,
        "external_plugins": "reward.py",
        "reward_funcs": "exported",
        "output_dir": "trained",
        "logging_steps": trl.updates_a_step(config),
        "top_p": 1.0,
        "top_k": -1,
    }
    return There(values, tuple(notes))


RULES: dict[str, SettingRule] = {
    **trl.RULES,
    "policy": _policy,
    "chat": _chat,
    "validate_every": _validation,
    "lora_rank": _lora,
    "micro_batch": lambda config: trl.batches(config, "ms-swift"),
    "advantage_norm": lambda config: trl.scale_rewards(config, "ms-swift"),
    "aggregation": lambda config: trl.loss_type(config, "ms-swift"),
    "kl_estimator": unless("kl_estimator", "k3", "ms-swift's KL is k3 (here {value})."),
    **no_sampler_of_its_own("ms-swift"),
    "sampler_dtype": unless("sampler_dtype", "same", "ms-swift: the sampler has the trainer's precision, not {value}."),
    "old_logprobs": lambda config: trl.old_logprobs(config, "ms-swift"),
    **no_correction("ms-swift"),
    "routing_replay": unless("routing_replay", "off", "ms-swift: no routes are replayed here ({value} in the run)."),
    "device": unless("device", "auto", "ms-swift takes the GPUs that there are (the run's device is {value})."),
    "dtype": lambda config: There({"torch_dtype": config.dtype}),
    "pass_at": with_another,
}


def _argument(line: Line) -> str:
    values = line.value if isinstance(line.value, tuple) else (line.value,)
    return " ".join([f"--{line.name}", *(bash.quoted(bash.number(value)) for value in values)])


def _files(translation: Translation, config: RunConfig, head: str) -> dict[str, str]:
    command = 'swift rlhf "${args[@]}" ${MODEL:+--model "$MODEL"}'
    return {"run.sh": bash.script(head, translation.lines, _argument, command)}


def _row(row: ExportRow) -> ExportRow:
    return {"messages": row["messages"], **asked(row)}


MS_SWIFT = Framework(
    key="ms-swift",
    name="ms-swift",
    rules=RULES,
    files=_files,
    row=_row,
    needs=_needs,
    reward_end="""

from swift.rewards import ORM, orms  # noqa: E402


class Exported(ORM):
    def __call__(self, completions, question, answer, row=None, **_):
        rows = row or [None] * len(completions)
        return [reward(*each) or 0.0 for each in zip(question, completions, answer, rows)]


orms["exported"] = Exported
""",
)
