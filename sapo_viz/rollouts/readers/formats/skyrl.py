"""SkyRL: `dumped_data/global_step_*_training_input.pkl`, written when `trainer.dump_data_batch` is on.

A pickled `TrainingInputBatch` (NovaSky-AI/SkyRL, skyrl/backends/skyrl_train/training_batch.py): its
`__getstate__` gives batch_dict (name → {format, data, shape, dtype}: numpy bytes, or torch.save bytes for
bfloat16), batch_size, device, metadata. Fields as skyrl/train/trainer.py fills them: sequences and attention_mask
[B, S]; response_mask, loss_mask, rollout_logprobs, action_log_probs, base_action_log_probs, advantages [B, R].
`metadata.pad_size` rows at the end are copies that fill the batch up (`pad_training_input_batch`).
The response tensors belong to the last R columns of `sequences`, both in the older layout (prompt padded left,
response right) and in the newer one (all padded left); response_mask says where the response is.

- `action_log_probs` become logprobs: the trainer's policy just before the update. They are null where the run skips
  that forward pass (`_skip_policy_forward`), as it may when it has the sampler's.
- `rollout_logprobs` become old_logprobs: the sampler's. They are null unless the run asked its engine for them.
- `base_action_log_probs` become ref_logprobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats import torch_file
from sapo_viz.rollouts.readers.formats.arrays import CALLS, from_bytes
from sapo_viz.rollouts.readers.formats.base import (
    BEFORE_UPDATE,
    Contents,
    Format,
    Groups,
    Item,
    NamedRecord,
    Notes,
    finite_mask,
)
from sapo_viz.rollouts.readers.formats.pair import OnePolicy, one_of
from sapo_viz.rollouts.readers.formats.pickled import Opaque, PickleError, load
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.vocabulary import IDS_ONLY, placeholders

_NAMES = {"logprobs": "action_log_probs", "old_logprobs": "rollout_logprobs", "mask": "loss_mask"}
PADDING = "Rows that pad_size says fill the batch up, left out"
_NAMES |= {"ref_logprobs": "base_action_log_probs"}


@dataclass(frozen=True)
class _Batch:
    """Fields under the file's names: sequences and attention_mask [B, S], all others [B, R]."""

    sequences: np.ndarray
    response_mask: np.ndarray
    loss_mask: np.ndarray
    action_log_probs: np.ndarray | None
    advantages: np.ndarray
    attention_mask: np.ndarray | None
    rollout_logprobs: np.ndarray | None
    base_action_log_probs: np.ndarray | None
    rewards: np.ndarray | None


_NEEDED = ("sequences", "response_mask", "loss_mask", "advantages")


def load_batch(name: str, data: bytes) -> Any:
    """The batch's state as a dict, from the pickle; anything else as it is."""
    value = load(name, data, CALLS)
    if not isinstance(value, Opaque):
        return value
    if value.name.endswith("._rebuild_tensor_batch") and value.args and len(value.args) == 2:
        return value.args[1]
    return value.state if value.state is not None else value


def recognise(first: Mapping[str, Any]) -> bool:
    batch = first.get("batch_dict")
    return isinstance(batch, Mapping) and "sequences" in batch and "response_mask" in batch


