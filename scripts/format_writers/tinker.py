"""tinker-cookbook: `serialize_rollout_summaries`, which keeps lengths and rewards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace

from scripts.format_writers.answers import GROUPS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "tinker-cookbook"
FUNCTION = "tinker_cookbook/rl/rollout_logging.py serialize_rollout_summaries"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    taken = source.take(
        "tinker_cookbook/rl/rollout_logging.py", "serialize_rollout_summaries", "_json_safe", safezip=zip
    )
    groups = []
    for group in GROUPS:
        trajectories = [
            SimpleNamespace(
                transitions=[
                    SimpleNamespace(
                        ob=SimpleNamespace(length=len(a.prompt_ids)),
                        ac=SimpleNamespace(tokens=list(a.ids)),
                        reward=a.reward,
                        episode_done=True,
                        metrics={"correct": a.reward},
                        logs={},
                    )  # fmt: skip
                ],
                final_ob=SimpleNamespace(length=0),
            )
            for a in group
        ]
        rewards = [a.reward for a in group]
        groups.append(
            SimpleNamespace(
                trajectories_G=trajectories,
                final_rewards_G=rewards,
                metrics_G=[{} for _ in group],
                get_total_rewards=lambda rewards=rewards: rewards,
            )
        )
    rows = taken.serialize_rollout_summaries(
        split="train", iteration=STEP, trajectory_groups_P=groups, taglist_P=[["math"]] * len(groups)
    )
    yield "tinker-train_rollout_summaries.jsonl", FUNCTION, "".join(json.dumps(row) + "\n" for row in rows).encode()
