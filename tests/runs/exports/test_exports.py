"""A run's settings for other frameworks: nothing is dropped, rewards and prompts are the run's, and TRL's script runs.

Whether verl, ms-swift, SkyRL and AReaL read theirs is asked of their own parsers by `scripts/check_exports.py`, in
environments of their own.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shlex
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from sapo_viz import CATALOG
from sapo_viz.cli import main
from sapo_viz.errors import RunError
from sapo_viz.models.tasks import TASKS
from sapo_viz.rollouts.table import TextTable, parse_table
from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.exports import data
from sapo_viz.runs.exports.export import FRAMEWORKS, export, frameworks_for, packed
from sapo_viz.runs.exports.mapping import CARRIED, OURS, translated
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.questions.exercise import reward_of, toy_exercise

TABLE = parse_table(b"".join(b'{"question": "%d+1", "answer": "%d"}\n' % (n, n + 1) for n in range(9)), "sums.jsonl")
CHAT = dict(task="mood", policy="some/model")
# A value that the setting does not have otherwise, and what else it takes for it to mean something.
OTHERWISE: dict[str, dict[str, Any]] = {
    "label": dict(label="mine"), "task": dict(task="chain"), "policy": dict(policy="chain-start"), "seed": dict(seed=3),
    "steps": dict(steps=3), "template": dict(template="{question}?", **CHAT), "system": dict(system="Short.", **CHAT),
    "chat": dict(chat="off", **CHAT), "reward": dict(reward="length(1, 5)", **CHAT), "max_tokens": dict(max_tokens=9),
    "validate_every": dict(validate_every=7), "held_out": dict(held_out=3), "pass_at": dict(pass_at=4),
    "split_seed": dict(split_seed=5, **CHAT), "lora_rank": dict(lora_rank=4),
    "lora_alpha": dict(lora_alpha=8.0, lora_rank=4), "lora_targets": dict(lora_targets="attention", lora_rank=4),
    "micro_batch": dict(micro_batch=8), "recompute": dict(recompute="on"), "lr": dict(lr=1e-3),
    "minibatches": dict(minibatches=2), "epochs": dict(epochs=2), "advantage_norm": dict(advantage_norm="mean"),
    "aggregation": dict(aggregation="token-mean"), "optimizer": dict(optimizer="sgd"), "grad_clip": dict(grad_clip=0.5),
    "warmup": dict(warmup=3), "weight_decay": dict(weight_decay=0.1), "kl_coef": dict(kl_coef=0.1),
    "kl_estimator": dict(kl_estimator="k1", kl_coef=0.1), "prompts": dict(prompts=8),
    "completions": dict(completions=8),
    "temperature": dict(temperature=0.7), "staleness": dict(staleness=8), "sampler_noise": dict(sampler_noise=0.1),
    "sampler_dtype": dict(sampler_dtype="bfloat16"), "old_logprobs": dict(old_logprobs="recomputed"),
    "correction": dict(correction="token-mask", old_logprobs="recomputed"),
    "correction_low": dict(correction_low=0.5, correction="token-mask", old_logprobs="recomputed"),
    "correction_high": dict(correction_high=5.0, correction="token-truncate", old_logprobs="recomputed"),
    "routing_replay": dict(routing_replay="r2"), "snapshot_every": dict(snapshot_every=3),
    "checkpoint_every": dict(checkpoint_every=3), "device": dict(device="cpu"), "dtype": dict(dtype="bfloat16"),
    "threads": dict(threads=2), "engine": dict(engine="loop"),
}  # fmt: skip
OF_A_FILE = ("data", "question_column", "answer_column")  # below, with a table


def first_file(files: dict[str, str]) -> str:
    return next(iter(files.values()))


def without(settings: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != name}


@pytest.mark.parametrize("to", FRAMEWORKS)
def test_every_setting_makes_a_difference_to_the_export_or_is_said(to: str) -> None:
    assert {*OTHERWISE, *OF_A_FILE} == set(SETTINGS)
    for name, settings in OTHERWISE.items():
        usual = export(RunConfig("sapo", **without(settings, name)), to)
        assert export(RunConfig("sapo", **settings), to) != usual, name


@pytest.mark.parametrize("to", FRAMEWORKS)
def test_every_setting_has_a_rule_or_goes_into_the_files_that_all_have(to: str) -> None:
    rules = set(FRAMEWORKS[to].rules)
    assert rules | {*CARRIED, *OURS} == set(SETTINGS) and not rules & {*CARRIED, *OURS}


@pytest.mark.parametrize("to", FRAMEWORKS)
def test_every_knob_makes_a_difference_or_is_said(to: str) -> None:
    for name in (name for name in CATALOG if FRAMEWORKS[to].has(name)):
        for knob, spec in CATALOG[name].knobs().items():
            other = (spec.default + spec.lo) / 2
            lines = translated(RunConfig(name, {knob: other}), FRAMEWORKS[to])
            assert lines != translated(RunConfig(name), FRAMEWORKS[to]), (name, knob)


def test_sapo_has_the_names_of_each_framework() -> None:
    """As their sources have them; `scripts/check_names.py` looks them up."""
    config = RunConfig("sapo", {"tau_pos": 1.5, "tau_neg": 2.5})
    trl = first_file(export(config, "trl"))
    assert "loss_type='sapo'" in trl and "sapo_temperature_pos=1.5" in trl and "sapo_temperature_neg=2.5" in trl
    verl = first_file(export(config, "verl"))
    assert "policy_loss.loss_mode=sapo" in verl and "actor.tau_neg=2.5" in verl
    swift = shlex.split(first_file(export(config, "ms-swift")), comments=True)
    assert swift[swift.index("--loss_type") + 1] == "sapo" and swift[swift.index("--tau_neg") + 1] == "2.5"
    skyrl = first_file(export(config, "skyrl"))
    assert "algorithm.policy_loss_type=sapo" in skyrl and "algorithm.sapo.tau_neg=2.5" in skyrl
    actor = yaml.safe_load(first_file(export(config, "areal")))["actor"]
    assert actor["use_sapo_loss"] is True and actor["use_decoupled_loss"] is False and actor["sapo_tau_neg"] == 2.5


def test_cispos_cap_is_counted_from_0_in_trl_and_from_1_in_verl() -> None:
    config = RunConfig("cispo", {"eps_high": 3.0})
    assert "epsilon_high=4.0" in first_file(export(config, "trl"))
    assert "actor.clip_ratio_high=3" in first_file(export(config, "verl"))


def test_grpo_in_verl_has_no_second_clip() -> None:
    assert "actor.clip_ratio_c=1000000000.0" in first_file(export(RunConfig("grpo"), "verl"))
    assert "actor.clip_ratio_c=3\n" in first_file(export(RunConfig("dual_clip"), "verl"))


def test_an_objective_that_a_framework_lacks_is_refused_with_those_that_have_it() -> None:
    with pytest.raises(RunError, match=r"TRL 1.16.0 has no GPG, so .* Frameworks that have it: verl\."):
        export(RunConfig("gpg"), "trl")
    with pytest.raises(RunError, match="Frameworks that have it: none of them"):
        export(RunConfig("arctan"), "trl")
    with pytest.raises(RunError, match="no export to 'torch'; it takes trl, verl, ms-swift, skyrl, areal"):
        export(RunConfig("sapo"), "torch")
    assert [each.key for each in frameworks_for(RunConfig("vespo"))] == ["trl"]


@pytest.mark.parametrize(
    "settings, said",
    [
        (dict(staleness=8), "TRL: no rollouts from 8 updates ago; they are fresh."),
        (dict(sampler_noise=0.25), "TRL: no noise on the sampler's logits (σ = 0.25)."),
        (dict(kl_coef=0.1, kl_estimator="k1"), "TRL's KL is k3; in the run it is k1."),
        (dict(advantage_norm="none"), "TRL subtracts the group's mean; in the run the reward itself is the advantage."),
        (dict(minibatches=3), "3 mini-batches do not divide 256 completions; here it is 2."),
        (dict(aggregation="token-mean"), "TRL: the loss's aggregation is seq-mean-token-mean, in the run token-mean."),
    ],
)
def test_what_trl_cannot_express_is_one_sentence_at_the_top_of_the_script(settings: dict[str, Any], said: str) -> None:
    head = first_file(export(RunConfig("sapo", **settings), "trl")).split('"""')[1]
    assert f"- {said}\n" in head and f"- {said}\n" not in first_file(export(RunConfig("sapo"), "trl"))


