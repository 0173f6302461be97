"""A run as a command for a shell, and what accelerate launches it with: on one GPU, on several, on several machines."""

from __future__ import annotations

import shlex
from typing import Literal, get_args

from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.questions.kept import file_name

Place = Literal["one", "several", "machines", "fsdp", "deepspeed"]
PLACES: tuple[Place, ...] = get_args(Place)
_OPTIONS: dict[Place, str] = {
    "one": "--num_processes 1",
    "several": "--multi_gpu --num_processes 4",
    "machines": "--multi_gpu --num_processes 8 --num_machines 2 --machine_rank 0 --main_process_ip HOST "
    "--main_process_port 29500",
    "fsdp": "--use_fsdp --fsdp_version 2 --num_processes 4",
    "deepspeed": "--use_deepspeed --zero_stage 3 --num_processes 4",
}


def train_command(config: RunConfig) -> str:
    """`sapo_viz train …` with what is not at its default, as a module for Python or accelerate."""
    usual = RunConfig(config.objective)
    words = ["-m", "sapo_viz", "train", "--objective", config.objective]
    for name, number in config.knobs.items():
        if number != usual.knobs[name]:
            words += [_flag(name), f"{number:.10g}"]
    for name in SETTINGS:
        value = getattr(config, name)
        if value != getattr(usual, name):
            value = file_name(config.data) if name == "data" else value
            words += [_flag(name), f"{value:.10g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)


def launch_command(config: RunConfig, where: Place) -> str:
    """What trains the run there. Engine trl keeps whole weights on each device: what cuts them up launches the script
    that the run is exported as."""
    what = "train.py" if where in ("fsdp", "deepspeed") else train_command(config)
    return f"accelerate launch {_OPTIONS[where]} {what}"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
