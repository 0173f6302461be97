"""SkyRL: overrides of its configuration, and a script that registers the run's reward as an environment."""

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
    asked,
    dividing,
    in_a_chat,
    no_correction,
    no_sampler_of_its_own,
    policy_name,
    policy_notes,
    unless,
    whole_prompts,
    with_another,
)
from sapo_viz.runs.questions.exercise import completion_length

POLICY, ALGORITHM = "trainer.policy.", "trainer.algorithm."
_ROOMS = {
    "tau_pos": "sapo", "tau_neg": "sapo",
    "cispo_eps_clip_low": "cispo", "cispo_eps_clip_high": "cispo",
    "dppo_type": "dppo", "delta_low": "dppo", "delta_high": "dppo",
    "clip_ratio": "clip_cov", "clip_cov_lb": "clip_cov", "clip_cov_ub": "clip_cov",
    "kl_cov_frac": "kl_cov", "ppo_kl_coef": "kl_cov",
}  # fmt: skip
_REDUCTIONS = {
    "seq-mean-token-mean": "sequence_mean",
    "token-mean": "token_mean",
    "seq-mean-token-sum-norm": "seq_mean_token_sum_norm",
}


def _place(name: str) -> str:
    return f"{ALGORITHM}{_ROOMS[name]}.{name}" if name in _ROOMS else f"{ALGORITHM}{name}"


def _policy(config: RunConfig) -> There:
    return There({f"{POLICY}model.path": policy_name(config)}, policy_notes(config))