def test_the_prompts_are_those_that_the_run_draws_in_its_order() -> None:
    config = RunConfig("sapo", prompts=4, steps=3, seed=7)
    files = export(config, "trl")
    exercise = toy_exercise(TASKS["addition"], config)
    drawn = [p for step in (1, 2, 3) for p in exercise.sample_prompts(4, random.Random(f"7/{step}"))]
    assert [json.loads(line)["prompt"] for line in files["train.jsonl"].splitlines()] == drawn
    assert [json.loads(line)["prompt"] for line in files["held_out.jsonl"].splitlines()] == list(exercise.held_out)
    long = RunConfig("sapo", prompts=100, steps=5000)
    assert len(export(long, "trl")["train.jsonl"].splitlines()) == 20_000
    assert "has the prompts of 200 steps" in first_file(export(long, "trl"))


def test_questions_that_a_long_run_would_repeat_into_gigabytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MOST_TEXT", 10**6)
    table = TextTable("q.jsonl", ("question", "answer"), (tuple(f"{n}" * 2_000 for n in range(9)), ("4",) * 9))
    config = RunConfig("sapo", task="questions", policy="m", data="q.jsonl", validate_every=0, steps=1000)
    with pytest.raises(RunError, match="the prompts of 1,000 steps have more than 1 million characters"):
        export(config, "trl", table)


