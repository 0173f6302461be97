"""What comes back from a reader's process: a file of plain arrays, and a header in JSON that says how they lie.

A pickle could hold anything; a parcel holds numbers, texts and five frozen classes of ours, named below. The arrays
are used where they lie (the file is mapped), so a large one is not copied and goes back to the system as a whole.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import weakref
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, BinaryIO

import numpy as np

from sapo_viz.rollouts.readers.formats.pair import OnePolicy, OneSequence
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.table import TextTable
from sapo_viz.rollouts.texts import TextDump
from sapo_viz.rollouts.vocabulary import Tokens

_CLASSES = {kind.__name__: kind for kind in (Rollouts, OnePolicy, OneSequence, TextDump, TextTable)}
_ALIGNED = 64  # bytes; an array may begin at multiples of it
_PLAIN = (str, bool, int, float, type(None))
_PAST_INT64 = 2**63
_SHARED = 1 << 18  # distinct tokens, as many as tokenizers have: visitors with one tokenizer keep each text once

_held: dict[int, int] = {}  # the sizes of those that are still used

Node = dict[str, Any]  # {"is": what, …}: a value in the header


def write(value: Any, file: BinaryIO) -> None:
    """The value at the file's beginning, which is empty.

    Raises:
        TypeError: it holds something that a parcel does not carry.
    """
    header = json.dumps(_Writer(file).node(value)).encode()
    file.write(header)
    file.write(len(header).to_bytes(8, "little"))
    file.flush()


def read(descriptor: int) -> Any:
    """The value in an open file, whose arrays stay there: they are read-only, and the file is theirs."""
    size = os.fstat(descriptor).st_size
    mapped = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
    _held[id(mapped)] = size
    weakref.finalize(mapped, _held.pop, id(mapped))
    length = int.from_bytes(mapped[size - 8 :], "little")
    return _Reader(mapped).value(json.loads(mapped[size - 8 - length : size - 8]))


def held() -> int:
    """Bytes of all parcels whose arrays somebody still uses."""
    return sum(list(_held.values()))


class _Writer:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = 0

    def node(self, value: Any) -> Node:
        match value:
            case np.ndarray():
                return {"is": "array", **self._array(value)}
            case Tokens():
                return {"is": "tokens", "codes": self._array(value.codes), "texts": self._texts(value.vocabulary)}
            case tuple():
                return self._column(value)
            case None | str() | bool() | int() | float():
                return {"is": "plain", "value": value}
            case _ if type(value).__name__ in _CLASSES and is_dataclass(value):
                own = {field.name: self.node(getattr(value, field.name)) for field in fields(value)}
                return {"is": type(value).__name__, "fields": own}
        raise TypeError(f"a parcel does not carry {type(value).__name__}")

    def _column(self, values: tuple[Any, ...]) -> Node:
        """Many values of one kind."""
        kinds = set(map(type, values)) - {type(None)}
        if not kinds:
            return {"is": "nothing", "times": len(values)}
        if kinds == {str}:
            return {"is": "texts", **self._coded(values)}
        if kinds == {float} or (kinds == {int} and all(abs(value or 0) < _PAST_INT64 for value in values)):
            kind = kinds.pop()
            there = np.array([value is not None for value in values])
            numbers = np.array([value or 0 for value in values], np.float64 if kind is float else np.int64)
            return {"is": "numbers", "values": self._array(numbers), "there": self._array(there)}
        if kinds == {np.ndarray}:
            arrays = [value for value in values if value is not None]
            return {"is": "arrays", "lengths": self._lengths(values), "flat": self._array(np.concatenate(arrays))}
        if kinds == {tuple}:
            flat = tuple(item for value in values if value is not None for item in value)
            return {"is": "tuples", "lengths": self._lengths(values), "flat": self._column(flat)}
        if len(kinds) == 1 and (kind := kinds.pop()).__name__ in _CLASSES and None not in values:
            names = [field.name for field in fields(kind)]
            columns = {name: self._column(tuple(getattr(value, name) for value in values)) for name in names}
            return {"is": "rows", "class": kind.__name__, "fields": columns, "times": len(values)}
        if all(isinstance(value, _PLAIN) for value in values):
            return {"is": "list", "values": list(values)}
        raise TypeError(f"a parcel does not carry a list of {', '.join(sorted(kind.__name__ for kind in kinds))}")

    def _lengths(self, values: Sequence[Any]) -> Node:
        """Of each, −1 for None."""
        return self._array(np.array([-1 if value is None else len(value) for value in values], np.int64))

    def _coded(self, values: Sequence[str | None]) -> Node:
        """Each distinct text once: the prompts of a group are one."""
        known: dict[str, int] = {}
        codes = [-1 if text is None else known.setdefault(text, len(known)) for text in values]
        return {"codes": self._array(np.array(codes, np.int32)), "texts": self._texts(tuple(known))}

    def _texts(self, texts: Sequence[str]) -> Node:
        parts = [text.encode("utf-8", "surrogatepass") for text in texts]
        ends = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
        blob = np.frombuffer(b"".join(parts), np.uint8)
        return {"bytes": self._array(blob), "ends": self._array(ends)}

    def _array(self, array: np.ndarray) -> Node:
        if array.ndim != 1 or array.dtype.kind not in "biuf":
            raise TypeError(f"a parcel does not carry arrays of {array.dtype} with {array.ndim} dimensions")
        gap = -self._at % _ALIGNED
        self._file.write(bytes(gap))
        start = self._at + gap
        array = np.ascontiguousarray(array)
        self._file.write(array.data.cast("B") if len(array) else b"")
        self._at = start + array.nbytes
        return {"type": array.dtype.str, "start": start, "count": len(array)}


class _Reader:
    def __init__(self, mapped: mmap.mmap) -> None:
        self._mapped = mapped

    def value(self, node: Node) -> Any:
        match node["is"]:
            case "array":
                return self._array(node)
            case "tokens":
                distinct = self._texts(node["texts"])
                if len(distinct) <= _SHARED:
                    distinct = list(map(sys.intern, distinct))
                return Tokens(self._array(node["codes"]), tuple(distinct))
            case "plain":
                return node["value"]
            case "nothing":
                return (None,) * node["times"]
            case "list":
                return tuple(node["values"])
            case "texts":
                texts = [*self._texts(node["texts"]), None]  # −1 is the last
                return tuple([texts[code] for code in self._array(node["codes"]).tolist()])
            case "numbers":
                pairs = zip(self._array(node["values"]).tolist(), self._array(node["there"]).tolist(), strict=True)
                return tuple([value if there else None for value, there in pairs])
            case "arrays" | "tuples" as kind:
                flat = self._array(node["flat"]) if kind == "arrays" else self.value(node["flat"])
                return tuple(_cut(flat, self._array(node["lengths"]).tolist()))
            case "rows":
                columns = {name: self.value(column) for name, column in node["fields"].items()}
                kind = _CLASSES[node["class"]]
                return tuple(kind(**{name: columns[name][i] for name in columns}) for i in range(node["times"]))
            case name:
                return _CLASSES[name](**{key: self.value(own) for key, own in node["fields"].items()})

    def _array(self, node: Node) -> np.ndarray:
        return np.frombuffer(self._mapped, node["type"], node["count"], node["start"])

    def _texts(self, node: Node) -> list[str]:
        blob, ends = self._array(node["bytes"]).tobytes(), self._array(node["ends"]).tolist()
        return [blob[start:end].decode("utf-8", "surrogatepass") for start, end in zip([0, *ends], ends, strict=False)]


def _cut(flat: Any, lengths: list[int]) -> list[Any]:
    out, start = [], 0
    for length in lengths:
        out.append(None if length < 0 else flat[start : start + length])
        start += max(length, 0)
    return out