def _steps(config: RunConfig) -> There:
    again = -(-config.steps // steps_written(config))
    return There({"trainer.max_training_steps": config.steps, "trainer.epochs": again})


def _validation(config: RunConfig) -> There:
    values: dict[str, TheirValue] = {
        "trainer.eval_interval": config.validate_every or -1,
        "trainer.eval_before_train": config.validate_every > 0,
    }
    if not config.validate_every:
        return There(values)
    notes = ("SkyRL reports the mean reward of greedy answers, without an interval.",)
    if config.pass_at:
        values |= {
            "generator.eval_n_samples_per_prompt": config.pass_at,
            "generator.eval_sampling_params.temperature": config.temperature,
            "generator.eval_sampling_params.max_generate_length": completion_length(config),
        }
        notes = (f"SkyRL validates greedily or by samples, not both: by {config.pass_at} samples here.",)
    return There(values, notes)


def _lora(config: RunConfig) -> There:
    if not config.lora_rank:
        return There()
    targets = LORA_TARGETS[config.lora_targets]
    return There(
        {
            f"{POLICY}model.lora.rank": config.lora_rank,
            f"{POLICY}model.lora.alpha": round(config.lora_alpha) or 1,
            f"{POLICY}model.lora.target_modules": "all-linear",
        },
        tuple(
            note
            for note, said in (
                ("SkyRL takes one word for LoRA's layers: all-linear, not attention.", not isinstance(targets, str)),
                (
                    f"SkyRL's LoRA alpha is a whole number ({config.lora_alpha:g} in the run).",
                    config.lora_alpha != round(config.lora_alpha),
                ),
            )
            if said
        ),
    )


def _batches(config: RunConfig) -> There:
    count, notes = whole_prompts(config)
    size = config.prompts // count * config.completions
    part = dividing(size, config.micro_batch or size)
    return There(
        {
            "trainer.policy_mini_batch_size": config.prompts // count,
            "trainer.micro_train_batch_size_per_gpu": part,
            "trainer.micro_forward_batch_size_per_gpu": part,
        },
        notes,
    )


def _optimizer(config: RunConfig) -> There:
    notes = ("SkyRL's optimiser is AdamW; in the run it is plain SGD.",) if config.optimizer == "sgd" else ()
    return There({f"{POLICY}optimizer_config.adam_betas": (0.9, 0.95)}, notes)


def _aggregation(config: RunConfig) -> There:
    asked = aggregation(config)
    if asked not in _REDUCTIONS:
        return There(notes=(f"SkyRL has no aggregation {asked}; that of the loss's default stands.",))
    values: dict[str, TheirValue] = {f"{ALGORITHM}loss_reduction": _REDUCTIONS[asked]}
    if asked == "seq-mean-token-sum-norm":
        values[f"{ALGORITHM}max_seq_len"] = completion_length(config)
    return There(values)


def _advantage(config: RunConfig) -> There:
    return There({f"{ALGORITHM}grpo_norm_by_std": advantage_norm(config) == "std"}, advantage_notes(config, "SkyRL"))


def _kl(config: RunConfig) -> There:
    return There({f"{ALGORITHM}use_kl_loss": config.kl_coef > 0, f"{ALGORITHM}kl_loss_coef": config.kl_coef})


def _old_logprobs(config: RunConfig) -> There:
    if config.old_logprobs == "recomputed":
        return There()
    return There(
        notes=("SkyRL takes the ratio against log-probs that the trainer computes; in the run the sampler's.",)
    )


def _precision(config: RunConfig) -> There:
    low = "bfloat16" in (config.dtype, config.sampler_dtype)
    return There(
        {
            "trainer.bf16": config.dtype == "bfloat16",
            "generator.inference_engine.model_dtype": "bfloat16" if low else "float32",
        }
    )


def _needs(config: RunConfig) -> There:
    return There(
        {
            f"{ALGORITHM}advantage_estimator": "grpo",
            "data.train_data": ("train.jsonl",),
            "data.val_data": ("held_out.jsonl" if config.validate_every else "train.jsonl",),
            "trainer.placement.policy_num_gpus_per_node": 1,
            "generator.inference_engine.num_engines": 1,
            "environment.env_class": "exported",
            "trainer.logger": "console",
            "trainer.project_name": "sapo-viz",
            "trainer.run_name": config.objective,
        }
    )


RULES: dict[str, SettingRule] = {
    "policy": _policy,
    "seed": "trainer.seed",
    "steps": _steps,
    "chat": in_a_chat("SkyRL"),
    "max_tokens": lambda config: There({"generator.sampling_params.max_generate_length": completion_length(config)}),
    "validate_every": _validation,
    "pass_at": with_another,
    "lora_rank": _lora,
    "lora_alpha": with_another,
    "lora_targets": with_another,
    "micro_batch": _batches,
    "recompute": lambda config: There({"trainer.gradient_checkpointing": config.recompute == "on"}),
    "lr": f"{POLICY}optimizer_config.lr",
    "minibatches": with_another,
    "epochs": "trainer.update_epochs_per_batch",
    "advantage_norm": _advantage,
    "aggregation": _aggregation,
    "optimizer": _optimizer,
    "grad_clip": lambda config: There({f"{POLICY}optimizer_config.max_grad_norm": config.grad_clip or 1e9}),
    "warmup": f"{POLICY}optimizer_config.num_warmup_steps",
    "weight_decay": f"{POLICY}optimizer_config.weight_decay",
    "kl_coef": _kl,
    "kl_estimator": f"{ALGORITHM}kl_estimator_type",
    "prompts": "trainer.train_batch_size",
    "completions": "generator.n_samples_per_prompt",
    "temperature": "generator.sampling_params.temperature",
    **no_sampler_of_its_own("SkyRL"),
    "sampler_dtype": with_another,
    "old_logprobs": _old_logprobs,
    **no_correction("SkyRL"),
    "routing_replay": unless(
        "routing_replay", "off", "SkyRL replays routes under Megatron alone; this configuration is FSDP's ({value})."
    ),
    "checkpoint_every": lambda config: There({"trainer.ckpt_interval": config.checkpoint_every or -1}),
    "device": unless("device", "auto", "SkyRL trains on GPUs (the run's device is {value})."),
    "dtype": _precision,
}


def _argument(line: Line) -> str:
    value = line.value
    text = "[" + ",".join(map(bash.number, value)) + "]" if isinstance(value, tuple) else bash.number(value)
    return bash.quoted(f"{line.name}={text}")


def _files(translation: Translation, config: RunConfig, head: str) -> dict[str, str]:
    command = 'python main.py "${args[@]}" ${MODEL:+"trainer.policy.model.path=$MODEL"}'
    return {"run.sh": bash.script(head, translation.lines, _argument, command), "main.py": _MAIN}


_MAIN = '''"""SkyRL's training with the reward of reward.py as its environment."""

import sys

import ray
from skyrl.train.config import SkyRLTrainConfig
from skyrl.train.entrypoints.main_base import BasePPOExp
from skyrl.train.utils import validate_cfg
from skyrl.train.utils.utils import initialize_ray
from skyrl_gym.envs import register


@ray.remote(num_cpus=1)
def train(cfg):
    register(id="exported", entry_point="reward:Exported")
    BasePPOExp(cfg).run()


if __name__ == "__main__":
    cfg = SkyRLTrainConfig.from_cli_overrides(sys.argv[1:])
    validate_cfg(cfg)
    initialize_ray(cfg)
    ray.get(train.remote(cfg))
'''


def _row(row: ExportRow) -> ExportRow:
    return {"prompt": row["messages"], "env_class": "exported", "reward_spec": {"method": "rule", **asked(row)}}


SKYRL = Framework(
    key="skyrl",
    name="SkyRL",
    rules=RULES,
    files=_files,
    row=_row,
    place=_place,
    needs=_needs,
    reward_end="""

from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput  # noqa: E402


class Exported(BaseTextEnv):
    def __init__(self, env_config=None, extras=None):
        super().__init__()
        self.asked = extras["reward_spec"]

    def step(self, action):
        earned = reward(self.asked["question"], action, self.asked["answer"], self.asked.get("row"))
        return BaseTextEnvStepOutput(observations=[], reward=earned or 0.0, done=True, metadata={})
""",
)
