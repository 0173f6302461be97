"""verl: Hydra overrides of `verl.trainer.main_ppo`, on one machine with one GPU."""

from __future__ import annotations

from sapo_viz.models.trained import LORA_TARGETS
from sapo_viz.runs.chosen import advantage_norm, aggregation
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.exports import bash
from sapo_viz.runs.exports.data import steps_written
from sapo_viz.runs.exports.mapping import (
    ExportRow,
    Framework,
    Line,
    SettingRule,
    TheirValue,
    There,
    Translation,
    advantage_notes,
    aggregation_notes,
    asked,
    dividing,
    is_plain,
    no_sampler_of_its_own,
    policy_name,
    policy_notes,
    unless,
    whole_prompts,
    with_another,
)
from sapo_viz.runs.questions.exercise import completion_length

ACTOR, ROLLOUT, MODEL = "actor_rollout_ref.actor.", "actor_rollout_ref.rollout.", "actor_rollout_ref.model."
_OF_POLICY_LOSS = (
    "loss_mode",
    "clip_cov_ratio",
    "clip_cov_lb",
    "clip_cov_ub",
    "kl_cov_ratio",
    "ppo_kl_coef",
    "dro_beta",
)
_AS_IT_STANDS = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def _place(name: str) -> str:
    if name == "norm_adv_by_std_in_grpo":
        return f"algorithm.{name}"
    return f"{ACTOR}policy_loss.{name}" if name in _OF_POLICY_LOSS else f"{ACTOR}{name}"


def _policy(config: RunConfig) -> There:
    return There({f"{MODEL}path": policy_name(config)}, policy_notes(config))


def _seed(config: RunConfig) -> There:
    names = ("data.seed", f"{ROLLOUT}seed", f"{ACTOR}data_loader_seed", f"{ACTOR}fsdp_config.seed")
    return There(dict.fromkeys(names, config.seed))


