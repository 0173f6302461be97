"""One small file of every format, built from the fields that its framework documents (the readers cite them).

Each says in numbers what its reader has to find, so that a test compares with what stands here by hand.
"""

from __future__ import annotations

import enum
import io
import json
import pickle
import sys
import types
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


# NeMo-RL: two samples of one prompt (ids 11, 12), padded on the right with 0 to six tokens.
# The first answers with 21, 22, 23, of which 22 is a tool's output (mask 0); the second with 24 and 25.
NEMO = [
    {
        "content": ["2+2=", "4"],
        "rewards": 1.0,
        "input_lengths": 5,
        "token_ids": [11, 12, 21, 22, 23, 0],
        "token_loss_mask": [0, 0, 1, 0, 1, 0],
        "sample_loss_mask": 1.0,
        "advantages": [0.5, 0.5, 0.5, 0.5, 0.5, 0.0],
        "generation_logprobs": [0.0, 0.0, -1.25, 0.0, -0.5, 0.0],
        "prev_logprobs": [0.0, -3.0, -1.0, -7.0, -0.75, -9.0],
        "idx": 0,
    },
    {
        "content": ["2+2=", "5"],
        "rewards": 0.0,
        "input_lengths": 4,
        "token_ids": [11, 12, 24, 25, 0, 0],
        "token_loss_mask": [0, 0, 1, 1, 0, 0],
        "sample_loss_mask": 0.0,
        "advantages": [-0.5, -0.5, -0.5, -0.5, 0.0, 0.0],
        "generation_logprobs": [0.0, 0.0, -2.0, -0.25, 0.0, 0.0],
        "prev_logprobs": [0.0, -3.0, -2.5, -0.125, -9.0, -9.0],
        "idx": 1,
    },
]

# Older NeMo-RL: no token ids and no masks; here with one advantage a sample, as some versions have it.
NEMO_OLDER = [
    {name: row[name] for name in ("content", "rewards", "input_lengths", "generation_logprobs", "prev_logprobs", "idx")}
    | {"advantages": row["advantages"][0]}
    for row in NEMO
]

# prime-rl: prompt 11, 12, answer 21, 22, 23; the trainer's log-prob of 22 was not finite, so it is null.
PRIME = [
    {
        "schema_version": 1,
        "step": 7,
        "export_step": 7,
        "rank": 0,
        "micro_step": 0,
        "micro_sequence_idx": 0,
        "export_sequence_idx": 3,
        "run_id": None,
        "env_name": "math",
        "token_ids": [11, 12, 21, 22, 23],
        "position_ids": [0, 1, 2, 3, 4],
        "loss_mask": [False, False, True, True, True],
        "advantages": [1.5, 1.5, 1.5, 1.5, 1.5],
        "losses": [{"rl": {"advantage": 1.5, "mask": True}}] * 5,
        "rewards": [None, None, 0.75, 0.75, 0.75],
        "inference_logprobs": [0.0, 0.0, -1.25, -2.0, -0.5],
        "trainer_logprobs": [-8.0, -3.0, -1.0, None, -0.75],
        "entropy": [0.1] * 5,
        "mismatch_kl": [0.0] * 5,
        "importance_ratio": [1.0] * 5,
        "is_masked": [False] * 5,
    },
]

UNIPO = {
    "header": {"task": "math", "algorithm": "grpo", "totalSteps": 1, "hparams": {"clip_eps": 0.2}},
    "entries": [
        {
            "step": 4,
            "is_first_step_after_rollout_phase": False,
            "metrics": {"policy_objective": 0.1, "reward": 0.35},
            "prompts": [
                {
                    "prompt": "Compute 2 + 2.",
                    "responses": [
                        {
                            "id": "step4_p0_sample0",
                            "reward": 0.85,
                            "advantage": 0.35,
                            "response_text": "The 4",
                            "tokens": {
                                "ids": [31, 32],
                                "strings": ["The", " 4"],
                                "log_probs": [-0.25, -0.5],
                                "old_log_probs": [-0.5, -0.125],
                                "ref_log_probs": [-0.75, -1.0],
                                "advantages": [0.35, 0.35],
                                "token_objective": [0.1, 0.2],
                            },
                        }
                    ],
                }
            ],
        }
    ],
}


