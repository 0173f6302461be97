"""prime-rl: `token_exports/step_*/rank_*.jsonl`, one line per sequence, written when `enable_token_export` is on.

Fields as src/prime_rl/trainer/rl/token_export.py of PrimeIntellect-ai/prime-rl writes them (schema_version 1):
step, rank, token_ids, loss_mask, advantages, inference_logprobs, trainer_logprobs, entropy, rl_weights, ce_weights, …
(earlier also rewards) with null for what is not finite or not there. All per-token lists are aligned with token_ids.

Tokens whose `rl_weights` are 0 are trained by another loss (cross-entropy on given text): there is no policy gradient,
so they are masked out. A null there is the default, 1.

- `trainer_logprobs` become logprobs: the forward pass of the very loss.
- `inference_logprobs` become old_logprobs: the sampler's; prime-rl's own ratio is the quotient of these two.
- Inference samples step n with the weights of step max(0, n − 1) (docs/algorithms.md, "Async / Off-Policy Training"),
  so at step 0, and surely only there, both are of the same weights: no update was made before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.base import (
    Entry,
    Format,
    Groups,
    Item,
    NamedRecord,
    Notes,
    each,
    finite_mask,
    listed,
    response,
)
from sapo_viz.rollouts.record import Record
from sapo_viz.rollouts.vocabulary import IDS_ONLY, placeholders

_NAMES = {"logprobs": "trainer_logprobs", "old_logprobs": "inference_logprobs", "mask": "loss_mask"}
FIRST_STEP = (
    "Step 0 is before the first update: sampler and trainer have the same weights, and what differs is mismatch."
)
NO_RL = "Sequences without an advantage (their loss is not the policy's), left out"

OTHER_LOSS = "Tokens whose rl_weights are 0 (trained by cross-entropy or not at all), masked out"
WEIGHTED = "Tokens with rl_weights other than 0 and 1, which are not applied here"


def recognise(first: Mapping[str, Any]) -> bool:
    return {"inference_logprobs", "trainer_logprobs"} <= first.keys()


def read(file: str, items: Iterator[Item], notes: Notes) -> Iterator[Record]:
    notes.say(IDS_ONLY)
    groups = Groups()
    yield from each(file, items, notes, lambda row: _records(row, groups, notes), ("token_ids",))


def _records(row: Entry, groups: Groups, notes: Notes) -> Iterator[Record]:
    ids = row.ids("token_ids")
    length = len(ids)
    mask = row.flags("loss_mask", length)
    new = row.numbers("trainer_logprobs", length)
    old = row.numbers("inference_logprobs", length)
    advantages = _credit(row, length)
    part = response(mask)
    if length and np.isnan(advantages).all():
        notes.count(NO_RL)
        return
    rewards = row.numbers("rewards", length)[part] if row.has("rewards") else np.array([])
    rewards = rewards[np.isfinite(rewards)]
    if row.has("rl_weights"):
        weights = row.numbers("rl_weights", length)
        notes.count(OTHER_LOSS, int((mask & (weights == 0)).sum()))
        notes.count(WEIGHTED, int((mask & np.isfinite(weights) & (weights != 0) & (weights != 1)).sum()))
        mask = mask & (weights != 0)
    step = row.whole("step")
    if step == 0:
        notes.say(FIRST_STEP)
    run, index = row.values.get("run_id"), row.values.get("export_sequence_idx")
    values = {
        "tokens": placeholders(ids[part]),
        "token_ids": ids[part],
        "logprobs": new[part],
        "old_logprobs": old[part],
        "mask": finite_mask(mask, notes, new, old)[part].astype(np.float64),
        "advantages": np.where(mask, advantages, np.nan_to_num(advantages))[part],
        "reward": float(rewards[0]) if len(rewards) else None,
        "group": groups.of(ids[: part.start]),
        "id": None if index is None else f"{run} {index}" if isinstance(run, str) else str(index),
        "step": step,
    }
    yield NamedRecord(row.file, row.place, values, names=_NAMES, start=part.start)


def _credit(row: Entry, length: int) -> np.ndarray:
    """[T] advantages; NaN where there is none, and one for all where it is a number."""
    if isinstance(listed(row.values.get("advantages")), (list, np.ndarray)):
        return row.numbers("advantages", length)
    alone = row.number("advantages")
    return np.full(length, np.nan if alone is None else alone)


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
