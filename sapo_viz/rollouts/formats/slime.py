"""slime: `.pt` files of `--save-debug-train-data` and `--save-debug-rollout-data`.

Train data (THUDM/slime, slime/utils/train_dump_utils.py): {rollout_id, rank, rollout_data: {column → a list with one
entry a sample}}, and since format_version 2 {rollout_id, rank, samples: [{column → entry}], …}. Columns: tokens (prompt
and response), response_lengths, loss_masks, rewards, and over the response log_probs, rollout_log_probs,
ref_log_probs, advantages.
Rollout data (slime/ray/rollout.py, slime/utils/types.py `Sample.to_dict`): {rollout_id, samples: [{group_index, index,
prompt, tokens, response, response_length, reward, loss_mask, rollout_log_probs, …}]}.

- `log_probs` become logprobs: the trainer's policy, just before the update.
- `rollout_log_probs` become old_logprobs: the sampler's (SGLang). Rollout data holds these alone; a train file without
  them holds the other alone, and the two files make a pair: they name a sample by the same index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.formats.base import (
    BEFORE_UPDATE,
    IDS_ONLY,
    Contents,
    Format,
    Groups,
    Item,
    NamedRecord,
    Notes,
    Row,
    finite_mask,
    placeholders,
)
from sapo_viz.rollouts.formats.pair import OnePolicy, OneSequence
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.texts import TextDump

_NAMES = {"logprobs": "log_probs", "old_logprobs": "rollout_log_probs", "ref_logprobs": "ref_log_probs"}
_NAMES |= {"mask": "loss_masks"}
_SCHEDULE = ("micro_batch_indices", "num_microbatches", "global_batch_sizes", "raw_reward")  # not one entry a sample


def recognise_train(first: Mapping[str, Any]) -> bool:
    return "rollout_id" in first and ("rollout_data" in first or "dp_shards" in first)


def recognise_rollout(first: Mapping[str, Any]) -> bool:
    return "rollout_id" in first and isinstance(first.get("samples"), list) and "dp_shards" not in first


def read_train(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    _, document = next(items)
    rows = list(_train_rows(file, document))
    if not rows:
        raise RolloutError(f"{file}: there is no sample in it; give at least one.")
    step = Row(file, "the file", document).number("rollout_id")
    new, old = rows[0].has("log_probs"), rows[0].has("rollout_log_probs")
    if not new and not old:
        raise RolloutError(
            f"{file}: this slime train dump has no log_probs; only ranks of the last pipeline stage save them, so take "
            "one of their files."
        )
    notes.say(IDS_ONLY)
    groups = Groups()
    if new and old:
        notes.say(BEFORE_UPDATE)
        return [_record(row, step, groups, notes) for row in rows]
    column = "log_probs" if new else "rollout_log_probs"
    sequences = tuple(_one(row, number, column, step, groups, notes) for number, row in enumerate(rows, start=1))
    return OnePolicy(file, "a slime train dump", sequences, notes.sentences())


def _train_rows(file: str, document: Mapping[str, Any]) -> Iterator[Row]:
    if "samples" in document:
        yield from Row(file, "the file", document).objects("samples")
        return
    data = Row(file, "the file", document).inner("rollout_data").values
    lengths = data.get("response_lengths")
    if not isinstance(lengths, (list, tuple, np.ndarray)):
        raise RolloutError(f"{file}: response_lengths is {shown(lengths)}; it takes a list with one entry a sample.")
    columns = {k: v for k, v in data.items() if k not in _SCHEDULE and _is_column(v, len(lengths))}
    for index in range(len(lengths)):
        yield Row(file, f"sample {index + 1}", {key: column[index] for key, column in columns.items()})


def _is_column(value: Any, length: int) -> bool:
    return isinstance(value, (list, tuple, np.ndarray)) and len(value) == length


def _response(row: Row, length_name: str, mask_name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Token ids of the prompt and of the response, and the response's mask."""
    ids = row.ids("tokens")
    length = row.number(length_name)
    if length is None or not length.is_integer() or not 0 <= length <= len(ids):
        row.fail(f"{length_name} is {shown(length)}; it takes a whole number up to the {len(ids):,} tokens")
    cut = len(ids) - int(length)
    size = int(length)
    mask = row.flags(mask_name, size, length_name) if row.has(mask_name) else np.ones(size, dtype=bool)
    return ids[:cut], ids[cut:], mask


