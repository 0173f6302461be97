"""Weights for a sampler that is not the trainer, as TRL's and verl's own code compute them.

    python -m scripts.make_correction_golden --trl DIR --verl DIR

They go into tests/golden/corrections.json. DIR is the folder of an installed TRL, or a checkout of verl. TRL's lines
are in the middle of its trainer; they are taken from there and executed as they are, in a namespace that holds what
they read. Nothing is kept but numbers.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from scripts.make_golden import GOLDEN, functions, helpers

TRL_MODES = ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask")


def batch() -> dict[str, Tensor]:
    """5 sequences of up to 6 tokens: short, long, none, one that is far off, one of which the sampler gave not all."""
    draw = torch.Generator().manual_seed(7)
    mask = torch.tensor([[1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0] * 6, [1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 1, 0]])
    old = -3 * torch.rand(5, 6, generator=draw, dtype=torch.float64) - 0.1
    sampler = old + 0.5 * torch.randn(5, 6, generator=draw, dtype=torch.float64)
    sampler[3, 1] = old[3, 1] - 30.0  # beyond where exp is taken
    return {"old": old, "sampler": sampler, "mask": mask}


def trl(
    folder: Path, mode: str, low: float | None, high: float | None, old: Tensor, sampler: Tensor, mask: Tensor
) -> Any:
    source = (folder / "trainer/grpo_trainer.py").read_text(encoding="utf-8")
    wanted = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("self.vllm_importance_sampling_correction")
    ]
    [block] = [node for node in wanted if "invalid_mis_mask" in ast.unparse(node)]
    settings = {"mode": mode, "clip_min": low, "clip_max": high, "correction": True}
    trainer = SimpleNamespace(use_vllm=True, **{f"vllm_importance_sampling_{k}": v for k, v in settings.items()})
    given: dict[str, Any] = {"torch": torch, "math": math, "self": trainer, "tool_mask": None, "completion_mask": mask}
    given |= {"old_per_token_logps": old, "sampling_per_token_logps": sampler}
    exec(compile(ast.Module([block], []), "grpo_trainer.py", "exec"), given)
    return given["vllm_importance_sampling_ratio"]


def verl(folder: Path, level: str, threshold: str, old: Tensor, sampler: Tensor, mask: Tensor) -> Any:
    code = functions(
        folder / "verl/trainer/ppo/rollout_corr_helper.py",
        "compute_rollout_correction_weights",
        "_parse_rollout_is_threshold",
        verl_F=helpers(folder),
        SAFETY_BOUND=20.0,
        compute_is_metrics=lambda **_: {},
        Optional=None,
    )
    return code.compute_rollout_correction_weights(old - sampler, mask, level, threshold)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl", type=Path, required=True)
    parser.add_argument("--verl", type=Path, required=True)
    args = parser.parse_args()
    case, refs = batch(), {}

    def keep(key: str, weights: Tensor) -> None:
        refs[key] = torch.where(case["mask"].bool(), weights.expand(5, 6), 0.0).tolist()

    for mode in TRL_MODES:
        for low, high in ((None, 3.0), (0.5, 2.0)):
            keep(f"trl:{mode}:{low or 0.0}:{high}", trl(args.trl, mode, low, high, **case))
    for level in ("token", "sequence"):
        keep(f"verl:{level}_truncate:0.0:2.0", verl(args.verl, level, "2.0", **case))
        keep(f"verl:{level}_mask:0.5:2.0", verl(args.verl, level, "0.5_2.0", **case))
    # TRL alone has an answer to a sampler that gave none.
    gap = case["sampler"].clone()
    gap[4, 2] = math.nan
    case["sampler_with_gap"] = gap
    inputs = {name: case[name] for name in ("old", "mask")} | {"sampler": gap}
    keep("trl:sequence_truncate:0.5:2.0:gap", trl(args.trl, "sequence_truncate", 0.5, 2.0, **inputs))
    told = {name: [[None if x != x else x for x in row] for row in tensor.tolist()] for name, tensor in case.items()}
    version = {"trl": "1.16.0", "verl": (args.verl / "verl/version/version").read_text().strip()}
    lines = ",\n  ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in refs.items())
    text = f'{{"sources": {json.dumps(version)},\n "batch": {json.dumps(told)},\n "refs": {{\n  {lines}\n }}}}\n'
    (GOLDEN / "corrections.json").write_text(text, encoding="utf-8")
    print(f"{len(refs)} entries")


if __name__ == "__main__":
    main()
