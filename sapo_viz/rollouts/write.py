"""Write sequences in the schema, in each of the four formats. Reading them back gives the same values."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from sapo_viz.rollouts.schema import FIELDS, Rollouts, Sequence

FORMATS = ("jsonl", "json", "csv", "parquet")


def write_rollouts(rollouts: Rollouts, format: str) -> bytes:
    """The file's bytes; `format` is one of FORMATS."""
    return {"jsonl": _jsonl, "json": _json, "csv": _csv, "parquet": _parquet}[format](rollouts)


def _objects(rollouts: Rollouts) -> Iterator[dict[str, Any]]:
    return (_object(rollouts[i]) for i in range(len(rollouts)))


def _object(sequence: Sequence) -> dict[str, Any]:
    """The sequence under the schema's names, in the schema's order, without what it does not have."""
    values: dict[str, Any] = {
        "tokens": list(sequence.tokens),
        "logprobs": _plain(sequence.logprobs),
        "old_logprobs": _plain(sequence.old_logprobs),
        "reward": sequence.reward,
        "group": sequence.group,
        "mask": None if sequence.mask.all() else sequence.mask.astype(int).tolist(),
        "token_ids": None if sequence.token_ids is None else sequence.token_ids.tolist(),
        "sampler_logprobs": None if sequence.sampler_logprobs is None else _plain(sequence.sampler_logprobs),
        "ref_logprobs": None if sequence.ref_logprobs is None else _plain(sequence.ref_logprobs),
        "loss_gradients": None if sequence.loss_gradients is None else _plain(sequence.loss_gradients),
        "microbatch": sequence.microbatch,
        "microbatch_loss": sequence.microbatch_loss,
        "prompt": sequence.prompt,
        "id": sequence.id,
        "step": sequence.step,
    }
    own = sequence.advantages[sequence.mask]
    if len(own) and (own == own[0]).all():
        values["advantage"] = float(own[0])
    else:
        values["advantages"] = sequence.advantages.tolist()
    return {name: values[name] for name in FIELDS if values.get(name) is not None}


def _plain(array: np.ndarray) -> list[float | None]:
    return [None if value != value else value for value in array.tolist()]  # NaN is not JSON


def _jsonl(rollouts: Rollouts) -> bytes:
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in _objects(rollouts)).encode()


def _json(rollouts: Rollouts) -> bytes:
    return ("[\n" + ",\n".join(json.dumps(item, ensure_ascii=False) for item in _objects(rollouts)) + "\n]\n").encode()


def _csv(rollouts: Rollouts) -> bytes:
    fields = [field for field in FIELDS.values() if field.column]
    fields.sort(key=lambda field: field.name != "id")  # the sequence's name first
    rows: list[dict[str | None, Any]] = []
    used = {"sequence"}
    for index in range(len(rollouts)):
        sequence = rollouts[index]
        item = _object(sequence) | {"advantages": sequence.advantages.tolist()}
        used |= {field.column for field in fields if field.name in item and field.column}
        for t in range(len(sequence)):
            cells = {}
            for field in fields:
                value = item.get(field.name)
                cells[field.column] = value[t] if field.per_token and value is not None else value
            rows.append(cells)
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, [f.column for f in fields if f.column in used], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)  # type: ignore[arg-type]  # every field in it has a column
    return out.getvalue().encode()


def _parquet(rollouts: Rollouts) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "texts": pa.list_(pa.string()),
        "numbers": pa.list_(pa.float64()),
        "flags": pa.list_(pa.int8()),
        "ids": pa.list_(pa.int64()),
        "text": pa.string(),
        "number": pa.float64(),
        "integer": pa.int64(),
        "label": pa.string(),
    }
    items = list(_objects(rollouts))
    used = [field for field in FIELDS.values() if any(field.name in item for item in items)]
    table = pa.table({f.name: pa.array([item.get(f.name) for item in items], kinds[f.kind]) for f in used})
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()