def chat(*logprobs: float | None, texts: tuple[str, ...] = ("Hel", "lo", "!")) -> dict[str, Any]:
    """A chat response as OpenAI's API and vLLM give it, with one choice."""
    content = [
        {"token": text, "logprob": value, "bytes": list(text.encode()), "top_logprobs": []}
        for text, value in zip(texts, logprobs, strict=True)
    ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "logprobs": {"content": content}}
        ],
        "usage": {"total_tokens": 9},
    }


def completion(*logprobs: float | None, texts: tuple[str, ...] = ("Hel", "lo", "!")) -> dict[str, Any]:
    """A legacy completions response."""
    inside = {"tokens": list(texts), "token_logprobs": list(logprobs), "text_offset": [0, 3, 5], "top_logprobs": None}
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "choices": [{"index": 0, "text": "Hello!", "logprobs": inside}],
    }


def saved(value: Any) -> bytes:
    out = io.BytesIO()
    torch.save(value, out)
    return out.getvalue()


# slime: prompt 11, 12; the answers are 21, 22, 23 and 24, 25. bfloat16 and a float32 tensor that is a view on another.
def slime_columns() -> dict[str, Any]:
    return {
        "tokens": [torch.tensor([11, 12, 21, 22, 23]), torch.tensor([11, 12, 24, 25])],
        "total_lengths": [5, 4],
        "response_lengths": [3, 2],
        "loss_masks": [torch.tensor([1, 0, 1], dtype=torch.int32), [1, 1]],
        "rewards": [0.5, -0.5],
        "raw_reward": [1.0, 0.0],
        "rollout_log_probs": [torch.tensor([-1.25, -7.0, -0.5]), [-2.0, -0.25]],
        "log_probs": [torch.tensor([9.0, -1.0, -7.0, -0.75])[1:], torch.tensor([-2.5, -0.125], dtype=torch.bfloat16)],
        "advantages": [torch.tensor(0.5).expand(3), torch.tensor([-0.5, -0.5])],
        "sample_indices": [8, 9],
        "num_microbatches": [1, 1],
    }


def slime_train(version: int = 1, **changes: Any) -> bytes:
    columns = {name: value for name, value in (slime_columns() | changes).items() if value is not None}
    if version == 1:
        return saved({"rollout_id": 6, "rank": 0, "rollout_data": columns})
    raw, schedule = columns.pop("raw_reward"), columns.pop("num_microbatches")
    names = {"sample_indices": "sample_index"}
    samples = [{names.get(k, k): column[i] for k, column in columns.items()} for i in range(2)]
    shards = [{"rank": 0, "num_microbatches": schedule}]
    return saved(
        {"format_version": 2, "rollout_id": 6, "rank": 0, "samples": samples, "dp_shards": shards, "raw_reward": raw}
    )


def slime_rollout(*, logprobs: bool = True) -> bytes:
    def sample(index: int, answer: list[int], text: str, values: list[float], reward: float) -> dict[str, Any]:
        return {
            "group_index": 4,
            "index": index,
            "prompt": "2+2=",
            "tokens": [11, 12, *answer],
            "response": text,
            "response_length": len(answer),
            "label": "4",
            "reward": reward,
            "loss_mask": None,
            "weight_versions": ["3"],
            "rollout_log_probs": values if logprobs else None,
            "status": "completed",
            "metadata": {"note": np.arange(3), "score": np.float64(0.5)},
        }

    samples = [sample(8, [21, 22, 23], "4.", [-1.25, -7.0, -0.5], 1.0), sample(9, [24, 25], "5", [-2.0, -0.25], 0.0)]
    return saved({"rollout_id": 6, "samples": samples})


# SkyRL: the same two answers. Older layout: prompt padded left, response right; newer: all padded left.
def skyrl_fields(layout: str = "newer") -> dict[str, Any]:
    def table(first: list[float], second: list[float]) -> torch.Tensor:
        return torch.tensor([first, ([*second, 0.0] if layout == "older" else [0.0, *second])])

    rows = [[11, 12, 21, 22, 23], [0, 11, 12, 24, 25] if layout == "newer" else [11, 12, 24, 25, 0]]
    return {
        "sequences": torch.tensor(rows),
        "attention_mask": torch.tensor([[int(x > 0) for x in row] for row in rows]),
        "response_mask": table([1, 1, 1], [1, 1]).long(),
        "loss_mask": table([1, 0, 1], [1, 1]).long(),
        "action_log_probs": table([-1.0, -7.0, -0.75], [-2.5, -0.125]).to(torch.bfloat16),
        "rollout_logprobs": table([-1.25, -7.0, -0.5], [-2.0, -0.25]),
        "base_action_log_probs": None,
        "advantages": table([0.5, 0.5, 0.5], [-0.5, -0.5]),
        "values": None,
    }


