"""TRL: the completions that `GRPOTrainer.log` writes, with one reward function and with two of which one gave none."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scripts.format_writers.answers import ANSWERS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "TRL"
FUNCTION = "trl/trainer/grpo_trainer.py GRPOTrainer.log"


class _Trainer:
    def log(self, *_: Any) -> None:
        """Of the Hugging Face trainer: nothing is logged here."""


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    rewards = [a.reward for a in ANSWERS]
    texts = [a.prompt for a in ANSWERS], [a.text for a in ANSWERS]
    yield "trl-completions_00005.parquet", FUNCTION, _log(source, *texts, {"accuracy": rewards})
    both = {"accuracy": rewards, "format": [0.5, math.nan, 0.5, 0.0]}
    image = {"type": "image", "image": "pixels"}
    asked = [[{"role": "user", "content": [image, {"type": "text", "text": a.prompt}]}] for a in ANSWERS]
    chat = asked, [[{"role": "assistant", "content": a.text}] for a in ANSWERS]
    yield "trl-chat-completions_00005.parquet", FUNCTION, _log(source, *chat, both)


def _log(source: Source, prompts: Any, completions: Any, rewards: dict[str, list[float]]) -> bytes:
    strip = source.take("trl/trainer/utils.py", "strip_images_from_messages").strip_images_from_messages
    taken = source.take(
        "trl/trainer/grpo_trainer.py",
        "GRPOTrainer.log",
        strip_images_from_messages=strip,
        bases=["_Trainer"],
        _Trainer=_Trainer,
        is_rich_available=lambda: False,
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "completions").mkdir()
        trainer = taken.GRPOTrainer()
        trainer.model = SimpleNamespace(training=True)
        trainer.state = SimpleNamespace(global_step=STEP)
        trainer.accelerator = SimpleNamespace(is_main_process=True)
        trainer.args = SimpleNamespace(report_to=[], output_dir=folder)
        trainer.log_completions, trainer._metrics = True, {"train": {}}
        trainer._logs = {
            "prompt": prompts,
            "completion": completions,
            "rewards": rewards,
            "extra": {},
            "images": [],
            "advantages": [a.advantage for a in ANSWERS],
        }
        trainer.log({})
        return Path(folder, "completions", f"completions_{STEP:05d}.parquet").read_bytes()
