"""slime: `save_debug_rollout_data` on its own Samples, and the train dump of `_build_dump_payload`."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.format_writers.answers import ANSWERS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "slime"
_ROLLOUT = "slime/observability/rollout_data_utils.py save_debug_rollout_data"
_TRAIN = "slime/observability/train_data_utils.py _build_dump_payload, torch.save"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    yield "slime-rollout.pt", _ROLLOUT, _rollout(source)
    yield "slime-chat-rollout.pt", _ROLLOUT, _rollout(source, chat=True)
    yield "slime-train.pt", _TRAIN, _train(source)


def _rollout(source: Source, chat: bool = False) -> bytes:
    """With `chat` prompts are messages and log-probs were not asked for; else the last sample is a removed one."""
    sample = source.take("slime/utils/types.py", "Sample").Sample
    save = source.take("slime/observability/rollout_data_utils.py", "save_debug_rollout_data", Sample=sample)
    samples = []
    for index, a in enumerate(ANSWERS):
        one = sample(group_index=index // 2, index=index, prompt=a.messages if chat else a.prompt)
        one.tokens, one.response, one.response_length = [*a.prompt_ids, *a.ids], a.text, len(a.ids)
        one.reward = {"score": a.reward, "pred": a.text} if chat else a.reward
        one.status = sample.Status.COMPLETED
        one.rollout_log_probs = None if chat else list(a.sampler)
        one.remove_sample = not chat and index == len(ANSWERS) - 1
        samples.append(one)
    with tempfile.TemporaryDirectory() as folder:
        save.save_debug_rollout_data(str(Path(folder, "{rollout_id}.pt")), samples, rollout_id=STEP, evaluation=False)
        return Path(folder, f"{STEP}.pt").read_bytes()


def _train(source: Source) -> bytes:
    import torch

    names = ["_build_dump_payload", "_LAYOUT_FIELDS", "_WHOLE_BATCH_FIELDS", "_is_per_sample"]
    taken = source.take("slime/observability/train_data_utils.py", *names)
    data: dict[str, Any] = {
        "tokens": [torch.tensor([*a.prompt_ids, *a.ids]) for a in ANSWERS],
        "response_lengths": [len(a.ids) for a in ANSWERS],
        "total_lengths": [len(a.prompt_ids) + len(a.ids) for a in ANSWERS],
        "loss_masks": [torch.ones(len(a.ids), dtype=torch.int) for a in ANSWERS],
        "rewards": [a.advantage for a in ANSWERS],  # normalised within the group
        "raw_reward": [a.reward for a in ANSWERS],
        "sample_indices": list(range(len(ANSWERS))),
        "partition": list(range(len(ANSWERS))),
        "log_probs": [torch.tensor(a.trainer) for a in ANSWERS],
        "rollout_log_probs": [torch.tensor(a.sampler) for a in ANSWERS],
        "advantages": [torch.full((len(a.ids),), a.advantage) for a in ANSWERS],
    }
    shard = {"rank": 0, "data_parallel_rank": 0, "rollout_data": data}
    out = io.BytesIO()
    torch.save(taken._build_dump_payload([shard], rollout_id=STEP, writer_rank=0), out)
    return out.getvalue()