def rewarder(config: RunConfig, to: str = "trl", table: TextTable | None = None) -> Any:
    """`reward` of reward.py, as a module of its own in which nothing of this app can be imported."""
    text = export(config, to, table)["reward.py"].removesuffix(FRAMEWORKS[to].reward_end)  # which imports the framework
    assert "import sapo_viz" not in text and "from sapo_viz" not in text
    module = ModuleType("exported_reward")
    sys.modules[module.__name__] = module  # where dataclasses look their types up
    exec(compile(text, "reward.py", "exec"), vars(module))
    return module.reward


@pytest.mark.parametrize(
    "line", ["numeric + 0.2*length(1, 3)", "exact", "regex", "choice", "format(=)", "mood", "math"]
)
def test_reward_py_rewards_as_the_run_does(line: str) -> None:
    table = parse_table(
        b'{"question": "a", "answer": "4"}\n' if line != "choice" else b'{"question": "a", "answer": "A"}\n', "q.jsonl"
    )
    config = RunConfig("sapo", task="questions", policy="m", reward=line, data="q.jsonl", validate_every=0)
    ours, theirs = rewarder(config, table=table), reward_of(config)
    for completion in ("4", "The answer is 4.", "great, it is = 5", "(B)", "", "4 4 4 4"):
        for answer in ("4", "A", "B"):
            assert ours("a", completion, answer) == theirs.score("a", completion, answer, {}), (completion, answer)


def test_what_a_reward_stands_on_is_said() -> None:
    config = RunConfig("sapo", **CHAT, reward="mood + 0.1*format(=) + 0.1*format(!)")
    assert "- reward.py needs vaderSentiment and regex beside the framework.\n" in first_file(export(config, "trl"))
    assert "reward.py needs" not in first_file(export(RunConfig("sapo", **CHAT, reward="length(1, 5)"), "trl"))


def test_a_toy_tasks_reward_takes_a_completion_without_its_end_where_the_framework_drops_it() -> None:
    right = "4+4+0=08,6+9+0=15,8+3+1=12;1258"
    assert rewarder(RunConfig("sapo"))("^864+394=", right + "$") == 1
    assert rewarder(RunConfig("sapo"))("^864+394=", right) == 0
    assert rewarder(RunConfig("sapo"), "verl")("^864+394=", right) == 1