def _column(row: Row, name: str, length: int) -> np.ndarray:
    """[T] over the response; with context parallelism, older versions save each rank's part only."""
    if row.has(name) and len(row.entries(name)) != length:
        row.fail(
            f"{name} has {len(row.entries(name)):,} entries for a response of {length:,} tokens, as with context "
            "parallelism; save it with a slime that puts the parts together (format_version 2)"
        )
    return row.numbers(name, length, "the response's tokens")


def _record(row: Row, step: float | None, groups: Groups, notes: Notes) -> Record:
    prompt, ids, mask = _response(row, "response_lengths", "loss_masks")
    new, old = _column(row, "log_probs", len(ids)), _column(row, "rollout_log_probs", len(ids))
    values: dict[str, Any] = {
        "tokens": placeholders(ids),
        "token_ids": ids,
        "logprobs": new,
        "old_logprobs": old,
        "mask": finite_mask(mask, notes, new, old).astype(np.float64),
        "advantages": _column(row, "advantages", len(ids)),
        "ref_logprobs": _column(row, "ref_log_probs", len(ids)) if row.has("ref_log_probs") else None,
        "reward": row.number("rewards"),
        "group": groups.of(prompt),
        "id": _index(row, "sample_index", "sample_indices"),
        "step": step,
    }
    return NamedRecord(row.file, row.place, values, names=_NAMES)


def _index(row: Row, *names: str) -> str | None:
    number = next((row.number(name) for name in names if row.has(name)), None)
    return None if number is None else str(int(number))


def _one(row: Row, number: int, column: str, step: float | None, groups: Groups, notes: Notes) -> OneSequence:
    prompt, ids, mask = _response(row, "response_lengths", "loss_masks")
    logprobs = _column(row, column, len(ids))
    return OneSequence(
        id=_index(row, "sample_index", "sample_indices") or str(number),
        tokens=tuple(placeholders(ids)),
        logprobs=logprobs,
        mask=finite_mask(mask, notes, logprobs),
        token_ids=ids,
        advantages=_column(row, "advantages", len(ids)) if row.has("advantages") else None,
        reward=row.number("rewards"),
        group=groups.of(prompt),
        step=None if step is None else int(step),
    )


def read_rollout(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    _, document = next(items)
    whole = Row(file, "the file", document)
    rows, step = whole.objects("samples"), whole.number("rollout_id")
    if not rows:
        raise RolloutError(f"{file}: there is no sample in it; give at least one.")
    groups = Groups()
    labels = [_group(row, groups) for row in rows]
    texts = _texts(file, rows, labels, step)
    if not all(row.has("rollout_log_probs") for row in rows):
        if texts is None:
            raise RolloutError(f"{file}: this slime rollout dump has neither rollout_log_probs nor prompts as text.")
        return texts
    notes.say(IDS_ONLY)
    both = zip(rows, labels, strict=True)
    sequences = tuple(_sampled(row, i, label, step, notes) for i, (row, label) in enumerate(both, start=1))
    return OnePolicy(file, ROLLOUT.name, sequences, notes.sentences(), texts)


def _group(row: Row, groups: Groups) -> str:
    index = _index(row, "group_index")
    return groups.of(_response(row, "response_length", "loss_mask")[0]) if index is None else index


def _sampled(row: Row, number: int, group: str, step: float | None, notes: Notes) -> OneSequence:
    _, ids, mask = _response(row, "response_length", "loss_mask")
    logprobs = _column(row, "rollout_log_probs", len(ids))
    prompt = row.values.get("prompt")
    return OneSequence(
        id=_index(row, "index") or str(number),
        tokens=tuple(placeholders(ids)),
        logprobs=logprobs,
        mask=finite_mask(mask, notes, logprobs),
        token_ids=ids,
        reward=_reward(row),
        group=group,
        prompt=prompt if isinstance(prompt, str) else None,
        step=None if step is None else int(step),
    )


def _reward(row: Row) -> float | None:
    """The reward, unless it is a dict whose key (`--reward-key`) is not in the file."""
    return None if isinstance(row.values.get("reward"), dict) else row.number("reward")


def _texts(file: str, rows: Sequence[Row], labels: list[str], step: float | None) -> TextDump | None:
    if not all(isinstance(row.values.get(name), str) for row in rows for name in ("prompt", "response")):
        return None
    return TextDump(
        name=file,
        format=ROLLOUT.name,
        prompts=tuple(row.text("prompt") for row in rows),
        completions=tuple(row.text("response") for row in rows),
        rewards=tuple(_reward(row) for row in rows),
        groups=tuple(labels),
        steps=(None if step is None else int(step),) * len(rows),
        advantages=(None,) * len(rows),
    )


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
