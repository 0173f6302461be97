"""verl: `_write_generations` of the older trainer, and of the v1 trainer, which adds uid = sample_rollout_output."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.format_writers.answers import ANSWERS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "verl"
_OLD = "verl/trainer/ppo/ray_trainer.py RayPPOTrainer._write_generations"
_V1 = "verl/trainer/ppo/v1/trainer_base.py PPOTrainer._write_generations"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    import numpy as np

    scores = [np.float32(a.reward) for a in ANSWERS]  # what JSON does not know goes through str
    yield "verl-5.jsonl", _OLD, _dump(source, _OLD, scores, {"acc": [np.bool_(a.reward == 1) for a in ANSWERS]})
    uids = [f"{sample:02x}_{rollout}_0" for sample in (0x8F, 0x9C) for rollout in (0, 1)]
    yield "verl-v1-5.jsonl", _V1, _dump(source, _V1, [a.reward for a in ANSWERS], {"uid": uids})


def _dump(source: Source, function: str, scores: list[Any], extra: dict[str, list[Any]]) -> bytes:
    file, name = function.split()
    taken = getattr(source.take(file, name), name.split(".")[0])
    prompts = [f"user\n{a.prompt}\nassistant\n" for a in ANSWERS]
    with tempfile.TemporaryDirectory() as folder:
        taken._write_generations(prompts, [a.text for a in ANSWERS], ["4", "4", "7", "7"], scores, extra, folder, STEP)
        return Path(folder, f"{STEP}.jsonl").read_bytes()
