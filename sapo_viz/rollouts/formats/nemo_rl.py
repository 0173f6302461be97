"""NeMo-RL: `train_data_step*.jsonl`, one line a sample, prompt and response padded to the batch's longest.

Written by `log_batched_dict_as_jsonl` (NVIDIA-NeMo/RL, nemo_rl/utils/logger.py) from the `log_data` of
nemo_rl/algorithms/grpo.py: content, rewards, input_lengths, token_ids, token_loss_mask, sample_loss_mask,
advantages, generation_logprobs, prev_logprobs, idx. All per-token lists are aligned with token_ids. `content` is a list
with the text of each message.

Older versions write content, rewards, generation_logprobs, prev_logprobs, input_lengths, idx and perhaps one advantage
a sample; nemo_rl/algorithms/grpo_sync.py leaves token_ids out where it does not have them any more. Their tokens are
shown by their places, and without token_loss_mask the response is where generation_logprobs is not 0: grpo.py puts 0
for every token that was not generated.

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
PLACES = "The file holds no token_ids, so a token is shown by its place in the sequence, ⟨#1⟩."
GENERATED = (
    "The file holds no token_loss_mask, so the response is taken to be where generation_logprobs is not 0; tokens "
    "sampled with probability 1 are masked out with the rest."
)


def recognise(first: Mapping[str, Any]) -> bool:
    return {"generation_logprobs", "prev_logprobs"} <= first.keys()


def read(file: str, items: Iterator[Item], notes: Notes) -> Iterator[Record]:
    notes.say(BEFORE_UPDATE)
    groups = Groups()
    for place, values in items:
        yield _record(Row(file, place, values), groups, notes)


def _record(row: Row, groups: Groups, notes: Notes) -> Record:
    ids = row.ids("token_ids") if row.has("token_ids") else None
    notes.say(PLACES if ids is None else IDS_ONLY)
    of = "prev_logprobs" if ids is None else "token_ids"
    length = len(row.entries(of))
    new = row.numbers("prev_logprobs", length, of)
    old = row.numbers("generation_logprobs", length, of)
    if row.has("token_loss_mask") or ids is not None:
        mask = row.flags("token_loss_mask", length, of)
    else:
        notes.say(GENERATED)
        mask = old != 0
    whole = slice(0, _real_length(row, length, of))
    mask, new, old = mask[whole], new[whole], old[whole]
    part = response(mask)
    if row.number("sample_loss_mask") == 0:
        notes.count(UNTRAINED)
        mask = np.zeros_like(mask)
    prompt = _prompt(row)
    group = prompt if ids is None else ids[: part.start]
    values: dict[str, Any] = {
        "tokens": [f"⟨#{n + 1}⟩" for n in range(len(new))[part]] if ids is None else placeholders(ids[whole][part]),
        "token_ids": None if ids is None else ids[whole][part],
        "logprobs": new[part],
        "old_logprobs": old[part],
        "mask": finite_mask(mask, notes, new, old)[part].astype(np.float64),
        "reward": row.number("rewards"),
        "group": None if group is None else groups.of(group),
        "prompt": prompt,
        "id": row.values.get("idx"),
    }
    if isinstance(row.values.get("advantages"), (list, np.ndarray)):
        values["advantages"] = row.numbers("advantages", length, of)[whole][part]
    else:
        values["advantage"] = row.number("advantages")
    return NamedRecord(row.file, row.place, values, names=_NAMES, start=part.start)


def _prompt(row: Row) -> str | None:
    """The first message, where `content` holds the messages one by one."""
    content = row.values.get("content")
    first = content[0] if isinstance(content, list) and len(content) > 1 else None
    return first if isinstance(first, str) else None


def _real_length(row: Row, length: int, of: str) -> int:
    """Tokens before the padding on the right."""
    if not row.has("input_lengths"):
        return length
    number = row.number("input_lengths")
    if number is None or not number.is_integer() or not 0 <= number <= length:
        row.fail(f"input_lengths is {number:g}; it takes a whole number up to the {length:,} entries of {of}")
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
