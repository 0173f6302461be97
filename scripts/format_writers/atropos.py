"""Atropos: the groups that `BaseEnv.handle_send_to_api` writes where data_path_to_save_groups is set."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from scripts.format_writers.answers import GROUPS
from scripts.format_writers.source import Source

FRAMEWORK = "Atropos"
FUNCTION = "atroposlib/envs/base.py BaseEnv.handle_send_to_api"


class _Lines:
    """`jsonlines.Writer` on a list."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def write(self, row: Any) -> None:
        self.rows.append(json.dumps(row))


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    environment = source.take("atroposlib/envs/base.py", "BaseEnv.handle_send_to_api").BaseEnv()

    async def nothing(*_: Any, **__: Any) -> None:
        return None

    environment.config = SimpleNamespace(
        group_size=2, ensure_scores_are_not_same=True, include_messages=False, data_path_to_save_groups=""
    )
    environment.completion_lengths, environment.max_token_len = [], 4096
    environment.add_rollouts_for_wandb = environment._send_scored_data_to_api = nothing
    environment.jsonl_writer = _Lines()
    for group in GROUPS:
        scored = {
            "tokens": [[*a.prompt_ids, *a.ids] for a in group],
            "masks": [[-100] * len(a.prompt_ids) + list(a.ids) for a in group],
            "scores": [a.reward for a in group],
            "inference_logprobs": [[1.0] * len(a.prompt_ids) + list(a.sampler) for a in group],
            "group_overrides": {},
        }
        asyncio.run(environment.handle_send_to_api(scored, do_send_to_api=False))
    yield "atropos-groups.jsonl", FUNCTION, "".join(row + "\n" for row in environment.jsonl_writer.rows).encode()
