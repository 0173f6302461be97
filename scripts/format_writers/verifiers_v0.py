"""verifiers before its version 1: `state_to_output` and `save_outputs`, without and with trajectories of tokens."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.format_writers.answers import ANSWERS
from scripts.format_writers.source import Source

FRAMEWORK = "verifiers v0"
FUNCTION = "verifiers/legacy/utils/save_utils.py state_to_output, save_outputs"
_NAMES = ("state_to_output", "save_outputs", "_append_prefix", "make_serializable", "is_json_serializable")


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    yield "verifiers-results.jsonl", FUNCTION, _save(source, [])
    yield "verifiers-tokens-results.jsonl", FUNCTION, _save(source, ["trajectory"])


def _save(source: Source, columns: list[str]) -> bytes:
    taken = source.take(
        "verifiers/legacy/utils/save_utils.py",
        *_NAMES,
        RolloutOutput=dict,
        _extract_state_token_usage=lambda state: None,
        _delta_intermediate_mm_data=lambda trajectory: trajectory,
        serialize_messages_for_output=lambda messages: messages,
        sanitize_tool_calls=lambda messages: messages,
    )
    states: list[dict[str, Any]] = []
    for index, a in enumerate(ANSWERS):
        answer = [{"role": "assistant", "content": a.text}]
        tokens = {
            "prompt_ids": list(a.prompt_ids), "prompt_mask": [0] * len(a.prompt_ids), "completion_ids": list(a.ids),
            "completion_mask": [1] * len(a.ids), "completion_logprobs": list(a.sampler),
            "overlong_prompt": False, "is_truncated": False,
        }  # fmt: skip
        step = {
            "prompt": a.messages,
            "completion": answer,
            "tokens": tokens,
            "reward": None,
            "advantage": None,
            "extras": {},
        }
        states.append(
            {
                "example_id": index // 2,
                "prompt": a.messages,
                "completion": answer,
                "answer": "4",
                "reward": a.reward,
                "timing": {"total_ms": 1.0},
                "is_completed": True,
                "metrics": {"correct": a.reward},
                "trajectory": [step],
            }  # fmt: skip
        )
    with tempfile.TemporaryDirectory() as folder:
        taken.save_outputs([taken.state_to_output(state, columns) for state in states], Path(folder))
        return Path(folder, "results.jsonl").read_bytes()
