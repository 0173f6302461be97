"""NeMo-RL: `train_data_step*.jsonl`, one line per sample, prompt and response padded to the batch's longest.

Written by `log_batched_dict_as_jsonl` (NVIDIA-NeMo/RL, nemo_rl/utils/logger.py) from the `log_data` of
nemo_rl/algorithms/grpo.py and ppo.py: content, rewards, input_lengths, token_ids, token_loss_mask, sample_loss_mask,
advantages, generation_logprobs, prev_logprobs, idx. A line is a batch slice of one, so every value but idx is a list of
length 1. All per-token lists are aligned with token_ids. `content` is a list with the text of each message.

Under dynamic sampling `rewards` are those of the batch before prompts were filtered out; those of the rows are
`filtered_rewards`.

With `force_on_policy_ratio` the forward pass for prev_logprobs is skipped, and the file has zeros in their place: it
holds the sampler's log-probs alone.

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
from itertools import chain, islice
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.base import (
    BEFORE_UPDATE,
    Contents,
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
from sapo_viz.rollouts.readers.formats.messages import content as message_content
from sapo_viz.rollouts.readers.formats.pair import OnePolicy, one_of
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.vocabulary import IDS_ONLY, placeholders

_NAMES = {"logprobs": "prev_logprobs", "old_logprobs": "generation_logprobs", "mask": "token_loss_mask"}
_PER_TOKEN = ("token_ids", "generation_logprobs", "prev_logprobs")
_LOOK = 4  # lines
PLACEHOLDER = "prev_logprobs are zeros, a placeholder where their forward pass was skipped (force_on_policy_ratio)."
UNTRAINED = "Sequences that sample_loss_mask takes out of the loss"
PLACES = "The file holds no token_ids, so a token is shown by its place in the sequence, ⟨#1⟩."
GENERATED = (
    "The file holds no token_loss_mask, so the response is taken to be where generation_logprobs is not 0; tokens "
    "sampled with probability 1 are masked out with the rest."
)


def recognise(first: Mapping[str, Any]) -> bool:
    return {"generation_logprobs", "prev_logprobs"} <= first.keys()


def read(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    groups = Groups()
    head = list(islice(items, _LOOK))
    records = each(file, chain(head, items), notes, lambda row: [_record(row, groups, notes)], _PER_TOKEN)
    if _is_placeholder(head):
        notes.say(PLACEHOLDER)
        found = (
            one_of(record.values, str(record.values.get("id", number))) for number, record in enumerate(records, 1)
        )
        return OnePolicy(file, FORMAT.name, tuple(found), notes.sentences())
    notes.say(BEFORE_UPDATE)
    return records


def _is_placeholder(head: list[Item]) -> bool:
    """Whether the first lines have nothing but zeros for prev_logprobs, and other numbers for generation_logprobs."""
    new, old = (
        [number for _, values in head for number in _flat(values.get(name))]
        for name in ("prev_logprobs", "generation_logprobs")
    )
    return bool(new) and not any(new) and any(old)


def _flat(value: Any) -> Iterator[Any]:
    for one in value if isinstance(value, list) else ():
        if isinstance(one, list):
            yield from one
        else:
            yield one


def _record(row: Entry, groups: Groups, notes: Notes) -> Record:
    ids = row.ids("token_ids") if row.has("token_ids") else None
    notes.say(PLACES if ids is None else IDS_ONLY)
    of = "prev_logprobs" if ids is None else "token_ids"
    length = len(row.entries(of))
    new = row.numbers("prev_logprobs", length, of)
    old = row.numbers("generation_logprobs", length, of)
    if row.has("token_loss_mask"):
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
        "reward": row.number("filtered_rewards" if "filtered_rewards" in row.values else "rewards"),
        "group": None if group is None else groups.of(group),
        "prompt": prompt,
        "id": row.values.get("idx"),
    }
    if isinstance(listed(row.values.get("advantages")), (list, np.ndarray)):
        values["advantages"] = row.numbers("advantages", length, of)[whole][part]
    else:
        values["advantage"] = row.number("advantages")
    return NamedRecord(row.file, row.place, values, names=_NAMES, start=part.start)


def _prompt(row: Entry) -> str | None:
    """The first message, where `content` holds the messages one by one."""
    content = row.values.get("content")
    first = content[0] if isinstance(content, list) and len(content) > 1 else None
    if isinstance(first, list):  # blocks of text and images
        return message_content(Entry(row.file, row.place, {"content": first}), Notes())
    return first if isinstance(first, str) else None


def _real_length(row: Entry, length: int, of: str) -> int:
    """Tokens before the padding on the right."""
    if not row.has("input_lengths"):
        return length
    number = row.number("input_lengths")
    if number is None or not number.is_integer() or not 0 <= number <= length:
        said = shown(row.values["input_lengths"])
        row.fail(f"input_lengths is {said}; it takes a whole number up to the {length:,} entries of {of}")
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
