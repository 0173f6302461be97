"""The model card of a trained policy: README.md as the Hugging Face Hub reads it. What was done, in whose numbers."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sapo_viz import __version__
from sapo_viz.core.objective import CATALOG
from sapo_viz.models.source import is_hub_id
from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.folder.reading import number
from sapo_viz.runs.questions.kept import file_name

_ROWS = 12  # of the table of steps
_SHOWN = ("reward", "held_out", "pass_k", "kl_start", "entropy", "length")


def model_card(config: RunConfig, events: Iterable[Mapping[str, Any]], *, merged: str = "") -> str:
    """The card of the run with these settings and events.

    Args:
        merged: the precision of weights that the run's adapter is a part of; empty if there is none, or it lies apart.
    """
    events = list(events)
    cls = CATALOG[config.objective]
    base = _shown(config.policy) if config.policy != "auto" else f"the bundled start of the task {config.task}"
    steps = [event for event in events if event["type"] == "step"]
    start = next((event for event in events if event["type"] == "start"), {})
    knobs = ", ".join(f"{cls.knobs()[name].symbol} = {value:g}" for name, value in config.knobs.items())
    paper = f" ([arXiv {cls.paper}](https://arxiv.org/abs/{cls.paper}))" if cls.paper else ""
    lines = [
        "---",
        f"library_name: {'peft' if config.lora_rank and not merged else 'transformers'}",
        *([f"base_model: {_yaml(config.policy)}"] if is_hub_id(config.policy) else []),
        "tags:",
        *(f"- {tag}" for tag in ("reinforcement-learning", config.objective, *(["lora"] if config.lora_rank else []))),
        "---",
        "",
        f"# {_line(config.title)}",
        "",
        f"Reinforcement learning with {cls.label}{paper} from `{_line(base)}`, on {_data(config)}.",
        "",
        f"- Objective: {cls.label}{', ' + knobs if knobs else ''}.",
        f"- Weights: {_weights(config, merged)}; {_known(start, 'trained', 'parameters'):,} trained.",
        f"- Rollouts: {config.prompts} prompts × {config.completions} completions, {config.minibatches} mini-batches × "
        f"{config.epochs} epochs; {len(steps)} of {config.steps} steps.",
        "",
        *_held_out(start, steps),
        "## Course",
        "",
        *_table(steps),
        "",
        "## Settings that are not at their default",
        "",
        *(_changed(config) or ["None."]),
        "",
        "## Made with",
        "",
        ", ".join([f"SAPO Viz {__version__}", *_versions(), f"Python {platform.python_version()}"]) + ".",
    ]
    return "\n".join(lines) + "\n"


def _weights(config: RunConfig, merged: str) -> str:
    if not config.lora_rank:
        return "all"
    return f"LoRA, rank {config.lora_rank}" + (f", merged into the policy's own, in {merged}" if merged else "")


def _data(config: RunConfig) -> str:
    if config.task != "questions":
        return f"the task *{config.task}*"
    reward = config.reward or "exact"
    return f"the questions of `{_line(_shown(file_name(config.data)))}`, rewarded by `{_line(_shown(reward))}`"


def _held_out(start: Mapping[str, Any], steps: list[Mapping[str, Any]]) -> list[str]:
    last = next((event["metrics"] for event in reversed(steps) if "held_out" in event["metrics"]), None)
    if last is None:
        return []
    before = f"{_interval(start)} before, " if "held_out" in start else ""
    return [f"Held-out prompts, likeliest answers (95 % interval): {before}{_interval(last)} at the end.", ""]


def _interval(numbers: Mapping[str, Any]) -> str:
    low, middle, high = (_known(numbers, name) for name in ("held_out_low", "held_out", "held_out_high"))
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def _known(numbers: Mapping[str, Any], *names: str) -> int | float:
    """The first of these that is a number: a log may be a stranger's."""
    return next((found for name in names if (found := number(numbers.get(name))) is not None), 0)


def _table(steps: list[Mapping[str, Any]]) -> list[str]:
    every = max(1, -(-len(steps) // _ROWS))
    kept = [event for place, event in enumerate(steps, 1) if place % every == 0 or place in (1, len(steps))]
    names = [name for name in _SHOWN if any(name in event["metrics"] for event in steps)]
    rows = [[str(event["step"]), *(_number(event["metrics"].get(name)) for name in names)] for event in kept]
    return [_row(["step", *names]), _row(["---"] * (len(names) + 1)), *map(_row, rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else ""


def _changed(config: RunConfig) -> list[str]:
    usual = [(name, getattr(config, name)) for name, spec in SETTINGS.items() if getattr(config, name) != spec.default]
    return [f"- {name}: `{_line(_shown(str(value)))}`" for name, value in usual if name != "label"]


def _versions() -> list[str]:
    found = []
    for package in ("torch", "transformers", "peft"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found


def _shown(text: str) -> str:
    """A path of this machine by its last name: a card goes out into the world, and what lies around a file does not."""
    return Path(text).name if text.startswith(("/", "~", ".")) or Path(text).is_absolute() else text


def _line(text: str) -> str:
    """A text that a person gave, on one line and without what Markdown or a fence would read."""
    return "".join(sign for sign in text if sign.isprintable() and sign not in "`<>[]|")[:200]


def _yaml(text: str) -> str:
    return '"' + _line(text).replace("\\", "/").replace('"', "'") + '"'
