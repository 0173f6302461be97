"""Whether each framework's own parser takes what is exported to it: every objective that it has, several settings.

    python -m scripts.check_exports --trl PYTHON --verl PYTHON --ms-swift PYTHON --skyrl PYTHON --areal PYTHON

Each PYTHON is an interpreter that imports the framework; those that are not given are left out. TRL: GRPOConfig itself.
verl: Hydra over its own configuration, then the dataclasses of its workers. ms-swift: the parser of `swift rlhf`, as
far as it goes without a model. SkyRL: `SkyRLTrainConfig.from_cli_overrides`. AReaL: the merge into GRPOConfig. It says
the version that it found, and ends with 1 if something is refused. No training is started. As a check of the parsers
themselves, a name that there is not has to be refused by each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from sapo_viz import CATALOG
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.exports.export import FRAMEWORKS, export

# Settings of every kind at once, so that each rule has its say.
VARIED: tuple[dict[str, object], ...] = (
    dict(lora_rank=16, lora_targets="attention", micro_batch=8, recompute="on", kl_coef=0.04, dtype="bfloat16"),
    dict(epochs=4, minibatches=2, optimizer="sgd", grad_clip=0.0, validate_every=0, checkpoint_every=0, warmup=0),
    dict(task="mood", policy="Qwen/Qwen3-0.6B", lora_rank=8, pass_at=4, old_logprobs="recomputed", staleness=8),
    dict(advantage_norm="mean", aggregation="seq-mean-token-sum-norm", kl_coef=0.1, kl_estimator="k2", prompts=12),
)
# For each folder named, one line: the learning rate that the framework read, or why it refused. The last: its version.
_EACH = """
import sys
for folder in sys.argv[1:]:
    try:
        print("read", read(folder))
    except BaseException as error:
        print("refused", type(error).__name__, " ".join(str(error).split())[:300])
print("version", version())
"""
_ARGUMENTS = """
import shlex
def arguments(folder):
    return shlex.split(open(folder + "/run.sh").read().split("args=(")[1].split("\\n)\\n")[0], comments=True)
"""
PARSERS = {
    "trl": """
import re
from pathlib import Path
import torch, trl
from trl.experimental.gmpo import GMPOConfig
def read(folder):
    call = re.search(r"settings = (G\\w+Config)\\((.*?)\\n    \\)", open(folder + "/train.py").read(), re.S)
    known = {"GRPOConfig": trl.GRPOConfig, "GMPOConfig": GMPOConfig, "HERE": Path(folder), "torch": torch}
    return eval(f"{call[1]}({call[2]})", known).learning_rate
def version():
    return trl.__version__
""",
    "verl": """
import os
from hydra import compose, initialize_config_dir
import verl
from verl.utils.config import omega_conf_to_dataclass
def read(folder):
    with initialize_config_dir(os.path.join(os.path.dirname(verl.__file__), "trainer/config"), version_base=None):
        config = compose("ppo_trainer", overrides=arguments(folder))
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    actor.validate(1, config.data.train_batch_size)
    omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    omega_conf_to_dataclass(config.algorithm)
    from verl.trainer.ppo.core_algos import get_policy_loss_fn
    get_policy_loss_fn(actor.policy_loss.loss_mode)
    return actor.optim.lr
def version():
    return verl.__version__
""",
    "ms-swift": """
from dataclasses import dataclass
import swift
from swift.arguments import RLHFArguments
from transformers import HfArgumentParser
@dataclass
class Parsed(RLHFArguments):
    def __post_init__(self):  # would load the model; names, types and choices are checked before it
        pass
def read(folder):
    parser = HfArgumentParser([Parsed])
    made, left = parser.parse_args_into_dataclasses(arguments(folder), return_remaining_strings=True)
    assert not left, left
    return made.learning_rate
def version():
    return swift.__version__
""",
    "skyrl": """
import importlib.metadata, typing, typing_extensions
typing.TypedDict = typing_extensions.TypedDict  # SkyRL is written for Python 3.12
from skyrl.train.config import SkyRLTrainConfig
def read(folder):
    return SkyRLTrainConfig.from_cli_overrides(arguments(folder)).trainer.policy.optimizer_config.lr
def version():
    return importlib.metadata.version("skyrl")
""",
    "areal": """
import importlib.metadata
from omegaconf import OmegaConf
from areal.api.cli_args import GRPOConfig, parse_cli_args, to_structured_cfg
def read(folder):
    cfg, _ = parse_cli_args(["--config", folder + "/config.yaml"])
    return OmegaConf.to_object(to_structured_cfg(cfg, GRPOConfig)).actor.optimizer.lr
def version():
    return importlib.metadata.version("areal")
""",
}
# SAPO's own names, a letter too many.
_MISSPELT = {
    "trl": ("sapo_temperature_neg", "sapo_temperature_negg"),
    "verl": ("actor.tau_neg", "actor.tau_negg"),
    "ms-swift": ("--tau_neg", "--tau_negg"),
    "skyrl": ("sapo.tau_neg", "sapo.tau_negg"),
    "areal": ("sapo_tau_neg", "sapo_tau_negg"),
}


def cases(key: str) -> Iterator[RunConfig]:
    """Every objective that the framework has at its defaults, and each variation with two of them."""
    names = [name for name in CATALOG if FRAMEWORKS[key].has(name)]
    yield from (RunConfig(name) for name in names)
    yield from (RunConfig.from_dict({"objective": name, **more}) for more in VARIED for name in names[:2])


def refused(key: str, python: str, configs: Sequence[RunConfig]) -> tuple[str, list[str]]:
    """The framework's version, and a line for each export that it does not read as it was written."""
    with tempfile.TemporaryDirectory() as top:
        folders = [Path(top, str(number)) for number in range(len(configs))]
        for folder, config in zip(folders, configs, strict=True):
            write(folder, export(config, key))
        wrong_name = {name: text.replace(*_MISSPELT[key]) for name, text in export(configs[0], key).items()}
        write(Path(top, "misspelt"), wrong_name)
        program = _ARGUMENTS + PARSERS[key] + _EACH
        command = [python, "-c", program, *map(str, folders), str(Path(top, "misspelt"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.split(" ")[0] in ("read", "refused", "version")]
    if len(lines) != len(configs) + 2:
        raise SystemExit(f"{key}: {python} cannot import it:\n{done.stderr[-1500:]}")
    wrong = [
        f"  {json.dumps(changed(config))}: {line}"
        for config, line in zip(configs, lines[:-2], strict=True)
        if line != f"read {config.lr}"
    ]
    if not lines[-2].startswith("refused"):
        wrong.append(f"  the parser took {_MISSPELT[key][1]!r}, which there is not")
    return lines[-1].removeprefix("version "), wrong


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def changed(config: RunConfig) -> dict[str, object]:
    usual = RunConfig(config.objective).to_dict()
    return {"objective": config.objective} | {k: v for k, v in config.to_dict().items() if v != usual[k]}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for key in FRAMEWORKS:
        parser.add_argument(f"--{key}", dest=key, metavar="PYTHON")
    asked = vars(parser.parse_args())
    count = 0
    for key in FRAMEWORKS:
        if not asked[key]:
            print(f"{key}: not looked at")
            continue
        configs = list(cases(key))
        version, wrong = refused(key, asked[key], configs)
        print(f"{key} {version}: {len(configs)} exports, {len(wrong)} refused", *wrong, sep="\n", flush=True)
        count += len(wrong)
    return 1 if count else 0


if __name__ == "__main__":
    raise SystemExit(main())
