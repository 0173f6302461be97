"""Token snapshots: a step's sequences in the project's rollout schema, one JSON object a line."""

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
    """One object for each of the rollout's first sequences, cut at its end symbol, so that no mask is needed."""
    rows = []
    for index, length in enumerate(rollout.mask.sum(1).tolist()):
        ids = rollout.ids[index, :length].tolist()
        group, member = divmod(index, rollout.completions)
        given = {"reward": float(rewards[index])} if rewards[index].isfinite() else {}  # the owner's may give none
        rows.append(
            {
                "id": f"step{step}-group{group}-{member}",
                "step": step,
                "group": group,
                "prompt": rollout.prompts[group],
                "tokens": policy.texts(ids),
                "token_ids": ids,
                "logprobs": _numbers(logprobs[index, :length]),
                "old_logprobs": _numbers(old_logprobs[index, :length]),
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
