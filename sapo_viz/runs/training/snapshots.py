"""Token snapshots: a step's sequences in the project's rollout schema, one JSON object per line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapo_viz.models.policy import Policy
from sapo_viz.models.rollout import Rollout
from sapo_viz.runs.folder.store import write_whole

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 256  # sequences in a snapshot, first groups first: what the default rollout has, about 250 kB


def token_rows(
    policy: Policy,
    rollout: Rollout,
    logprobs: Tensor,  # [B, T], after the step's updates
    old_logprobs: Tensor,  # [B, T]
    advantages: Tensor,  # [B]
    rewards: Tensor,  # [B]
    step: int,
) -> list[dict[str, Any]]:
    """One object for each of the rollout's first sequences, cut at its end symbol, so that no mask is needed.

    With pictures the prompt's tokens stand before it, under a mask of 0: among them are the pictures' places.
    """
    rows = []
    for index, length in enumerate(rollout.mask.sum(1).tolist()):
        ids = rollout.ids[index, :length].tolist()
        group, member = divmod(index, rollout.completions)
        given: dict[str, Any] = {}
        if rewards[index].isfinite():  # the owner's may give none
            given["reward"] = float(rewards[index])
        before: list[int] = []
        if rollout.pictures:
            there = slice(None) if rollout.prompt_mask is None else rollout.prompt_mask[index].bool()
            before = rollout.prompt_ids[index, there].tolist()
            given["mask"] = [0] * len(before) + [1] * length
        nothing = [0.0] * len(before)  # log-probs that nobody reads
        rows.append(
            {
                "id": f"step{step}-group{group}-{member}",
                "step": step,
                "group": group,
                "prompt": rollout.prompts[group],
                "tokens": policy.texts(before + ids),
                "token_ids": before + ids,
                "logprobs": nothing + _numbers(logprobs[index, :length]),
                "old_logprobs": nothing + _numbers(old_logprobs[index, :length]),
                "advantage": round(float(advantages[index]), 6),
            }
            | given
        )
    return rows


def _numbers(logprobs: Tensor) -> list[float]:
    """Six decimals; rounding in float32 may leave 1e-7 above 0, where no log-prob can be."""
    return [min(round(value, 6), 0.0) for value in logprobs.tolist()]


def write_snapshot(folder: Path, step: int, rows: list[dict[str, Any]]) -> str:
    """`tokens/step-00012.jsonl` in the run's folder; its path relative to it."""
    path = folder / "tokens" / f"step-{step:05d}.jsonl"
    path.parent.mkdir(exist_ok=True)
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return f"tokens/{path.name}"
