"""Arrays of torch and numpy, rebuilt from a pickle's plain values with every bound checked.

These functions stand in for those that the file names (`torch._utils._rebuild_tensor_v2`,
`numpy._core.multiarray._reconstruct`, …): they take shapes and bytes and give read-only numpy arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.pickled import Buildable, Calls, Opaque, PickleError
from sapo_viz.rollouts.schema import MAX_TOKENS

_TORCH = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "BFloat16Storage": "<u2",  # widened below: numpy has no bfloat16
}
_WRITTEN_OUT = {  # a dtype's name -> numpy's short code, in the byte order of the file
    "float16": "f2",
    "float32": "f4",
    "float64": "f8",
    "int8": "i1",
    "int16": "i2",
    "int32": "i4",
    "int64": "i8",
    "uint8": "u1",
    "uint16": "u2",
    "uint32": "u4",
    "uint64": "u8",
    "bool": "b1",
}
_NUMPY = frozenset(_WRITTEN_OUT.values())


def from_bytes(data: bytes, kind: str, shape: Any) -> np.ndarray:
    """The array of numpy's `tobytes`; its size has to be the one that kind and shape say."""
    kind = _WRITTEN_OUT.get(kind, kind)
    if kind not in _NUMPY:
        raise PickleError(f"holds an array of the kind {str(kind)[:20]!r}")
    sizes = _sizes(shape)
    array = np.frombuffer(data, dtype="<" + kind)
    if math.prod(sizes) != array.size:
        raise PickleError("holds an array whose bytes do not fit its shape")
    return array.reshape(sizes)


def storage(kind: Any, data: bytes) -> np.ndarray | Opaque:
    """The numbers of one torch storage; an Opaque for kinds that hold no numbers of ours."""
    name = kind.name if isinstance(kind, Opaque) else ""
    layout = _TORCH.get(name.removeprefix("torch."))
    if layout is None:
        return Opaque(name or "storage", ())
    array = np.frombuffer(data[: len(data) - len(data) % np.dtype(layout).itemsize], dtype=layout)
    return (array.astype("<u4") << 16).view("<f4") if name == "torch.BFloat16Storage" else array


def rebuild_tensor(numbers: Any, offset: Any, size: Any, stride: Any, *_: Any) -> np.ndarray | Opaque:
    """A view of `size` and `stride` on a storage, inside its bounds."""
    if isinstance(numbers, Opaque):
        return numbers
    if not isinstance(numbers, np.ndarray):
        raise ValueError
    sizes, strides = _sizes(size), _sizes(stride)
    if len(sizes) != len(strides) or type(offset) is not int or offset < 0:
        raise ValueError
    if math.prod(sizes) > 4 * MAX_TOKENS:  # a stride of 0 repeats one number for free
        raise PickleError(f"holds a tensor of more than {4 * MAX_TOKENS:,} numbers")
    last = offset + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
    if math.prod(sizes) and last >= numbers.size:
        raise PickleError("holds a tensor that reaches beyond its storage")
    if not math.prod(sizes):
        return np.zeros(sizes, dtype=numbers.dtype)
    steps = [step * numbers.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(numbers[offset:], sizes, steps, writeable=False)


def _sizes(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)) or len(shape) > 8 or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError
    return tuple(shape)


@dataclass
class _Kind(Buildable):
    """numpy.dtype('f8', False, True), whose byte order follows as its state."""

    code: str

    def build(self, state: Any) -> _Kind:
        if isinstance(state, tuple) and len(state) > 1 and state[1] == ">":
            raise PickleError("holds big-endian numbers")
        return self


@dataclass
class _Array(Buildable):
    """numpy's `_reconstruct(ndarray, (0,), b'b')`: shape, kind and bytes follow as its state."""

    def build(self, state: Any) -> Any:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Kind) or not isinstance(data, bytes):  # an array of objects has a list here
            return Opaque("numpy.ndarray", ())
        if kind.code not in _NUMPY:
            return Opaque("numpy.ndarray", ())
        array = from_bytes(data, kind.code, shape[::-1] if fortran else shape)
        return array.T if fortran else array


def _scalar(kind: Any, data: Any = None) -> Any:
    if not isinstance(kind, _Kind) or not isinstance(data, bytes) or kind.code not in _NUMPY:
        return Opaque("numpy.scalar", ())
    return from_bytes(data, kind.code, (1,))[0].item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Protocol 2 writes bytes as text to be encoded."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError
    return text.encode("latin-1")


CALLS: Calls = {
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.Size": lambda sizes=(): tuple(sizes),
    "collections.OrderedDict": lambda items=(): dict(items) if not items else Opaque("collections.OrderedDict", ()),
    "collections.defaultdict": lambda *_: {},
    "_codecs.encode": _encode,
    "numpy.dtype": lambda code, *_: _Kind(code),
    "numpy.core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy._core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
}