def _rebuild_tensor_batch(cls: type, state: dict[str, Any]) -> None:
    raise AssertionError("a reader called what the file names")


def skyrl(layout: str = "newer", uids: list[str] | None = None, **changes: Any) -> bytes:
    """Pickled as SkyRL does it: a dict subclass in a module of that name, whose `__reduce__` gives bytes and shapes."""
    fields = skyrl_fields(layout) | changes
    name = "skyrl.backends.skyrl_train.training_batch"
    parts = [name.rsplit(".", n)[0] for n in (3, 2, 1)] + [name]
    modules = {part: types.ModuleType(part) for part in parts}
    home = modules[name]
    home.TrainingInputBatch = type("TrainingInputBatch", (dict,), {"__module__": name})  # type: ignore[attr-defined]
    home._rebuild_tensor_batch = _rebuild_tensor_batch  # type: ignore[attr-defined]
    TensorFormat = enum.StrEnum("TensorFormat", {"TORCH": "torch", "NUMPY": "numpy"}, module=name)
    home.TensorFormat = TensorFormat  # type: ignore[attr-defined]
    called = str if layout == "older" else TensorFormat  # from 0.4 on a member of an enum

    def blob(value: torch.Tensor | None) -> dict[str, Any] | None:
        if value is None:
            return None
        try:
            array = value.numpy()
        except TypeError:
            return {"format": called("torch"), "data": saved(value)}
        return {"format": called("numpy"), "data": array.tobytes(), "shape": array.shape, "dtype": str(array.dtype)}

    state = {
        "batch_dict": {key: blob(value) for key, value in fields.items()},
        "batch_size": 2,
        "device": torch.device("cpu"),
        "metadata": {"uids": uids} if uids else {"response_length": 3},
    }

    class Reduced:
        def __reduce__(self) -> Any:
            return _rebuild_tensor_batch, (home.TrainingInputBatch, state)  # type: ignore[attr-defined]

    _rebuild_tensor_batch.__module__ = name
    sys.modules.update(modules)
    try:
        return pickle.dumps(Reduced())
    finally:
        for part in modules:
            del sys.modules[part]


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def trl(**changes: Any) -> bytes:
    columns = {
        "step": [5, 5],
        "prompt": ["2+2=", "2+2="],
        "completion": ["4", "5"],
        "accuracy_reward": [1.0, 0.0],
        "advantage": [0.7, -0.7],
    }
    return parquet(**{key: value for key, value in (columns | changes).items() if value is not None})


def chat_trl(**changes: Any) -> bytes:
    """Of a conversational dataset: prompt and completion are messages, as TRL 1.16 logs them."""
    asked = [{"role": "user", "content": "2+2="}]
    answers = [[{"role": "assistant", "content": text}] for text in ("4", "5")]
    return trl(**{"prompt": [asked, asked], "completion": answers} | changes)


VERL = [
    {"input": "2+2=", "output": "4", "gts": "4", "score": 1.0, "step": 5, "acc": True},
    {"input": "2+2=", "output": "5", "gts": "4", "score": 0.0, "step": 5, "acc": False},
]
SWIFT_ROWS = [
    {"gen_step": 5, "prompt": "2+2=", "completion": "4", "Accuracy": 1.0, "advantages": 0.7},
    {"gen_step": 5, "prompt": "2+2=", "completion": "5", "Accuracy": 0.0, "advantages": -0.7},
]
SWIFT_TABLE = {key: [row[key] for row in SWIFT_ROWS] for key in SWIFT_ROWS[0]}
ROLL = {
    "global_step": [5, 5],
    "id": ["a", "a"],
    "prompt": ["2+2=", "2+2="],
    "ground_truth": ["4", "4"],
    "responses": ["4", "5"],
    "scores": [1.0, 0.0],
    "sampling_params": ["{}", "{}"],
}
