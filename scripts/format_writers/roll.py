"""ROLL: `dump_rollout_to_specific_path` of the pipelines with a verifier, `dump_rollout_trajectories` of agents.

`save_metrics` writes what the RL Logging Board draws; the board itself publishes no writing code.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scripts.format_writers.answers import ANSWERS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "ROLL"
_FILE, _AGENTIC = "roll/pipeline/rlvr/utils.py", "roll/pipeline/agentic/utils.py"
_PIPELINE = "roll/pipeline/rlvr/rlvr_pipeline.py"
_NAMES = ("COLUMMNS_CONFIG", "write_to_json_process", "json_checker", "DUMPING_FUNC")


class _Here:
    """`multiprocessing`, whose process is this one."""

    class Process:
        def __init__(self, target: Callable[..., None], args: tuple[Any, ...], daemon: bool) -> None:
            self.start = lambda: target(*args)


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    yield "roll-rollout_dump_data.step_5.jsonl", f"{_FILE} dump_rollout_to_specific_path", _with_verifier(source)
    yield "rl-logging-board.jsonl", f"{_PIPELINE} RLVRPipeline.save_metrics", _board(source)
    yield "roll-agentic-rollout_dump_data.step_5.jsonl", f"{_AGENTIC} dump_rollout_trajectories", _agentic(source)


def _written(folder: str) -> bytes:
    return Path(folder, f"rollout_dump_data.step_{STEP}.jsonl").read_bytes()


def _with_verifier(source: Source) -> bytes:
    import numpy as np
    import torch

    taken = source.take(_FILE, *_NAMES, "dump_rollout_to_specific_path", Timer=_Timer, multiprocessing=_Here)
    texts = [a.text for a in ANSWERS]
    data = SimpleNamespace(
        non_tensor_batch={
            "id": np.array(["0", "0", "1", "1"], dtype=object),
            "messages": np.array([json.dumps(a.messages) for a in ANSWERS], dtype=object),
            "ground_truth": np.array(["4", "4", "7", "7"], dtype=object),
            "domain": np.array(["math_rule"] * 4, dtype=object),
        },
        batch={"responses": None, "scores": torch.tensor([a.reward for a in ANSWERS])},
        meta_info={"generation_config": {"temperature": 0.99}},
    )
    tokenizer = SimpleNamespace(batch_decode=lambda *_, **__: texts)
    with tempfile.TemporaryDirectory() as folder:
        taken.dump_rollout_to_specific_path(folder, STEP, data, tokenizer)
        return _written(folder)


def _board(source: Source) -> bytes:
    """Prompts padded left and responses padded right, as ROLL's batches are; log-probs of all but the first token."""
    import torch

    pipeline = source.take(_PIPELINE, "RLVRPipeline.save_metrics").RLVRPipeline()
    before, after = (max(len(getattr(a, name)) for a in ANSWERS) for name in ("prompt_ids", "ids"))

    def table(values: str) -> Any:
        rows = [[0.0] * (before - 1) + list(getattr(a, values)) for a in ANSWERS]
        return torch.tensor([row + [0.0] * (before - 1 + after - len(row)) for row in rows])

    mask = torch.tensor([[0] * before + [1] * len(a.ids) + [0] * (after - len(a.ids)) for a in ANSWERS])
    names = {t: name for a in ANSWERS for t, name in zip(a.ids, a.tokens, strict=True)} | {0: "<PAD>"}
    texts = iter([[f"<PAD>{a.prompt}" for a in ANSWERS], [f"{a.text}<PAD>" for a in ANSWERS]])
    pipeline.tokenizer = SimpleNamespace(
        batch_decode=lambda *_, **__: next(texts),
        convert_ids_to_tokens=lambda ids, **_: [names[int(t)] for t in ids],
    )
    tensors = {
        "old_log_probs": table("sampler"), "old_log_probs2": table("sampler"), "ref_log_probs": table("trainer"),
        "old_log_probs2_entropy": table("sampler") * 0, "response_mask": mask, "prompts": None,
        "responses": torch.tensor([[*a.ids, *[0] * (after - len(a.ids))] for a in ANSWERS]),
        "token_level_rewards": torch.zeros(len(ANSWERS), after),
        "response_level_rewards": torch.tensor([a.reward for a in ANSWERS]),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        pipeline.pipeline_config = SimpleNamespace(save_logging_board_dir=f"{folder}/")
        pipeline.save_metrics(SimpleNamespace(batch=tensors, meta_info={"global_step": STEP}))
        (written,) = Path(folder).iterdir()
        return written.read_bytes()


def _agentic(source: Source) -> bytes:
    import numpy as np

    dumping = source.take(_FILE, *_NAMES, Timer=_Timer)
    taken = source.take(
        _AGENTIC,
        "dump_rollout_trajectories",
        "remove_nan_items",
        DUMPING_FUNC=dumping.DUMPING_FUNC,
        multiprocessing=_Here,
    )
    told: list[Any] = []
    for index, a in enumerate(ANSWERS):
        turn = [
            {"role": "assistant", "content": a.text},
            {"role": "user", "content": "Are you sure?"},
            {"role": "assistant", "content": "Yes."},
        ]
        told.append(json.dumps([*a.messages, *turn]) if index else json.dumps([*a.messages, *turn[:1]]))
    trajectories = [
        json.dumps(
            {
                "trajectory_id": str(index),
                "env_info": {"env_id": index, "group_id": index // 2, "tag": "sums", "seed": 7, "episode_id": 0},
                "reward_info": {"episode_reward": a.reward, "step_rewards": [a.reward]},
            }
        )
        for index, a in enumerate(ANSWERS)
    ]
    columns = {"trajectory_data": trajectories, "messages": told, "tools": ["[]"] * 4, "exp_name": ["sums"] * 4}
    data = SimpleNamespace(
        non_tensor_batch={name: np.array(values, dtype=object) for name, values in columns.items()},
        meta_info={"COLUMMNS_CONFIG": [[name, "string"] for name in columns]},
    )
    with tempfile.TemporaryDirectory() as folder:
        taken.dump_rollout_trajectories(folder, STEP, data)
        return _written(folder)


class _Timer:
    """Of the package codetiming."""

    last = 0.0

    def __init__(self, **_: Any) -> None: ...

    def __enter__(self) -> _Timer:
        return self

    def __exit__(self, *_: object) -> None: ...
