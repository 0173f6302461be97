"""The recorder's own code, loaded by its path, and small runs that it records: no framework, no training."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

ROOT = Path(__file__).parents[2]


def load_recorder() -> ModuleType:
    if "sapo_recorder" in sys.modules:
        return sys.modules["sapo_recorder"]
    spec = importlib.util.spec_from_file_location("sapo_recorder", ROOT / "recorder" / "sapo_recorder.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["sapo_recorder"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def batch(recorder: ModuleType, seed: int = 0, **more: Any) -> Any:
    """6 sequences of up to 9 tokens in two groups; one has no response token."""
    draw = torch.Generator().manual_seed(seed)
    old = -torch.rand(6, 9, generator=draw) * 3 - 0.3
    lengths = torch.tensor([9, 4, 0, 7, 1, 9])
    values: dict[str, Any] = dict(
        logprobs=(old + torch.randn(6, 9, generator=draw) * 0.6).clamp(max=-0.01),
        old_logprobs=old,
        sampler_logprobs=old + 0.25,
        advantages=torch.tensor([1.0, -1.0, 0.5, 0.0, -2.0, 1.5]),
        rewards=torch.tensor([1.0, 0.0, 0.5, 0.5, 0.25, float("nan")]),
        groups=torch.tensor([0, 0, 0, 1, 1, 1]) + 7_000_000,
        mask=(torch.arange(9) < lengths[:, None]).long(),
        ids=torch.arange(54).view(6, 9),
        prompt_ids=torch.tensor([[0, 65, 66]] * 6),
        prompt_mask=torch.tensor([[0, 1, 1]] * 6),
    )
    return recorder.Batch(**{**values, **more})


class Letters:
    """A tokenizer as far as the recorder needs one."""

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(65 + token % 26) for token in ids)


def made(recorder: ModuleType, folder: Path, **more: Any) -> Any:
    loss = recorder.Loss("sapo", "token", "sapo", {"tau_pos": 1.0, "tau_neg": 1.05})
    usual: dict[str, Any] = dict(framework="test", version="1", loss=loss, every=2, tokenizer=Letters())
    return recorder.Recorder(folder, **{**usual, **more})


def record_run(
    folder: Path,
    steps: int = 4,
    *,
    rewards: float = 0.0,
    end: tuple[str, str, str] | None = ("finished", "trained", ""),
    **more: Any,
) -> Any:
    """A run of so many steps, a tenth of reward more at each; with `end=None` it goes on until the caller ends it."""
    recorder = load_recorder()
    run = made(recorder, folder, **more)
    run.begin()
    for step in range(1, steps + 1):
        run.add(batch(recorder, step, rewards=torch.full((6,), rewards + step / 10)))
        run.end_step(step)
    if end is not None:
        run.end(*end)
    assert run.active, run.reason
    return run
