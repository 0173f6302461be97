"""UNIPO: `build` of its build script, which publishes a log's steps and, without prompts, its metrics."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.format_writers.answers import GROUPS, STEP, Answer
from scripts.format_writers.source import Source

FRAMEWORK = "UNIPO"
FUNCTION = "scripts/build_data.py build"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    names = ("build", "sanitize_key", "clean_step_dir", "normalize_prompts")
    with tempfile.TemporaryDirectory() as folder:
        static = Path(folder)
        taken = source.take("scripts/build_data.py", *names, STATIC_DIR=static, update_algos=lambda key: None)
        prompts = [{"prompt": group[0].prompt, "responses": list(map(_response, group))} for group in GROUPS]
        header = {"algorithm": "grpo", "model_name": "made-up", "hparams": {"clip_eps": 0.2}, "__blueprint__": None}
        taken.build(header, [{"step": STEP, "metrics": {"reward": 0.5}, "prompts": prompts}])
        yield "unipo.json", FUNCTION, (static / "grpo" / f"step-{STEP}.json").read_bytes()
        yield "unipo-grpo_metrics.json", FUNCTION, (static / "grpo_metrics.json").read_bytes()


def _response(a: Answer) -> dict[str, Any]:
    tokens = {
        "ids": list(a.ids), "strings": list(a.tokens), "log_probs": list(a.trainer), "old_log_probs": list(a.sampler),
        "ref_log_probs": list(a.sampler), "advantages": [a.advantage] * len(a.ids),
    }  # fmt: skip
    return {
        "id": f"sample{a.ids[0]}",
        "reward": a.reward,
        "advantage": a.advantage,
        "response_text": a.text,
        "tokens": tokens,
    }
