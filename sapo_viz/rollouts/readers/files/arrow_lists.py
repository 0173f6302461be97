"""Batches of Arrow with one row per sequence and list columns for what each token has, as blocks of whole arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from sapo_viz.rollouts.columns import Block, Columns
from sapo_viz.rollouts.readers.files.whole import (
    checked_finite,
    checked_ids,
    checked_labels,
    checked_logprobs,
    checked_mask,
    checked_numbers,
    checked_steps,
    plain,
)
from sapo_viz.rollouts.vocabulary import placeholders


def encoded(flat: Any) -> tuple[np.ndarray, list[str]]:
    """Texts as numbers, −1 for null, into the distinct ones."""
    import pyarrow as pa
    import pyarrow.types as t

    if not t.is_dictionary(flat.type):
        flat = flat.dictionary_encode()
    codes = flat.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, flat.dictionary.to_pylist()


def _spelled_ids(flat: Any, columns: Columns) -> tuple[np.ndarray, list[str]]:
    """The same for ids without texts, which are shown as ⟨id⟩."""
    ids, codes = np.unique(checked_ids(array(flat, None)), return_inverse=True)
    columns.counts.by_id += bool(len(ids))
    return codes.astype(np.int32), placeholders(ids)


def array(flat: Any, dtype: Any) -> np.ndarray:
    """Numbers or flags; null becomes NaN."""
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_dictionary(flat.type):
        flat = flat.dictionary_decode()
    if t.is_boolean(flat.type):
        flat = flat.cast(pa.int8())
    if flat.null_count:
        flat = flat.cast(pa.float64(), safe=False)
    values: np.ndarray = flat.to_numpy(zero_copy_only=False)
    return values.astype(dtype, copy=False)


def block_of(batch: Any, columns: Columns) -> Block:
    """One batch in whole arrays, checked."""
    import pyarrow.compute as pc

    names = batch.schema.names
    spelled = "tokens" if "tokens" in names else "token_ids"  # a recorder without a tokenizer writes ids alone
    plain(all(name in names for name in (spelled, "logprobs", "old_logprobs")))
    tokens = batch.column(spelled)
    plain(_is_list(tokens) and not tokens.null_count)
    lengths = np.asarray(pc.list_value_length(tokens).to_numpy(zero_copy_only=False), dtype=np.int64)
    own, texts = encoded(tokens.flatten()) if spelled == "tokens" else _spelled_ids(tokens.flatten(), columns)
    plain(not len(own) or own.min() >= 0)
    codes = columns.vocabulary.encode(texts)[own] if len(own) else own

    def per_token(name: str, dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray] | None:
        """(values [K], which rows have them [N]); None where no row has."""
        if name not in names or not _is_list(batch.column(name)):
            return None
        column = batch.column(name)
        there = column.is_valid().to_numpy(zero_copy_only=False)
        if not there.any():
            return None
        sizes = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        plain((sizes == lengths)[there].all())
        return array(column.flatten(), dtype), there

    def spread(found: tuple[np.ndarray, np.ndarray] | None, filler: Any) -> np.ndarray | None:
        """[K] with a filler in rows without."""
        if found is None or found[1].all():
            return None if found is None else found[0]
        out = np.full(len(codes), filler, dtype=found[0].dtype)
        out[np.repeat(found[1], lengths)] = found[0]
        return out

    flags = spread(per_token("mask"), 1)
    mask = None if flags is None else checked_mask(flags)
    needed = [per_token(name) for name in ("logprobs", "old_logprobs")]
    plain(all(found is not None and found[1].all() for found in needed))
    new, old = (checked_logprobs(found[0], mask, columns.counts) for found in needed if found is not None)

    def optional(name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """[K] numbers that some rows may lack, NaN there; and where they have to be finite."""
        rows = per_token(name)
        if rows is None:
            return None
        where = np.repeat(rows[1], lengths) if mask is None else np.repeat(rows[1], lengths) & mask
        return np.asarray(spread(rows, np.nan)), where

    others = [optional(name) for name in ("sampler_logprobs", "ref_logprobs")]
    sampler, ref = (None if one is None else checked_logprobs(*one, columns.counts) for one in others)
    slopes = optional("loss_gradients")
    gradients = None if slopes is None else checked_finite(*slopes)
    id_rows = per_token("token_ids", None)
    token_ids = None
    if id_rows is not None:
        token_ids = spread((checked_ids(id_rows[0]), id_rows[1]), -1)
    advantages, has_advantage = _advantages(batch, per_token("advantages"), spread, lengths, mask)

    def scalars(name: str) -> list[Any]:
        return _scalars(batch, name)

    full = lengths > 0
    columns.counts.empty += int(np.count_nonzero(~full))
    labels = (
        checked_labels(scalars("id")),
        scalars("prompt"),
        checked_numbers(scalars("reward")),
        checked_labels(scalars("group")),
        checked_steps(scalars("step")),
        checked_labels(scalars("microbatch")),
        checked_numbers(scalars("microbatch_loss")),
    )
    if not full.all():
        labels = tuple([label for label, keep in zip(of, full, strict=True) if keep] for of in labels)  # type: ignore
    return Block(
        lengths[full],
        codes,
        new,
        old,
        mask,
        advantages,
        has_advantage[full],
        token_ids,
        sampler,
        ref,
        gradients,
        *labels,
    )


def _advantages(
    batch: Any, per_token: Any, spread: Any, lengths: np.ndarray, mask: Any
) -> tuple[np.ndarray, np.ndarray]:
    """(A of each token [K], which rows have one [N]): from `advantages`, else from `advantage`."""
    numbers = checked_numbers(_scalars(batch, "advantage"))
    has = np.array([number is not None for number in numbers], dtype=bool)
    flat = np.repeat(np.array([0.0 if number is None else number for number in numbers]), lengths)
    if per_token is None:
        return flat, has
    values, there = per_token
    rows = np.repeat(there, lengths)
    values = np.asarray(spread((values, there), 0.0))
    values = checked_finite(values, mask)
    return np.where(rows, np.where(np.isfinite(values), values, 0.0), flat), has | there


def _scalars(batch: Any, name: str) -> list[Any]:
    """One Python value per row, None where there is none."""
    if name not in batch.schema.names:
        return [None] * batch.num_rows
    return listed(batch.column(name))


def listed(column: Any) -> list[Any]:
    """Python values, equal texts as one object."""
    import pyarrow.types as t

    if not t.is_dictionary(column.type):
        return list(column.to_pylist())
    codes, texts = encoded(column)
    return [None if code < 0 else texts[code] for code in codes.tolist()]


def _is_list(column: Any) -> bool:
    import pyarrow.types as t

    return bool(t.is_list(column.type) or t.is_large_list(column.type) or t.is_fixed_size_list(column.type))