def _steps(config: RunConfig) -> There:
    again = -(-config.steps // steps_written(config))
    return There({"trainer.total_training_steps": config.steps, "trainer.total_epochs": again})


def _chat(config: RunConfig) -> There:
    if is_plain(config):
        return There({f"{MODEL}custom_chat_template": _AS_IT_STANDS})
    if config.chat == "on":
        return There()
    return There(notes=("verl asks in the model's chat template; the run does so only where there is one.",))


def _validation(config: RunConfig) -> There:
    values: dict[str, TheirValue] = {
        "trainer.test_freq": config.validate_every or -1,
        "trainer.val_before_train": config.validate_every > 0,
    }
    notes = []
    if config.validate_every:
        notes.append("verl reports the mean reward of greedy answers, without an interval.")
    if config.pass_at:
        notes.append(f"verl validates greedily or by samples, not both: no pass@{config.pass_at} here.")
    return There(values, tuple(notes))


def _lora(config: RunConfig) -> There:
    if not config.lora_rank:
        return There()
    targets = LORA_TARGETS[config.lora_targets]
    return There(
        {
            f"{MODEL}lora_rank": config.lora_rank,
            f"{MODEL}lora_alpha": config.lora_alpha,
            f"{MODEL}target_modules": targets if isinstance(targets, str) else tuple(targets),
            f"{ROLLOUT}load_format": "safetensors",
        }
    )


def _batches(config: RunConfig) -> There:
    count, notes = whole_prompts(config)
    size = config.prompts // count * config.completions
    part = dividing(size, config.micro_batch or size)
    return There(
        {
            f"{ACTOR}ppo_mini_batch_size": config.prompts // count,
            f"{ACTOR}ppo_micro_batch_size_per_gpu": part,
            f"{ROLLOUT}log_prob_micro_batch_size_per_gpu": part,
            "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": part,
            f"{ACTOR}shuffle": True,
        },
        notes,
    )


def _optimizer(config: RunConfig) -> There:
    name = "SGD" if config.optimizer == "sgd" else "AdamW"
    return There({f"{ACTOR}optim.optimizer": name, f"{ACTOR}optim.betas": (0.9, 0.95)})


def _aggregation(config: RunConfig) -> There:
    if config.objective == "gmpo":
        return There(notes=aggregation_notes(config, "verl", "seq-mean-token-mean"))
    values: dict[str, TheirValue] = {f"{ACTOR}loss_agg_mode": aggregation(config)}
    if aggregation(config) == "seq-mean-token-sum-norm":
        values[f"{ACTOR}loss_scale_factor"] = completion_length(config)
    return There(values)


def _advantage(config: RunConfig) -> There:
    divided = advantage_norm(config) == "std"
    return There({"algorithm.norm_adv_by_std_in_grpo": divided}, advantage_notes(config, "verl"))


def _correction(config: RunConfig) -> There:
    """A threshold of one number truncates there, one of two (low_high) masks outside."""
    if config.correction == "off":
        return There()
    level, _, how = config.correction.partition("-")
    low, high = config.correction_low, config.correction_high
    place = "algorithm.rollout_correction.rollout_is"
    values: dict[str, TheirValue] = {
        place: level,
        f"{place}_threshold": high if how == "truncate" else f"{low:g}_{high:g}",
    }
    says = f"verl truncates ρ above alone; in the run it is held from {low:g}."
    return There(values, (says,) if how == "truncate" and low else ())


def _precision(config: RunConfig) -> There:
    low = "bfloat16" in (config.dtype, config.sampler_dtype)
    return There(
        {f"{ACTOR}fsdp_config.dtype": config.dtype, f"{ROLLOUT}dtype": "bfloat16" if low else "float32"},
    )


def _needs(config: RunConfig) -> There:
    values: dict[str, TheirValue] = {
        "algorithm.adv_estimator": "grpo",
        "data.train_files": "train.jsonl",
        "data.val_files": "held_out.jsonl" if config.validate_every else "train.jsonl",
        "data.shuffle": False,
        "reward.custom_reward_function.path": "reward.py",
        f"{ROLLOUT}name": "vllm",
        f"{ROLLOUT}tensor_model_parallel_size": 1,
        f"{ROLLOUT}calculate_log_probs": True,
        "trainer.logger": ("console", "file"),
        "trainer.project_name": "sapo-viz",
        "trainer.experiment_name": config.objective,
        "trainer.nnodes": 1,
        "trainer.n_gpus_per_node": 1,
    }
    if config.objective in ("grpo", "dapo", "dr_grpo"):
        values[f"{ACTOR}clip_ratio_c"] = 1e9  # vanilla's second clip, which these do not have, at its default 3
    return There(values)


RULES: dict[str, SettingRule] = {
    "policy": _policy,
    "seed": _seed,
    "steps": _steps,
    "chat": _chat,
    "max_tokens": lambda config: There({"data.max_response_length": completion_length(config)}),
    "validate_every": _validation,
    "pass_at": with_another,
    "lora_rank": _lora,
    "lora_alpha": with_another,
    "lora_targets": with_another,
    "micro_batch": _batches,
    "recompute": lambda config: There({f"{MODEL}enable_gradient_checkpointing": config.recompute == "on"}),
    "lr": f"{ACTOR}optim.lr",
    "minibatches": with_another,
    "epochs": f"{ACTOR}ppo_epochs",
    "advantage_norm": _advantage,
    "aggregation": _aggregation,
    "optimizer": _optimizer,
    "grad_clip": lambda config: There({f"{ACTOR}optim.clip_grad": config.grad_clip or 1e9}),
    "warmup": f"{ACTOR}optim.lr_warmup_steps",
    "weight_decay": f"{ACTOR}optim.weight_decay",
    "kl_coef": lambda config: There(
        {f"{ACTOR}use_kl_loss": config.kl_coef > 0, f"{ACTOR}kl_loss_coef": config.kl_coef}
    ),
    "kl_estimator": f"{ACTOR}kl_loss_type",
    "prompts": "data.train_batch_size",
    "completions": f"{ROLLOUT}n",
    "temperature": f"{ROLLOUT}temperature",
    **no_sampler_of_its_own("verl"),
    "sampler_dtype": with_another,
    "old_logprobs": lambda config: There(
        {"algorithm.rollout_correction.bypass_mode": config.old_logprobs == "sampler"}
    ),
    "correction": _correction,
    "correction_low": with_another,
    "correction_high": with_another,
    "routing_replay": unless(
        "routing_replay", "off", "verl replays routes under its Megatron engine alone; this configuration is FSDP's."
    ),
    "checkpoint_every": lambda config: There({"trainer.save_freq": config.checkpoint_every or -1}),
    "device": unless("device", "auto", "verl trains on GPUs (the run's device is {value})."),
    "dtype": _precision,
}


def _value(value: TheirValue) -> str:
    if isinstance(value, tuple):
        return "[" + ",".join(map(bash.number, value)) + "]"
    if (
        isinstance(value, str)
        and not value.replace("_", "").replace(".", "").replace("/", "").replace("-", "").isalnum()
    ):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'  # quoted for Hydra
    return bash.number(value)


def _argument(line: Line) -> str:
    return bash.quoted(f"{line.name}={_value(line.value)}")


def _files(translation: Translation, config: RunConfig, head: str) -> dict[str, str]:
    command = 'python -m verl.trainer.main_ppo "${args[@]}" ${MODEL:+"actor_rollout_ref.model.path=$MODEL"}'
    return {"run.sh": bash.script(head, translation.lines, _argument, command)}


def _row(row: ExportRow) -> ExportRow:
    return {
        "data_source": "sapo-viz",
        "prompt": row["messages"],
        "reward_model": {"style": "rule", "ground_truth": row["answer"]},
        "extra_info": asked(row),
    }


VERL = Framework(
    key="verl",
    name="verl",
    rules=RULES,
    files=_files,
    row=_row,
    place=_place,
    needs=_needs,
    reward_end='''

def compute_score(data_source, solution_str, ground_truth, extra_info=None, **_):
    """verl's custom reward function."""
    return reward(extra_info["question"], solution_str, ground_truth, extra_info.get("row")) or 0.0
''',
)
