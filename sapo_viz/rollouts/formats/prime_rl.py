"""prime-rl: `token_exports/step_*/rank_*.jsonl`, one line a sequence, written when `enable_token_export` is on.

Fields as src/prime_rl/trainer/rl/token_export.py of PrimeIntellect-ai/prime-rl writes them (schema_version 1):
step, rank, token_ids, loss_mask, advantages, rewards, inference_logprobs, trainer_logprobs, entropy, … with null
for what is not finite or not there. All per-token lists are aligned with token_ids.

- `trainer_logprobs` become logprobs: the forward pass of the very loss.
- `inference_logprobs` become old_logprobs: the sampler's; prime-rl's own ratio is the quotient of these two.
- Inference samples step n with the weights of step max(0, n − 1) (docs/algorithms.md, "Async / Off-Policy Training"),
  so at step 0, and surely only there, both are of the same weights: no update was made before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapo_viz.rollouts.formats.base import (
    IDS_ONLY,
    Format,
    Groups,
    Item,
    NamedRecord,
    Notes,
    Row,
    finite_mask,
    placeholders,
    response,
)
from sapo_viz.rollouts.record import Record

_NAMES = {"logprobs": "trainer_logprobs", "old_logprobs": "inference_logprobs", "mask": "loss_mask"}
FIRST_STEP = (
    "Step 0 is before the first update: sampler and trainer have the same weights, and what differs is mismatch."
)
NO_RL = "Sequences without an advantage (their loss is not the policy's), left out"


def recognise(first: Mapping[str, Any]) -> bool:
    return {"inference_logprobs", "trainer_logprobs"} <= first.keys()


def read(file: str, items: Iterator[Item], notes: Notes) -> Iterator[Record]:
    notes.say(IDS_ONLY)
    groups = Groups()
    for place, values in items:
        record = _record(Row(file, place, values), groups, notes)
        if record is not None:
            if record.values["step"] == 0:
                notes.say(FIRST_STEP)
            yield record


def _record(row: Row, groups: Groups, notes: Notes) -> Record | None:
    ids = row.ids("token_ids")
    length = len(ids)
    mask = row.flags("loss_mask", length)
    new = row.numbers("trainer_logprobs", length)
    old = row.numbers("inference_logprobs", length)
    advantages = row.numbers("advantages", length)
    part = response(mask)
    if length and np.isnan(advantages).all():
        notes.count(NO_RL)
        return None
    rewards = row.numbers("rewards", length)[part] if row.has("rewards") else np.array([])
    rewards = rewards[np.isfinite(rewards)]
    run, index = row.values.get("run_id"), row.values.get("export_sequence_idx")
    values = {
        "tokens": placeholders(ids[part]),
        "token_ids": ids[part],
        "logprobs": new[part],
        "old_logprobs": old[part],
        "mask": finite_mask(mask, notes, new, old)[part].astype(np.float64),
        "advantages": advantages[part],
        "reward": float(rewards[0]) if len(rewards) else None,
        "group": groups.of(ids[: part.start]),
        "id": None if index is None else f"{run} {index}" if isinstance(run, str) else str(index),
        "step": row.number("step"),
    }
    return NamedRecord(row.file, row.place, values, names=_NAMES, start=part.start)


FORMAT = Format(
    name="prime-rl token export",
    framework="prime-rl",
    file="token_exports/step_*/rank_*.jsonl",
    docs="https://github.com/PrimeIntellect-ai/prime-rl/blob/main/src/prime_rl/trainer/rl/token_export.py",
    kind="json",
    holds="both policies",
    marks=("inference_logprobs", "trainer_logprobs"),
    taken="`trainer_logprobs` → logprobs, `inference_logprobs` → old_logprobs",
    recognise=recognise,
    read=read,
    same_weights=lambda rollouts: all(step == 0 for step in rollouts.steps),
)
