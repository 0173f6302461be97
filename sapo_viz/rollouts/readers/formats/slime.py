"""slime: `.pt` files of `--save-debug-train-data` and `--save-debug-rollout-data`.

Train data (THUDM/slime, slime/observability/train_data_utils.py): {rollout_id, rank, rollout_data: {column → a list
with one entry per sample}}, and since format_version 2 {rollout_id, rank, samples: [{column → entry}], …}. Columns:
tokens (prompt and response), response_lengths, loss_masks, rewards, and over the response log_probs, rollout_log_probs,
ref_log_probs, advantages. `rewards` are normalised within their group (slime/ray/rollout.py `_post_process_rewards`);
as they were given they are in raw_reward, of the whole rollout, in which a sample has its place by `partition` or
`rollout_position`.
Rollout data (slime/ray/rollout.py, slime/utils/types.py `Sample.to_dict`): {rollout_id, samples: [{group_index, index,
prompt (text or messages), tokens, response, response_length, reward (a number, or several under their names),
loss_mask, rollout_log_probs, remove_sample, …}]}. A sample with remove_sample gets a mask of zeros when training data
is made of it.

- `log_probs` become logprobs: the trainer's policy, just before the update.
- `rollout_log_probs` become old_logprobs: the sampler's (SGLang). Rollout data holds these alone; a train file without
  them holds the other alone, and the two files make a pair: they name a sample by the same index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from sapo_viz.errors import RolloutError
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
)
from sapo_viz.rollouts.readers.formats.messages import prompt_text
from sapo_viz.rollouts.readers.formats.pair import OnePolicy, OneSequence
from sapo_viz.rollouts.readers.formats.text_rows import Text, dump
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.texts import TextDump
from sapo_viz.rollouts.vocabulary import IDS_ONLY, placeholders

_NAMES = {"logprobs": "log_probs", "old_logprobs": "rollout_log_probs", "ref_logprobs": "ref_log_probs"}
_NAMES |= {"mask": "loss_masks"}
NORMALISED = "Rewards are those after slime's normalisation within a group: the file has no raw_reward for its samples."
REMOVED_TEXTS = "Samples that remove_sample takes out of the loss, left out"
REMOVED = "Samples that remove_sample takes out of the loss, masked out"
_SCHEDULE = ("micro_batch_indices", "num_microbatches", "global_batch_sizes", "raw_reward")  # not one entry per sample


def recognise_train(first: Mapping[str, Any]) -> bool:
    return "rollout_id" in first and ("rollout_data" in first or "dp_shards" in first)


def recognise_rollout(first: Mapping[str, Any]) -> bool:
    return "rollout_id" in first and isinstance(first.get("samples"), list) and "dp_shards" not in first


def read_train(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    _, document = next(items)
    rows = list(_train_rows(file, document))
    if not rows:
        raise RolloutError(f"{file}: there is no sample in it; give at least one.")
    step = Entry(file, "the file", document).number("rollout_id")
    new, old = rows[0].has("log_probs"), rows[0].has("rollout_log_probs")
    if not new and not old:
        raise RolloutError(
            f"{file}: this slime train dump has no log_probs; only ranks of the last pipeline stage save them, so take "
            "one of their files."
        )
    for row in rows:  # what is wrong with one is then wrong with the file
        _check_parallel(row)
    notes.say(IDS_ONLY)
    groups, pairs = Groups(), [(row.place, row.values) for row in rows]
    if new and old:
        notes.say(BEFORE_UPDATE)
        return each(file, pairs, notes, lambda row: [_record(row, step, groups, notes)])
    column = "log_probs" if new else "rollout_log_probs"
    numbers = count(1)
    sequences = tuple(each(file, pairs, notes, lambda row: [_one(row, next(numbers), column, step, groups, notes)]))
    return OnePolicy(file, "a slime train dump", sequences, notes.sentences())


def _train_rows(file: str, document: Mapping[str, Any]) -> Iterator[Entry]:
    if "samples" in document:
        rows = Entry(file, "the file", document).objects("samples")
        raw = document.get("raw_reward")
        for index, row in enumerate(rows):
            at = row.values.get("rollout_position")
            yield Entry(file, row.place, {**row.values, **_raw_reward(raw, index, at, len(rows))})
        return
    data = Entry(file, "the file", document).inner("rollout_data").values
    lengths = data.get("response_lengths")
    if not isinstance(lengths, (list, tuple, np.ndarray)):
        raise RolloutError(f"{file}: response_lengths is {shown(lengths)}; it takes a list with one entry a sample.")
    columns = {k: v for k, v in data.items() if k not in _SCHEDULE and _is_column(v, len(lengths))}
    raw, places = data.get("raw_reward"), columns.get("partition", [None] * len(lengths))
    for index in range(len(lengths)):
        own = {key: column[index] for key, column in columns.items()}
        yield Entry(file, f"sample {index + 1}", own | _raw_reward(raw, index, places[index], len(lengths)))


def _raw_reward(raw: Any, index: int, place: Any, rows: int) -> dict[str, Any]:
    """The reward as it was given, out of those of the whole rollout; nothing where a sample's place is not known."""
    at = place if place is not None else index if isinstance(raw, (list, tuple)) and len(raw) == rows else None
    known = isinstance(raw, (list, tuple)) and type(at) is int and 0 <= at < len(raw)
    return {"raw_reward": raw[at]} if known else {}


