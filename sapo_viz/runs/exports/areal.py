"""AReaL: a YAML file for GRPOConfig, and a script that trains by it with the run's reward."""

from __future__ import annotations

from sapo_viz.models.trained import LORA_TARGETS
from sapo_viz.runs.chosen import advantage_norm
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.exports import bash
from sapo_viz.runs.exports.data import steps_written
from sapo_viz.runs.exports.mapping import (
    ExportRow,
    Framework,
    SettingRule,
    TheirValue,
    There,
    Translation,
    advantage_notes,
    aggregation_notes,
    asked,
    in_a_chat,
    no_correction,
    no_sampler_of_its_own,
    policy_name,
    policy_notes,
    unless,
    with_another,
)
from sapo_viz.runs.questions.exercise import completion_length

ACTOR, OPTIMIZER = "actor.", "actor.optimizer."


def _policy(config: RunConfig) -> There:
    path = "${oc.env:MODEL,'" + policy_name(config).replace("'", "") + "'}"
    return There({f"{ACTOR}path": path, "tokenizer_path": "${actor.path}"}, policy_notes(config))


def _steps(config: RunConfig) -> There:
    again = -(-config.steps // steps_written(config))
    return There({"total_train_steps": config.steps, "total_train_epochs": again})


def _length(config: RunConfig) -> There:
    return There(
        {"gconfig.max_new_tokens": completion_length(config), f"{ACTOR}max_new_tokens": "${gconfig.max_new_tokens}"}
    )


def _validation(config: RunConfig) -> There:
    if not config.validate_every:
        return There()
    values: dict[str, TheirValue] = {
        "valid_dataset.path": "held_out.jsonl",
        "valid_dataset.type": "rl",
        "valid_dataset.batch_size": 64,
        "evaluator.freq_steps": config.validate_every,
        "evaluator.eval_before_train": True,
        "eval_gconfig.greedy": not config.pass_at,
        "eval_gconfig.n_samples": config.pass_at or 1,
        "eval_gconfig.temperature": config.temperature,
        "eval_gconfig.max_new_tokens": "${gconfig.max_new_tokens}",
    }
    notes = ("AReaL reports the mean reward of greedy answers, without an interval.",)
    if config.pass_at:
        notes = (f"AReaL validates greedily or by samples, not both: by {config.pass_at} samples here.",)
    return There(values, notes)


def _lora(config: RunConfig) -> There:
    if not config.lora_rank:
        return There()
    targets = LORA_TARGETS[config.lora_targets]
    return There(
        {
            f"{ACTOR}use_lora": True,
            f"{ACTOR}lora_rank": config.lora_rank,
            f"{ACTOR}lora_alpha": round(config.lora_alpha) or 1,
            f"{ACTOR}target_modules": (targets,) if isinstance(targets, str) else tuple(targets),
            "rollout.use_lora": True,
        },
        (f"AReaL's LoRA alpha is a whole number ({config.lora_alpha:g} in the run).",)
        if config.lora_alpha != round(config.lora_alpha)
        else (),
    )


def _micro_batch(config: RunConfig) -> There:
    if not config.micro_batch:
        return There()
    size = -(-config.prompts * config.completions // config.minibatches)
    return There(
        {f"{ACTOR}mb_spec.n_mbs": -(-size // config.micro_batch)},
        (f"AReaL counts micro-batches, not what is in them ({config.micro_batch} sequences in the run).",),
    )


def _epochs(config: RunConfig) -> There:
    said = f"AReaL makes one pass over a rollout; in the run {config.epochs}."
    return There(notes=(said,) if config.epochs > 1 else ())


def _advantage(config: RunConfig) -> There:
    divided = advantage_norm(config) == "std"
    return There(
        {
            f"{ACTOR}reward_norm.mean_level": "group",
            f"{ACTOR}reward_norm.std_level": "group" if divided else None,
            f"{ACTOR}reward_norm.group_size": config.completions,
            f"{ACTOR}adv_norm": None,
        },
        advantage_notes(config, "AReaL"),
    )


def _optimizer(config: RunConfig) -> There:
    name = "sgd" if config.optimizer == "sgd" else "adam"
    return There({f"{OPTIMIZER}type": name, f"{OPTIMIZER}beta1": 0.9, f"{OPTIMIZER}beta2": 0.95})


def _warmup(config: RunConfig) -> There:
    share = min(1.0, config.warmup / (config.steps * config.minibatches))
    return There({f"{OPTIMIZER}lr_scheduler_type": "constant", f"{OPTIMIZER}warmup_steps_proportion": round(share, 6)})


def _kl(config: RunConfig) -> There:
    values: dict[str, TheirValue] = {f"{ACTOR}kl_ctl": config.kl_coef}
    if not config.kl_coef:
        return There(values)
    values |= {"ref.path": "${actor.path}", "ref.backend": "${actor.backend}"}
    values |= {"ref.experiment_name": "${experiment_name}", "ref.trial_name": "${trial_name}"}
    return There(values, ("AReaL takes the KL off the reward, token by token; in the run it is a term of the loss.",))


def _checkpoints(config: RunConfig) -> There:
    values: dict[str, TheirValue] = {"saver.freq_steps": config.checkpoint_every or None}
    return There(values)


def _precision(config: RunConfig) -> There:
    low = "bfloat16" in (config.dtype, config.sampler_dtype)
    return There({f"{ACTOR}dtype": config.dtype, "vllm.dtype": "bfloat16" if low else "float32"})


def _needs(config: RunConfig) -> There:
    shared = dict.fromkeys(("saver", "evaluator", "recover", "stats_logger", "actor", "rollout"), "${experiment_name}")
    values: dict[str, TheirValue] = {"experiment_name": "sapo-viz", "trial_name": config.objective.replace("_", "")}
    for room in shared:
        values[f"{room}.experiment_name"] = "${experiment_name}"
        values[f"{room}.trial_name"] = "${trial_name}"
    for room in ("saver", "evaluator", "recover", "stats_logger"):
        values[f"{room}.fileroot"] = "${cluster.fileroot}"
    values |= {
        "cluster.n_nodes": 1,
        "cluster.n_gpus_per_node": 2,
        "cluster.fileroot": "trained",
        "actor.backend": "fsdp:d1",
        "rollout.backend": "vllm:d1",
        "rollout.tokenizer_path": "${tokenizer_path}",
        "vllm.model": "${actor.path}",
        "vllm.seed": config.seed,
        "train_dataset.path": "train.jsonl",
        "train_dataset.type": "rl",
        "train_dataset.shuffle": False,
    }
    return There(values)


RULES: dict[str, SettingRule] = {
    "policy": _policy,
    "seed": "seed",
    "steps": _steps,
    "chat": in_a_chat("AReaL"),
    "max_tokens": _length,
    "validate_every": _validation,
    "pass_at": with_another,
    "lora_rank": _lora,
    "lora_alpha": with_another,
    "lora_targets": with_another,
    "micro_batch": _micro_batch,
    "recompute": lambda config: There({f"{ACTOR}gradient_checkpointing": config.recompute == "on"}),
    "lr": f"{OPTIMIZER}lr",
    "minibatches": f"{ACTOR}ppo_n_minibatches",
    "epochs": _epochs,
    "advantage_norm": _advantage,
    "aggregation": lambda config: There(notes=aggregation_notes(config, "AReaL", "token-mean")),
    "optimizer": _optimizer,
    "grad_clip": lambda config: There({f"{OPTIMIZER}gradient_clipping": config.grad_clip or 1e9}),
    "warmup": _warmup,
    "weight_decay": f"{OPTIMIZER}weight_decay",
    "kl_coef": _kl,
    "kl_estimator": f"{ACTOR}kl_estimator",
    "prompts": "train_dataset.batch_size",
    "completions": "gconfig.n_samples",
    "temperature": lambda config: There(
        {"gconfig.temperature": config.temperature, f"{ACTOR}temperature": "${gconfig.temperature}"}
    ),
    **no_sampler_of_its_own("AReaL"),
    "staleness": lambda config: There(
        {"rollout.max_head_offpolicyness": -(-config.staleness // (config.minibatches * config.epochs))},
        ("AReaL's staleness is at most so many rollouts, as speed has it; in the run always the same.",)
        if config.staleness
        else (),
    ),
    "sampler_dtype": with_another,
    "old_logprobs": lambda config: There({f"{ACTOR}recompute_logprob": config.old_logprobs == "recomputed"}),
    **no_correction("AReaL"),
    "routing_replay": unless("routing_replay", "off", "AReaL: no routes are replayed here ({value} in the run)."),
    "checkpoint_every": _checkpoints,
    "device": unless("device", "auto", "AReaL trains on GPUs (the run's device is {value})."),
    "dtype": _precision,
}


def _files(translation: Translation, config: RunConfig, head: str) -> dict[str, str]:
    comment = "".join(f"# {line}".rstrip() + "\n" for line in head.splitlines())
    tree: dict[str, object] = {}
    for line in translation.lines:
        *rooms, name = line.name.split(".")
        place = tree
        for room in rooms:
            place = place.setdefault(room, {})  # type: ignore[assignment]
        place[name] = line.value
    held_out = "config.valid_dataset.path" if config.validate_every else ""
    main = _MAIN.format(
        held_out=f'load_dataset("json", data_files={held_out}, split="train")' if held_out else "None",
        evaluation='eval_workflow=WORKFLOW, eval_workflow_kwargs=asked | {"gconfig": config.eval_gconfig}'
        if held_out
        else "",
    )
    return {"config.yaml": comment + "\n" + _yaml(tree), "main.py": main}


def _yaml(tree: dict[str, object], depth: int = 0) -> str:
    text = ""
    for name, value in tree.items():
        if isinstance(value, dict):
            text += f"{'  ' * depth}{name}:\n{_yaml(value, depth + 1)}"
        elif isinstance(value, tuple):
            text += f"{'  ' * depth}{name}: [{', '.join(map(bash.number, value))}]\n"
        else:
            said = (
                '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
                if isinstance(value, str)
                else bash.number(value)
            )
            text += f"{'  ' * depth}{name}: {said}\n"
    return text


_MAIN = '''"""AReaL's training by config.yaml with the reward of reward.py: python main.py --config config.yaml"""

import sys

from areal import PPOTrainer
from areal.api.cli_args import GRPOConfig, load_expr_config
from datasets import load_dataset

WORKFLOW = "areal.workflow.rlvr.RLVRWorkflow"


def main(arguments):
    config, _ = load_expr_config(arguments, GRPOConfig)
    train = load_dataset("json", data_files=config.train_dataset.path, split="train")
    held_out = {held_out}
    asked = {{"reward_fn": "reward.earned", "gconfig": config.gconfig, "tokenizer": config.tokenizer_path}}
    with PPOTrainer(config, train_dataset=train, valid_dataset=held_out) as trainer:
        trainer.train(workflow=WORKFLOW, workflow_kwargs=asked, {evaluation})


if __name__ == "__main__":
    main(sys.argv[1:])
'''


def _row(row: ExportRow) -> ExportRow:
    return {"messages": row["messages"], **asked(row)}


AREAL = Framework(
    key="areal",
    name="AReaL",
    start="python main.py --config config.yaml",
    rules=RULES,
    files=_files,
    row=_row,
    place=lambda name: f"{ACTOR}{name}",
    needs=_needs,
    reward_end='''

def earned(prompt, completions, prompt_ids, completion_ids, question, answer="", row=None, **_):
    """AReaL's reward function."""
    return reward(question, completions, answer, row) or 0.0
''',
)
