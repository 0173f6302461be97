"""NeMo-RL: `train_data_step*.jsonl`, one line a sample, prompt and response padded to the batch's longest.

Written by `log_batched_dict_as_jsonl` (NVIDIA-NeMo/RL, nemo_rl/utils/logger.py) from the `log_data` of
nemo_rl/algorithms/grpo.py: content, rewards, input_lengths, token_ids, token_loss_mask, sample_loss_mask,
advantages, generation_logprobs, prev_logprobs, idx. All per-token lists are aligned with token_ids.

- `prev_logprobs` become logprobs: the trainer's policy, taken just before the update of this step. NeMo's
  loss uses them as its π_old, but the file holds no later ones.
- `generation_logprobs` become old_logprobs: the sampler that made the tokens, which is what π_old means here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapo_viz.rollouts.formats.base import (
    BEFORE_UPDATE,
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

_NAMES = {"logprobs": "prev_logprobs", "old_logprobs": "generation_logprobs", "mask": "token_loss_mask"}
UNTRAINED = "Sequences that sample_loss_mask takes out of the loss"


def recognise(first: Mapping[str, Any]) -> bool:
    return {"generation_logprobs", "prev_logprobs"} <= first.keys()


def read(file: str, items: Iterator[Item], notes: Notes) -> Iterator[Record]:
    notes.say(BEFORE_UPDATE)
    notes.say(IDS_ONLY)
    groups = Groups()
    for place, values in items:
        yield _record(Row(file, place, values), groups, notes)


def _record(row: Row, groups: Groups, notes: Notes) -> Record:
    if not row.has("token_ids"):
        row.fail("token_ids is missing; older versions of NeMo-RL do not write it, so log the step with a newer one")
    ids = row.ids("token_ids")
    length = len(ids)
    mask = row.flags("token_loss_mask", length)
    new = row.numbers("prev_logprobs", length)
    old = row.numbers("generation_logprobs", length)
    whole = slice(0, _real_length(row, length))
    mask, ids, new, old = mask[whole], ids[whole], new[whole], old[whole]
    part = response(mask)
    if row.number("sample_loss_mask") == 0:
        notes.count(UNTRAINED)
        mask = np.zeros_like(mask)
    values: dict[str, Any] = {
        "tokens": placeholders(ids[part]),
        "token_ids": ids[part],
        "logprobs": new[part],
        "old_logprobs": old[part],
        "mask": finite_mask(mask, notes, new, old)[part].astype(np.float64),
        "reward": row.number("rewards"),
        "group": groups.of(ids[: part.start]),
        "id": row.values.get("idx"),
    }
    if isinstance(row.values.get("advantages"), (list, np.ndarray)):
        values["advantages"] = row.numbers("advantages", length)[whole][part]
    else:
        values["advantage"] = row.number("advantages")
    return NamedRecord(row.file, row.place, values, names=_NAMES, start=part.start)


def _real_length(row: Row, length: int) -> int:
    """Tokens before the padding on the right."""
    if not row.has("input_lengths"):
        return length
    number = row.number("input_lengths")
    if number is None or not number.is_integer() or not 0 <= number <= length:
        row.fail(f"input_lengths is {number:g}; it takes a whole number up to the {length:,} entries of token_ids")
    return int(number)


FORMAT = Format(
    name="NeMo-RL train data",
    framework="NeMo-RL",
    file="train_data_step*.jsonl",
    docs="https://github.com/NVIDIA-NeMo/RL/blob/main/nemo_rl/algorithms/grpo.py",
    kind="json",
    holds="both policies",
    marks=("generation_logprobs", "prev_logprobs"),
    taken="`prev_logprobs` (trainer before the update) → logprobs, `generation_logprobs` (sampler) → old_logprobs",
    recognise=recognise,
    read=read,
)
