"""The work that `make bench-trl` gives to both sides, and the arithmetic that it takes. Standard library only.

TRL's side runs in an environment without streamlit and plotly, so nothing of them is imported here.
"""

from __future__ import annotations

import json
import os
import random
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
POLICY = ROOT / "assets" / "policies" / "addition-start"

PROMPTS, COMPLETIONS, MINIBATCHES = 16, 16, 4
LENGTH = 32  # tokens of a completion at most
LEARNING_RATE, WARMUP, BETAS, CLIP = 2e-4, 8, (0.9, 0.95), 1.0


@dataclass
class Side:
    """What one side did in one run. One entry per rollout, which is followed by its updates."""

    side: str
    seed: int
    seconds: list[float] = field(default_factory=list)  # from one rollout's end of updates to the next one's
    processor: list[float] = field(default_factory=list)  # the same in processor time, which other work does not swell
    rewards: list[float] = field(default_factory=list)  # mean over the rollout
    sampled: list[float] = field(default_factory=list)  # tokens sampled
    trained: list[float] = field(default_factory=list)  # completion tokens of sequences with A ≠ 0
    sequences: list[float] = field(default_factory=list)  # how many these are

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Side:
        return cls(**json.loads(path.read_text(encoding="utf-8")))


class Clock:
    """Wall and processor time since the last call."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def lap(self, side: Side) -> None:
        now = Clock()
        side.seconds.append(now.wall - self.wall)
        side.processor.append(now.processor - self.processor)
        self.wall, self.processor = now.wall, now.processor


def prompts_of(seed: int, step: int) -> list[str]:
    """The prompts of a rollout: those that a run of the app with this seed gets at this step."""
    from sapo_viz.models.tasks import TASKS

    return TASKS["addition"].sample_prompts(PROMPTS, random.Random(f"{seed}/{step}"))


def pin(threads: int) -> None:
    """So many cores for this process, and as many threads of torch."""
    import torch

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    torch.set_num_threads(threads)


def useful_flops(side: Side) -> float:
    """Multiplications and additions that the run could not do without.

    A token's forward pass: 2 for each weight of a matrix, and 4 · heads · head size for each position that it looks
    at. A prompt is read once and each sampled token but the last goes through once; sequences whose advantage is
    not 0 go through forward and backward, which is three times a forward pass. What a side does beyond that (prompts
    read again for each completion, a pass for old log-probs, sequences without gradient) counts as time, not as work.
    """
    config = json.loads((POLICY / "config.json").read_text(encoding="utf-8"))
    prompt = len(prompts_of(0, 1)[0])
    steps = len(side.seconds)
    per_token, per_position = _forward(config)

    def forward(tokens: float, sequences: float) -> float:
        positions = tokens * (tokens / sequences + 1) / 2 if sequences else 0.0  # causal: each looks back
        return tokens * per_token + positions * per_position

    everyone = steps * PROMPTS * COMPLETIONS
    reading = forward(steps * PROMPTS * prompt, steps * PROMPTS)
    sampled = sum(side.sampled)
    shared = everyone * prompt * (prompt + 1) / 2 * per_position  # of a sequence's positions, the prompt's own
    sampling = forward(sampled - everyone + everyone * prompt, everyone) - everyone * prompt * per_token - shared
    trained_sequences = sum(side.sequences)
    training = 3 * forward(sum(side.trained) + trained_sequences * (prompt - 1), trained_sequences)
    return reading + sampling + training


def _forward(config: dict[str, Any]) -> tuple[float, float]:
    """Of one token through the whole model: by its matrices, and for each position that it looks at."""
    hidden, heads, size = config["hidden_size"], config["num_attention_heads"], config["head_dim"]
    attention = hidden * size * (2 * heads + 2 * config["num_key_value_heads"])
    layer = attention + 3 * hidden * config["intermediate_size"]
    weights = config["num_hidden_layers"] * layer + hidden * config["vocab_size"]
    return 2.0 * weights, 4.0 * heads * size * config["num_hidden_layers"]