def read(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    _, state = next(items)
    batch = _batch(file, state["batch_dict"])
    batch, padding = _without_padding(file, state, batch)
    notes.count(PADDING, padding)
    labels = _labels(state, len(batch.sequences))
    notes.say(IDS_ONLY)
    if batch.rollout_logprobs is None or batch.action_log_probs is None:
        only = batch.action_log_probs if batch.rollout_logprobs is None else batch.rollout_logprobs
        if only is None:
            raise RolloutError(
                f"{file}: it has neither action_log_probs nor rollout_logprobs; ask its engine for them."
            )
        alone = replace(batch, rollout_logprobs=only, action_log_probs=only)
        sequences = tuple(
            one_of(record.values, str(n)) for n, record in enumerate(_records(file, alone, labels, notes), 1)
        )
        return OnePolicy(file, "a SkyRL training input", sequences, notes.sentences())
    notes.say(BEFORE_UPDATE)
    return _records(file, batch, labels, notes)


def _without_padding(file: str, state: Mapping[str, Any], batch: _Batch) -> tuple[_Batch, int]:
    """The batch without the rows that fill it up, and how many those are."""
    metadata = state.get("metadata")
    size = metadata.get("pad_size") if isinstance(metadata, Mapping) else None
    rows = len(batch.sequences)
    if size is None or size == 0:
        return batch, 0
    if type(size) is not int or not 0 < size < rows:
        raise RolloutError(f"{file}: pad_size is {shown(size)}; it takes a whole number below the {rows:,} rows.")
    tables = {name: getattr(batch, name) for name in _Batch.__dataclass_fields__}
    kept: dict[str, Any] = {name: None if t is None else t[: rows - size] for name, t in tables.items()}
    return _Batch(**kept), size


def _batch(file: str, fields: Mapping[str, Any]) -> _Batch:
    """The fields that are read, as numpy arrays whose shapes agree."""
    out = {name: _array(file, name, fields.get(name)) for name in _Batch.__dataclass_fields__}
    for name in _NEEDED:
        if out[name] is None:
            raise RolloutError(f"{file}: {name} is missing; dump the batch after its advantages are computed.")
    batch = _Batch(**out)  # type: ignore[arg-type]
    if batch.sequences.dtype.kind not in "iu":
        raise RolloutError(f"{file}: sequences holds {batch.sequences.dtype}; it takes token ids, whole numbers.")
    answer = batch.response_mask.shape
    for name, array in out.items():
        model = batch.sequences.shape if name in ("sequences", "attention_mask") else answer
        if array is not None and array.shape != model:
            like = "sequences" if name == "attention_mask" else "response_mask"
            raise RolloutError(f"{file}: {name} has the shape {array.shape}; it takes that of {like}, {model}.")
    if answer[0] != len(batch.sequences) or answer[1] > batch.sequences.shape[1]:
        raise RolloutError(
            f"{file}: response_mask has the shape {answer}, which does not fit sequences, {batch.sequences.shape}."
        )
    return batch


def _array(file: str, name: str, blob: Any) -> np.ndarray | None:
    if blob is None:
        return None
    try:
        if not isinstance(blob, Mapping) or not isinstance(blob.get("data"), bytes):
            raise PickleError("is not bytes with a shape")
        if "dtype" not in blob:  # `format` says so too, as text or, from 0.4 on, as a member of an enum
            value = torch_file.read(f"{file}, {name}", blob["data"])
        else:
            value = from_bytes(blob["data"], blob.get("dtype", ""), blob.get("shape"))
        if not isinstance(value, np.ndarray) or value.ndim != 2:
            raise PickleError("is not a table of numbers")
        return value
    except (PickleError, TypeError, ValueError) as error:
        if isinstance(error, RolloutError):
            raise
        why = error if isinstance(error, PickleError) else "cannot be read"
        raise RolloutError(f"{file}: {name} {why}; it takes a [batch, length] tensor of numbers.") from None


def _labels(state: Mapping[str, Any], rows: int) -> list[str] | None:
    metadata = state.get("metadata")
    uids = metadata.get("uids") if isinstance(metadata, Mapping) else None
    if not isinstance(uids, (list, tuple)) or len(uids) < rows or not all(isinstance(u, str) for u in uids):
        return None  # older versions take them out before the dump
    return list(uids)[:rows]


def _records(file: str, batch: _Batch, labels: list[str] | None, notes: Notes) -> Iterator[Record]:
    groups = Groups()
    width = batch.response_mask.shape[1]
    new_logprobs, old_logprobs = batch.action_log_probs, batch.rollout_logprobs
    assert new_logprobs is not None and old_logprobs is not None
    for row, ids in enumerate(batch.sequences):
        there = np.flatnonzero(batch.response_mask[row])

        def cut(table: np.ndarray, row: int = row, there: np.ndarray = there) -> np.ndarray:
            return np.asarray(table[row][there], dtype=np.float64)

        answer = ids[ids.size - width :][there].astype(np.int64)
        real = ids if batch.attention_mask is None else ids[batch.attention_mask[row] != 0]
        new, old = cut(new_logprobs), cut(old_logprobs)
        values = {
            "tokens": placeholders(answer),
            "token_ids": answer,
            "logprobs": new,
            "old_logprobs": old,
            "ref_logprobs": None if batch.base_action_log_probs is None else cut(batch.base_action_log_probs),
            "mask": finite_mask(cut(batch.loss_mask) != 0, notes, new, old).astype(np.float64),
            "advantages": cut(batch.advantages),
            "reward": None if batch.rewards is None else float(cut(batch.rewards).sum()),
            "group": labels[row] if labels else groups.of(real[: max(real.size - there.size, 0)]),
        }
        yield NamedRecord(file, f"row {row + 1}", values, names=_NAMES)


FORMAT = Format(
    name="SkyRL training input",
    framework="SkyRL",
    file="global_step_*_training_input.pkl",
    docs="https://github.com/NovaSky-AI/SkyRL/blob/main/skyrl/backends/skyrl_train/training_batch.py",
    kind="pickle",
    holds="both policies",
    marks=("batch_dict",),
    taken="`action_log_probs` (trainer before the update) → logprobs, `rollout_logprobs` (sampler) → old_logprobs",
    recognise=recognise,
    read=read,
)
