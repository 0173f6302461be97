"""SkyRL: `TensorBatch.save` of a padded training batch, and an evaluation's `dump_per_dataset_eval_results`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from scripts.format_writers.answers import ANSWERS
from scripts.format_writers.source import Source

FRAMEWORK = "SkyRL"
_BATCH = "skyrl/backends/skyrl_train/training_batch.py pad_training_input_batch, TensorBatch.save"
_EVAL = "skyrl/train/utils/trainer_utils.py dump_per_dataset_eval_results"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    yield "skyrl-global_step_1_training_input.pkl", _BATCH, _batch(source)
    for name, data in _evaluation(source).items():
        yield f"skyrl-eval-{name}.jsonl", _EVAL, data


def _batch(source: Source) -> bytes:
    """Three answers and one row of padding: all padded left, as SkyRL does now."""
    import torch

    home = ModuleType("skyrl.backends.skyrl_train.training_batch")  # where the pickle says that its class is
    taken = source.take(home.__name__.replace(".", "/") + ".py", Bool=dict, Float=dict, Integer=dict)
    vars(home).update(vars(taken))
    for name in ("TrainingInputBatch", "_rebuild_tensor_batch"):
        getattr(home, name).__module__ = home.__name__
    rows = ANSWERS[:3]
    width, answer = max(len(a.prompt_ids) + len(a.ids) for a in rows), max(len(a.ids) for a in rows)

    def left(values: list[Any], size: int, filler: Any = 0) -> list[Any]:
        return [filler] * (size - len(values)) + list(values)

    def table(name: str) -> Any:
        return torch.tensor([left(list(getattr(a, name)), answer, 0.0) for a in rows])

    mask = torch.tensor([left([1] * len(a.ids), answer) for a in rows])
    batch = home.TrainingInputBatch(
        {
            "sequences": torch.tensor([left([*a.prompt_ids, *a.ids], width) for a in rows]),
            "attention_mask": torch.tensor([left([1] * (len(a.prompt_ids) + len(a.ids)), width) for a in rows]),
            "response_mask": mask,
            "loss_mask": mask.float(),
            "rollout_logprobs": table("sampler"),
            "action_log_probs": table("trainer"),
            "base_action_log_probs": None,
            "values": None,
            "advantages": mask * torch.tensor([[a.advantage] for a in rows]),
            "returns": mask * torch.tensor([[a.advantage] for a in rows]),
        }
    )
    batch.metadata = {"response_length": answer, "uids": ["p1", "p1", "p2"]}
    batch = home.pad_training_input_batch(batch, 1)
    parts = [home.__name__.rsplit(".", n)[0] for n in (3, 2, 1)]
    modules = {name: ModuleType(name) for name in parts} | {home.__name__: home}
    sys.modules.update(modules)
    try:
        with tempfile.TemporaryDirectory() as folder:
            batch.save(Path(folder, "batch.pkl"))
            return Path(folder, "batch.pkl").read_bytes()
    finally:
        for name in modules:
            del sys.modules[name]


def _evaluation(source: Source) -> dict[str, bytes]:
    taken = source.take("skyrl/train/utils/trainer_utils.py", "dump_per_dataset_eval_results", "sanitize_data_source")
    texts = {a.prompt_ids: a.prompt for a in ANSWERS} | {a.ids: a.text for a in ANSWERS}
    output = {
        "prompt_token_ids": [list(a.prompt_ids) for a in ANSWERS],
        "response_ids": [list(a.ids) for a in ANSWERS],
        "rewards": [[0.0] * (len(a.ids) - 1) + [a.reward] for a in ANSWERS],
        "stop_reasons": ["stop"] * len(ANSWERS),
    }
    with tempfile.TemporaryDirectory() as folder:
        many = len(ANSWERS)
        tokenizer = SimpleNamespace(decode=lambda ids: texts[tuple(ids)])
        taken.dump_per_dataset_eval_results(
            Path(folder), tokenizer, output, ["math"] * many, ["aime"] * many, [{}] * many, {"eval/all/avg_score": 0.5}
        )
        return {name: Path(folder, f"{name}.jsonl").read_bytes() for name in ("math", "aggregated_results")}
