"""Data for the browser as one run of bytes: a JSON header, then the arrays as they lie in memory.

50,000 tokens as JSON numbers are 3 MB and must be parsed digit by digit; as float32 they are 0.6 MB and are
not parsed at all. Layout: the header's length (uint32), the header, zeros up to a multiple of 4, the arrays,
each beginning at a multiple of 4; all little-endian. `unpackArrays` in browser/shared/packed.js reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

KINDS = ("uint8", "uint16", "uint32", "int32", "float32", "float64")  # what packed.js knows


def pack_arrays(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """`header` as JSON with `arrays` behind it.

    Args:
        header: what JSON can say; its key `arrays` is taken.
        arrays: name -> [M], of one of KINDS; int64, which are places or counts, go in the narrowest that holds them.
    """
    places, parts, at = {}, [], 0
    for name, array in arrays.items():
        array = compact_ids(array) if array.dtype == np.int64 else array
        raw = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
        places[name] = [array.dtype.name, at, len(array)]
        parts.append(raw + bytes(-len(raw) % 4))
        at += len(parts[-1])
    text = _utf8({**header, "arrays": places})
    text += b" " * (-len(text) % 4)
    return len(text).to_bytes(4, "little") + text + b"".join(parts)


def _utf8(value: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half a surrogate pair: UTF-8 has no bytes for it, JSON's escapes have
        return json.dumps(value, separators=(",", ":")).encode()


def compact_ids(values: np.ndarray) -> np.ndarray:
    """Non-negative integers in the narrowest unsigned type that holds them. [M] -> [M]"""
    highest = int(values.max(initial=0))
    return values.astype(np.uint8 if highest < 1 << 8 else np.uint16 if highest < 1 << 16 else np.uint32)
