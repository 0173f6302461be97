"""ms-swift: the tables that the HF trainer's `log` and the Ray trainer hand to JsonlWriter."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scripts.format_writers.answers import ANSWERS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "ms-swift"
_HF = "swift/rlhf_trainers/grpo_trainer.py GRPOTrainer.log"
_RAY = "swift/ray/megatron/base_trainer.py _maybe_log_completions"


class _Trainer:
    def log(self, *_: Any) -> None:
        """Of the Hugging Face trainer: nothing is logged here."""


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    first = math.nan  # a reward function that returned None
    yield "ms-swift-completions.jsonl", _HF, _hf(source, [a.reward for a in ANSWERS])
    yield "ms-swift-nan-completions.jsonl", _HF, _hf(source, [first, *(a.reward for a in ANSWERS[1:])])
    yield "ms-swift-ray-completions.jsonl", _RAY, _ray(source)


def _hf(source: Source, rewards: list[float]) -> bytes:
    taken = source.take(
        "swift/rlhf_trainers/grpo_trainer.py",
        "GRPOTrainer.log",
        bases=["_Trainer"],
        _Trainer=_Trainer,
        swanlab_get_run=None,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = taken.GRPOTrainer()
        trainer.model = SimpleNamespace(training=True)
        trainer.state = SimpleNamespace(global_step=STEP)
        trainer.accelerator = SimpleNamespace(is_main_process=True)
        trainer.args = SimpleNamespace(log_entropy=False, report_to=[])
        trainer.log_completions, trainer._metrics = True, {"train": {}}
        trainer.jsonl_writer = _writer(source, folder)
        trainer._logs = {
            "prompt": [a.prompt for a in ANSWERS],
            "completion": [a.text for a in ANSWERS],
            "rewards": {"MathAccuracy": rewards},
            "advantages": [a.advantage for a in ANSWERS],
        }
        trainer.log({})
        return Path(folder, "completions.jsonl").read_bytes()


def _ray(source: Source) -> bytes:
    file = "swift/ray/megatron/base_trainer.py"
    name = next(
        line.split()[1].split("(")[0].rstrip(":")
        for line in _classes(source.root / file)
        if "_maybe_log_completions" in line
    )
    methods = ("_maybe_log_completions", "_decode_log_content")
    with tempfile.TemporaryDirectory() as folder:
        trainer = getattr(source.take(file, *(f"{name}.{method}" for method in methods)), name)()
        trainer.args = SimpleNamespace(log_completions=True, output_dir=folder)
        trainer._format_log_prompt = lambda messages: messages[-1]["content"]  # a chat template is put around it there
        trainer._completions_writer = _writer(source, folder)
        samples = [SimpleNamespace(messages=[*a.messages, {"role": "assistant", "content": a.text}]) for a in ANSWERS]
        trainer._maybe_log_completions(samples, [a.reward for a in ANSWERS], STEP)
        return Path(folder, "completions.jsonl").read_bytes()


def _classes(path: Path) -> list[str]:
    """Each class with everything in it, its head first."""
    return ["class " + part for part in path.read_text(encoding="utf-8").split("\nclass ")[1:]]


def _writer(source: Source, folder: str) -> Any:

    taken = source.take(
        "swift/utils/io_utils.py",
        "JsonlWriter",
        is_master=lambda: True,
        is_last_rank=lambda: True,
        check_json_format=lambda x: x,
    )
    return taken.JsonlWriter(str(Path(folder, "completions.jsonl")))
