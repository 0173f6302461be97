"""Files that look like rollouts and hold no tokens: recognised, so that it can be said what they lack.

- tinker-cookbook, `*_rollout_summaries.jsonl` (thinking-machines-lab/tinker-cookbook, tinker_cookbook/rl/
  rollout_logging.py `serialize_rollout_summaries`): lengths and rewards of each step.
- open-instruct, `*_metadata.jsonl` (allenai/open-instruct, open_instruct/rl_utils.py `save_rollout_metadata`).
- SkyRL, `aggregated_results.jsonl` of an evaluation (skyrl/train/utils/trainer_utils.py): its metrics.
- UNIPO, `{algorithm}_metrics.json` (poloclub/unipo, scripts/build_data.py): a step's metrics, its prompts removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats.base import Contents, Format, Item, Notes, having


def _says(name: str, holds: str, remedy: str) -> Callable[[str, Iterator[Item], Notes], Contents]:
    def read(file: str, items: Iterator[Item], notes: Notes) -> Contents:
        raise RolloutError(f"{file}: this is {name}, which holds {holds} and no tokens; {remedy}.")

    return read


def _is_unipo(first: Mapping[str, Any]) -> bool:
    entries = first.get("entries")
    inside = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
    return bool(inside) and not any("prompts" in entry for entry in inside)


TINKER = Format(
    name="a tinker rollout summary",
    framework="tinker-cookbook",
    file="*_rollout_summaries.jsonl",
    docs="https://github.com/thinking-machines-lab/tinker-cookbook/blob/main/tinker_cookbook/rl/rollout_logging.py",
    kind="json",
    holds="no tokens",
    marks=("group_idx", "traj_idx", "total_reward"),
    taken="nothing: it holds lengths and rewards",
    recognise=having("group_idx", "traj_idx", "total_reward", "steps"),
    read=_says(
        "a tinker rollout summary",
        "lengths and rewards",
        "save the trajectories' `ac.tokens` and `ac.maybe_logprobs` beside it, in one of the formats that are read",
    ),
)
UNIPO = Format(
    name="UNIPO metrics",
    framework="UNIPO",
    file="*_metrics.json",
    docs="https://github.com/poloclub/unipo/blob/main/scripts/build_data.py",
    kind="json",
    holds="no tokens",
    marks=("header", "entries"),
    taken="nothing: its prompts have been removed; they are in step-*.json",
    recognise=_is_unipo,
    read=_says("a UNIPO metrics file", "curves", "open one of the step-*.json files that stand beside it"),
)
OPEN_INSTRUCT = Format(
    name="open-instruct metadata",
    framework="open-instruct",
    file="*_metadata.jsonl",
    docs="https://github.com/allenai/open-instruct/blob/main/open_instruct/rl_utils.py",
    kind="json",
    holds="no tokens",
    marks=("run_name", "git_commit", "model_name"),
    taken="nothing: it names a run",
    recognise=having("run_name", "git_commit", "model_name"),
    read=_says("open-instruct metadata", "a run's name", "open the *_rollouts_*.jsonl files that stand beside it"),
)
SKYRL = Format(
    name="SkyRL evaluation metrics",
    framework="SkyRL",
    file="aggregated_results.jsonl",
    docs="https://github.com/NovaSky-AI/SkyRL/blob/main/skyrl/train/utils/trainer_utils.py",
    kind="json",
    holds="no tokens",
    marks=("eval/all/avg_score",),
    taken="nothing: it holds an evaluation's metrics",
    recognise=having("eval/all/avg_score"),
    read=_says("a SkyRL evaluation's summary", "metrics", "open the {data_source}.jsonl files that stand beside it"),
)
