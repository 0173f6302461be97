"""NeMo-RL: `Logger.log_batched_dict_as_jsonl` on the `log_data` of grpo.py, with and without dynamic sampling."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.format_writers.answers import ANSWERS, padded
from scripts.format_writers.source import Source

FRAMEWORK = "NeMo-RL"
FUNCTION = "nemo_rl/utils/logger.py Logger.log_batched_dict_as_jsonl"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    import torch

    logger = _logger(source)
    rows = [[*a.prompt_ids, *a.ids] for a in ANSWERS]
    before = [len(a.prompt_ids) for a in ANSWERS]

    def table(values: list[list[float]]) -> Any:
        return torch.tensor(padded(values)).tolist()

    def whole(values: list[list[int]]) -> list[list[int]]:
        return [list(map(int, row)) for row in padded([list(map(float, row)) for row in values])]

    log_data = {
        "content": [[a.prompt, a.text] for a in ANSWERS],
        "rewards": [a.reward for a in ANSWERS],
        "input_lengths": [len(row) for row in rows],
        "token_ids": whole(rows),
        "token_loss_mask": whole([[0] * n + [1] * len(a.ids) for n, a in zip(before, ANSWERS, strict=True)]),
        "sample_loss_mask": [1.0] * len(ANSWERS),
        "advantages": [[a.advantage] * max(map(len, rows)) for a in ANSWERS],
        "generation_logprobs": table([[0.0] * n + list(a.sampler) for n, a in zip(before, ANSWERS, strict=True)]),
        "prev_logprobs": table([[-1.0] * n + list(a.trainer) for n, a in zip(before, ANSWERS, strict=True)]),
    }
    yield "nemo-rl-train_data_step1.jsonl", FUNCTION, logger(log_data)
    unfiltered = [0.0] * len(ANSWERS)  # of the batch before prompts were filtered out
    filtered = {"filtered_rewards": log_data["rewards"], "rewards": unfiltered}
    yield "nemo-rl-dynamic-train_data_step1.jsonl", FUNCTION, logger(log_data | filtered)
    validation = {
        "content": [[*a.messages, {"role": "assistant", "content": a.text}] for a in ANSWERS],
        "rewards": [a.reward for a in ANSWERS],
    }
    yield "nemo-rl-val_data_step1.jsonl", FUNCTION, logger(validation)


def _logger(source: Source) -> Any:
    packed = type("PackedTensor", (), {})
    batched = source.take(
        "nemo_rl/distributed/batched_data_dict.py", "BatchedDataDict", "SlicedDataDict", "DictT", PackedTensor=packed
    )
    taken = source.take(
        "nemo_rl/utils/logger.py", "Logger.log_batched_dict_as_jsonl", BatchedDataDict=batched.BatchedDataDict
    )

    def run(log_data: dict[str, Any]) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            logger = taken.Logger()
            logger.base_log_dir = folder
            logger.log_batched_dict_as_jsonl(log_data, "log.jsonl")
            return Path(folder, "log.jsonl").read_bytes()

    return run
