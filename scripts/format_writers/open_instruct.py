"""open-instruct: `_save_rollouts` of a generation result; the last answer has a tool's token in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from scripts.format_writers.answers import ANSWERS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "open-instruct"
FUNCTION = "open_instruct/rl_utils.py _save_rollouts"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    commit = SimpleNamespace(get_git_commit=lambda: "0" * 40)
    names = [
        "RolloutRecord",
        "_save_rollouts",
        "_get_request_info_for_sample",
        "RolloutMetadata",
        "save_rollout_metadata",
    ]
    taken = source.take("open_instruct/rl_utils.py", *names, utils=commit)
    calls = [0, 0, 0, 1]
    info = SimpleNamespace(
        num_calls=calls, timeouts=[0] * 4, tool_errors=[""] * 4, tool_outputs=["", "", "", "8"],
        tool_runtimes=[0.0] * 4,
        tool_calleds=[bool(n) for n in calls], tool_call_stats=[[], [], [], []], rollout_states=[{}, {}, {}, {}],
    )  # fmt: skip
    tool = [[], [], [], [29]]  # drawn by nobody: their log-prob is written as 0
    result = SimpleNamespace(
        responses=[[*a.ids, *more] for a, more in zip(ANSWERS, tool, strict=True)],
        finish_reasons=["stop"] * 4,
        logprobs=[[*a.sampler, *[0.0] * len(more)] for a, more in zip(ANSWERS, tool, strict=True)],
        request_info=info,
    )
    batch = SimpleNamespace(
        queries=[list(a.prompt_ids) for a in ANSWERS],
        scores=[a.reward for a in ANSWERS],
        datasets=["sums"] * 4,
        ground_truths=[[7]] * 4,
    )
    with tempfile.TemporaryDirectory() as folder:
        taken._save_rollouts(folder, "run", STEP, batch, result, [a.advantage for a in ANSWERS], 2, 0)
        data = Path(folder, "run_rollouts_000000.jsonl").read_bytes()
        taken.save_rollout_metadata(folder, "run", "made-up")
        metadata = Path(folder, "run_metadata.jsonl").read_bytes()
    yield "open-instruct-run_metadata.jsonl", "open_instruct/rl_utils.py save_rollout_metadata", metadata
    yield "open-instruct-run_rollouts_000000.jsonl", FUNCTION, data