def _is_column(value: Any, length: int) -> bool:
    return isinstance(value, (list, tuple, np.ndarray)) and len(value) == length


def _response(row: Entry, length_name: str, mask_name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Token ids of the prompt and of the response, and the response's mask."""
    ids = row.ids("tokens")
    length = row.number(length_name)
    if length is None or not length.is_integer() or not 0 <= length <= len(ids):
        row.fail(f"{length_name} is {shown(length)}; it takes a whole number up to the {len(ids):,} tokens")
    cut = len(ids) - int(length)
    size = int(length)
    mask = row.flags(mask_name, size, length_name) if row.has(mask_name) else np.ones(size, dtype=bool)
    return ids[:cut], ids[cut:], mask


def _check_parallel(row: Entry) -> None:
    """With context parallelism, older versions save each rank's part only."""
    length = row.whole("response_lengths")
    for name in ("log_probs", "rollout_log_probs"):
        if row.has(name) and length is not None and len(row.entries(name)) != length:
            row.fail(
                f"{name} has {len(row.entries(name)):,} entries for a response of {length:,} tokens, as with context "
                "parallelism; save it with a slime that puts the parts together (format_version 2)"
            )


def _column(row: Entry, name: str, length: int) -> np.ndarray:
    """[T] over the response."""
    return row.numbers(name, length, "the response's tokens")


def _record(row: Entry, step: float | None, groups: Groups, notes: Notes) -> Record:
    prompt, ids, mask = _response(row, "response_lengths", "loss_masks")
    new, old = _column(row, "log_probs", len(ids)), _column(row, "rollout_log_probs", len(ids))
    values: dict[str, Any] = {
        "tokens": placeholders(ids),
        "token_ids": ids,
        "logprobs": new,
        "old_logprobs": old,
        "mask": finite_mask(mask, notes, new, old).astype(np.float64),
        "advantages": _column(row, "advantages", len(ids)) if row.has("advantages") else None,
        "ref_logprobs": _column(row, "ref_log_probs", len(ids)) if row.has("ref_log_probs") else None,
        "reward": _given_reward(row, notes),
        "group": groups.of(prompt),
        "id": _index(row, "sample_index", "sample_indices"),
        "step": step,
    }
    return NamedRecord(row.file, row.place, values, names=_NAMES)


def _given_reward(row: Entry, notes: Notes) -> float | None:
    if row.has("raw_reward"):
        return row.number("raw_reward")
    if row.has("rewards"):
        notes.say(NORMALISED)
    return row.number("rewards")


def _index(row: Entry, *names: str) -> str | None:
    number = next((row.number(name) for name in names if row.has(name)), None)
    return None if number is None else str(int(number))


def _one(row: Entry, number: int, column: str, step: float | None, groups: Groups, notes: Notes) -> OneSequence:
    prompt, ids, mask = _response(row, "response_lengths", "loss_masks")
    logprobs = _column(row, column, len(ids))
    return OneSequence(
        id=_index(row, "sample_index", "sample_indices") or str(number),
        tokens=tuple(placeholders(ids)),
        logprobs=logprobs,
        mask=finite_mask(mask, notes, logprobs),
        token_ids=ids,
        advantages=_column(row, "advantages", len(ids)) if row.has("advantages") else None,
        reward=_given_reward(row, notes),
        group=groups.of(prompt),
        step=None if step is None else int(step),
    )


def read_rollout(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    _, document = next(items)
    whole = Entry(file, "the file", document)
    rows, step = whole.objects("samples"), whole.number("rollout_id")
    if not rows:
        raise RolloutError(f"{file}: there is no sample in it; give at least one.")
    groups = Groups()
    drawn = any(row.has("rollout_log_probs") for row in rows)
    kept = [row for row in rows if row.values.get("remove_sample") is not True]
    texts = _texts(file, rows, groups, step) if kept or not drawn else None
    if not drawn:
        assert texts is not None
        return texts
    notes.say(IDS_ONLY)
    numbers, pairs = count(1), [(row.place, row.values) for row in rows]
    sequences = tuple(
        each(file, pairs, notes, lambda row: [_sampled(row, next(numbers), _group(row, groups), step, notes)])
    )
    return OnePolicy(file, ROLLOUT.name, sequences, notes.sentences(), texts)


def _group(row: Entry, groups: Groups) -> str:
    index = _index(row, "group_index")
    return groups.of(_response(row, "response_length", "loss_mask")[0]) if index is None else index


def _sampled(row: Entry, number: int, group: str, step: float | None, notes: Notes) -> OneSequence:
    _, ids, mask = _response(row, "response_length", "loss_mask")
    logprobs = _column(row, "rollout_log_probs", len(ids))
    if row.values.get("remove_sample") is True:
        notes.count(REMOVED)
        mask = np.zeros_like(mask)
    return OneSequence(
        id=_index(row, "index") or str(number),
        tokens=tuple(placeholders(ids)),
        logprobs=logprobs,
        mask=finite_mask(mask, notes, logprobs),
        token_ids=ids,
        reward=row.number("reward"),
        group=group,
        prompt=prompt_text(row, "prompt", Notes()) if row.has("prompt") else None,
        step=None if step is None else int(step),
    )


def _texts(file: str, rows: Sequence[Entry], groups: Groups, step: float | None) -> TextDump:
    """What the file holds as texts, for models to score. Prompts may be messages, with images marked."""
    whole = None if step is None else int(step)

    def take(row: Entry) -> Iterator[Text]:
        if row.values.get("remove_sample") is True:
            said.count(REMOVED_TEXTS)
            return
        prompt = prompt_text(row, "prompt", said)
        yield Text(prompt, row.text("response"), row.number("reward"), whole, group=_group(row, groups))

    said = Notes()
    return dump(file, ROLLOUT.name, each(file, [(row.place, row.values) for row in rows], said, take), said)


TRAIN = Format(
    name="slime train dump",
    framework="slime",
    file="--save-debug-train-data *.pt",
    docs="https://github.com/THUDM/slime/blob/main/docs/en/developer_guide/debug.md",
    kind="torch",
    holds="both policies",
    marks=("rollout_id",),
    taken="`log_probs` (trainer before the update) → logprobs, `rollout_log_probs` (sampler) → old_logprobs",
    recognise=recognise_train,
    read=read_train,
)
ROLLOUT = Format(
    name="a slime rollout dump",
    framework="slime",
    file="--save-debug-rollout-data *.pt",
    docs="https://github.com/THUDM/slime/blob/main/docs/en/developer_guide/debug.md",
    kind="torch",
    holds="one policy",
    marks=("rollout_id", "samples"),
    taken="`rollout_log_probs`, the sampler's; without them its texts",
    recognise=recognise_rollout,
    read=read_rollout,
)
