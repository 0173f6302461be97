"""A run's settings: complete, the same in JSON, and refused in a sentence that says what would be right."""

from __future__ import annotations

import argparse
import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sapo_viz.commands.train import add_arguments, config_from
from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.errors import SapoVizError
from sapo_viz.runs.config import SETTINGS, RunConfig

ROOT = Path(__file__).parents[2]


def parse(*flags: str) -> RunConfig:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return config_from(parser.parse_args(flags))


def test_knobs_not_given_are_kept_at_their_defaults() -> None:
    assert dict(RunConfig(knobs={"tau_neg": 2}).knobs) == {"tau_pos": 1.0, "tau_neg": 2.0}


@pytest.mark.parametrize("objective", CATALOG)
def test_a_config_survives_json_copy_and_pickle(objective: str) -> None:
    config = RunConfig(objective=objective, seed=7, lr=3e-4, label="τ sweep")
    for same in (RunConfig.from_json(config.to_json()), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert same == config and hash(same) == hash(config)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"lr": -1}, "lr is -1; it takes values from 1e-08 to 10."),
        ({"lr": float("nan")}, "lr is nan; it takes values from 1e-08 to 10."),
        ({"lr": "fast"}, "lr is 'fast'; it takes values from 1e-08 to 10."),
        ({"steps": 2.5}, "steps is 2.5; it takes whole numbers from 1 to 100000."),
        ({"steps": True}, "steps is True; it takes whole numbers from 1 to 100000."),
        ({"completions": 1}, "completions is 1; it takes whole numbers from 2 to 1024."),
        ({"optimizer": "adam"}, "optimizer is 'adam'; it takes adamw or sgd."),
        ({"label": "two\nlines"}, "label is 'two\\nlines'; it takes text of 0 to 80 characters on one line."),
        ({"task": "sort"}, "task is 'sort'; it takes addition or chain or synonyms or grid or mood or questions."),
        (
            {"reward": "numeric"},
            "reward is 'numeric', and the task addition makes no use of it; leave it out, or take the task mood or "
            "questions.",
        ),
        ({"chat": "on", "task": "chain"}, "chat is 'on', and the task chain makes no use of it; leave it out, or take "
         "the task mood or questions."),
        (
            {"data": "sums.csv", "task": "mood"},
            "data is 'sums.csv', and the task mood makes no use of it; leave it out, or take the task questions.",
        ),
        ({"minibatches": 512}, "minibatches is 512; with 16 × 16 completions it takes whole numbers from 1 to 256."),
        ({"knobs": {"eps_low": 0.2}}, "SAPO: there is no knob 'eps_low'; it has tau_pos, tau_neg."),
        ({"knobs": {"tau_pos": 0}}, "SAPO: tau_pos (τ₊) is 0; it takes values from 0.05 to 20."),
        ({"objective": "ppo"}, f"there is no objective 'ppo'; the catalogue has {', '.join(CATALOG)}."),
        ({"knobs": [1]}, "knobs is [1]; it takes names with numbers, such as {'tau_neg': 1.05}."),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named_with_its_value_and_range(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SapoVizError) as caught:
        RunConfig.from_dict(values)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("text", ["", "[1]", '{"lr": }', '{"learning_rate": 1}', '{"objective": 3}', "NaN"])
def test_a_file_that_is_no_config_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(SapoVizError) as caught:
        RunConfig.from_json(text)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_every_setting_and_every_knob_has_a_flag(toy_objective: type[Objective]) -> None:
    """Each flag given its own default changes nothing."""
    for name, spec in SETTINGS.items():
        assert parse("--" + name.replace("_", "-"), str(spec.default)) == RunConfig()
    for objective, cls in CATALOG.items():
        for name, knob in cls.knobs().items():
            config = parse("--objective", objective, "--" + name.replace("_", "-"), str(knob.default))
            assert config == RunConfig(objective=objective)
    assert "toy" in CATALOG


def test_flags_override_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(RunConfig(knobs={"tau_neg": 2.0}, seed=3, lr=0.01).to_json(), encoding="utf-8")
    config = parse("--config", str(file), "--seed", "4", "--tau-pos", "3")
    assert config == RunConfig(knobs={"tau_neg": 2.0, "tau_pos": 3.0}, seed=4, lr=0.01)
    other = parse("--config", str(file), "--objective", "grpo")
    assert other == RunConfig(objective="grpo", seed=3, lr=0.01)  # another objective's knobs do not carry over


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--eps-low", "0.1"], "SAPO: there is no knob 'eps_low'"),
        (["--tau-pos", "big"], "tau_pos is 'big', which is not a number"),
        (["--steps", "6x"], "steps is '6x'; it takes whole numbers from 1 to 100000"),
        (["--config", "nowhere.json"], "nowhere.json"),
        (["--resume", "nowhere"], "there is no run 'nowhere'"),
        (["--out", "../.hidden"], "the run id is '.hidden'"),
        (["--frobnicate"], "frobnicate"),
    ],
)
def test_bad_flags_end_with_status_2_and_one_line(flags: list[str], words: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sapo_viz", "train", *flags]
    environment = {"PYTHONPATH": str(ROOT), "SAPO_VIZ_RUNS_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert answer.returncode == 2 and words in answer.stderr and answer.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_reading_and_launching_runs_imports_neither_torch_nor_transformers() -> None:
    code = "import sys, sapo_viz.runs.workers.launcher, sapo_viz.commands.train, sapo_viz.runs.metrics\n"
    code += "from sapo_viz.runs.config import RunConfig; from sapo_viz.runs.folder.store import RunStore\n"
    code += "RunConfig.from_json(RunConfig().to_json()); RunStore('nowhere').list()\n"
    code += "print([name for name in ('torch', 'transformers', 'streamlit', 'pandas') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