def test_an_owners_reward_is_named_and_not_copied(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("def reward(prompt, completion, row): return 42.0")
    config = RunConfig("sapo", task="mood", policy="m", reward=str(tmp_path / "secret.py"))
    for to in FRAMEWORKS:
        files = export(config, to)
        assert "42.0" not in "".join(files.values())
        assert "put it beside reward.py as owners_reward.py" in first_file(files)
        assert "row" in files["train.jsonl"].splitlines()[0]


def test_questions_are_asked_in_the_models_chat_template_where_there_is_one() -> None:
    config = RunConfig("sapo", task="questions", policy="m", data="sums.jsonl", system="Briefly.", steps=1, prompts=2)
    said = json.loads(export(config, "trl", TABLE)["train.jsonl"].splitlines()[0])["prompt"]
    assert [each["role"] for each in said] == ["system", "user"]
    assert "if not tokenizer.chat_template:" in first_file(export(config, "trl", TABLE))
    plain = json.loads(export(dataclasses.replace(config, chat="off"), "trl", TABLE)["train.jsonl"].splitlines()[0])
    assert plain["prompt"].startswith("Briefly.\n\n")
    with pytest.raises(RunError, match="no file of them"):
        export(config, "trl")


def test_a_label_can_neither_end_the_head_nor_run() -> None:
    config = RunConfig("sapo", label='"""\\ $(touch x) `id`')
    for to in FRAMEWORKS:
        head = first_file(export(config, to))
        if to == "trl":
            compile(head, "train.py", "exec")
        else:
            assert all(line.startswith("#") for line in head.splitlines() if "touch" in line)


def test_a_zip_has_one_folder_and_equal_files_give_equal_bytes() -> None:
    files = {"a.txt": "é", "b.txt": ""}
    assert packed(files, "run-trl") == packed(files, "run-trl")
    with zipfile.ZipFile(BytesIO(packed(files, "run-trl"))) as archive:
        assert (
            archive.namelist() == ["run-trl/a.txt", "run-trl/b.txt"] and archive.read("run-trl/a.txt") == "é".encode()
        )


def test_the_command_writes_a_folder_and_says_what_is_not_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = RunStore(tmp_path)
    run_id = store.create(RunConfig("sapo", staleness=8), "mine")
    out = tmp_path / "out"
    assert main(["export", str(tmp_path / run_id), "--to", "verl", "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"run.sh", "reward.py", "train.jsonl", "held_out.jsonl"}
    said = capsys.readouterr().out
    assert "bash run.sh" in said and "- verl: no rollouts from 8 updates ago; they are fresh." in said
    assert main(["export", str(tmp_path / run_id), "--to", "verl", "--out", str(out)]) == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert main(["export", str(tmp_path / run_id), "--to", "nowhere"]) == 2


@pytest.mark.parametrize(
    "settings", [dict(), dict(objective="gmpo", lora_rank=2, lora_alpha=4.0, micro_batch=4, epochs=2)]
)
def test_trls_script_trains_two_steps(tmp_path: Path, settings: dict[str, Any]) -> None:
    """With TRL itself, on the bundled policy: 2 rollouts of 2 × 8 completions, looked at held-out prompts and saved."""
    usual: dict[str, Any] = dict(objective="sapo", steps=2, prompts=2, completions=8, minibatches=2, held_out=4)
    usual |= dict(device="cpu", validate_every=2, max_tokens=8)
    run_id = RunStore(tmp_path).create(RunConfig.from_dict(usual | settings), "mine")
    folder = tmp_path / "out"
    assert main(["export", str(tmp_path / run_id), "--to", "trl", "--out", str(folder)]) == 0
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "train.py"], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    updates = 4 * settings.get("epochs", 1)
    state = json.loads((folder / f"trained/checkpoint-{updates}/trainer_state.json").read_text())
    assert state["global_step"] == updates and any("eval_reward" in entry for entry in state["log_history"])
    assert (
        folder / "trained" / ("adapter_model.safetensors" if "lora_rank" in settings else "model.safetensors")
    ).is_file()
