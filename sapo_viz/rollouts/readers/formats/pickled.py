"""Pickles, read as data: a small interpreter that builds plain values and calls nothing that the file names.

Python's own unpickler imports what a file asks for and calls it; an allow-list in `find_class` still hashes,
compares and recurses in C. `torch.load(weights_only=True)` (torch 2.13) ends the whole process on a 1 MB file
whose dict key is a tuple nested a million deep. This machine knows the opcodes for None, numbers, text, bytes,
lists, tuples, dicts and sets. A named object becomes an `Opaque`, which is its name and what it was given; only
the functions of `Calls`, written here, turn some of them into numpy arrays. Dict keys are text and numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sapo_viz.errors import RolloutError

MAX_OPERATIONS = 12_000_000  # about 10 s; four million tokens written as plain lists
MAX_OBJECTS = 3_000_000  # lists, tuples, dicts: each costs about 60 bytes however short the file writes it
MAX_DIGITS = 16  # bytes of a whole number

# What frameworks' dumps name beside plain values. They are never imported; other names are refused at once.
_HARMLESS = (
    "torch", "numpy", "slime", "skyrl", "skyrl_train", "collections", "datetime", "uuid", "_codecs", "enum",
    "PIL", "transformers", "decimal", "pathlib",
)  # fmt: skip
_BUILTINS = ("set", "frozenset", "bytearray", "complex", "range", "slice")  # as protocol 2 names them

WAY_ROUND = "nothing in a pickle is run here, so convert it where you trust it (docs/rollout-files.md has the lines)"


class PickleError(Exception):
    """What in the pickle cannot be read, as the middle of a sentence."""


@dataclass
class Opaque:
    """Something that the file names and that is not made: a class, a function, or what calling it would give."""

    name: str
    args: tuple[Any, ...] | None = None
    state: Any = None

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Buildable:
    """What a call of ours may return when its state follows later in the file."""

    def build(self, state: Any) -> Any:
        raise NotImplementedError


Calls = Mapping[str, Callable[..., Any]]  # "module.name" -> a function written here, never the one of that name


def load(name: str, data: bytes, calls: Calls, persistent: Callable[[Any], Any] | None = None) -> Any:
    """The value of a pickle (protocol 2 to 5). `name` is the file's, for messages.

    Raises:
        RolloutError: it names something else than data, is cut short, or is larger than the limits above.
    """
    try:
        return _Machine(data, calls, persistent).run()
    except PickleError as error:
        raise RolloutError(f"{name}: this Python pickle {error}; {WAY_ROUND}.") from None
    except (IndexError, KeyError, ValueError, TypeError, struct.error, OverflowError, AttributeError):
        raise RolloutError(
            f"{name}: this Python pickle is cut short or damaged; copy or write the file again."
        ) from None


_MARK = object()


@dataclass
class _Machine:
    data: bytes
    calls: Calls
    persistent: Callable[[Any], Any] | None
    at: int = 0
    objects: int = 0
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> Any:
        data, table = self.data, _TABLE
        for _ in range(MAX_OPERATIONS):
            code = data[self.at]
            self.at += 1
            if code == 0x2E:  # STOP
                value = self.stack.pop()
                if value is _MARK:
                    raise ValueError
                return value
            handler = table.get(code)
            if handler is None:
                raise PickleError(f"uses the operation 0x{code:02x}, which no dump of a known framework has")
            handler(self)
        raise PickleError(f"has more than {MAX_OPERATIONS:,} operations")

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if count < 0 or len(part) != count:
            raise ValueError
        self.at += count
        return part

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        end = self.data.index(b"\n", self.at, self.at + 512)
        text = self.data[self.at : end].decode("ascii")
        self.at = end + 1
        return text

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def new(self, value: Any) -> None:
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            raise PickleError(f"has more than {MAX_OBJECTS:,} lists, tuples and dicts")
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError
        return value

    def since_mark(self) -> list[Any]:
        """What was pushed after the last mark, off the stack, and the mark with it."""
        stack = self.stack
        at = len(stack) - 1
        while stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError
        values = stack[at + 1 :]
        del stack[at:]
        return values

    def named(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError
        plain = module in ("builtins", "__builtin__") and name in _BUILTINS
        if module.split(".")[0] not in _HARMLESS and not plain:
            raise PickleError(f"asks for {_printable(module)}.{_printable(name)}, which is not data")
        self.new(Opaque(f"{module}.{name}"))

    def call(self, callee: Any, args: Any) -> None:
        if not isinstance(callee, Opaque) or callee.args is not None or not isinstance(args, tuple):
            raise ValueError
        ours = self.calls.get(callee.name)
        self.new(Opaque(callee.name, args) if ours is None else ours(*args))


def _printable(text: str) -> str:
    return "".join(c for c in text[:40] if c.isalnum() or c in "._") or "?"


def _integer(m: _Machine, size: int) -> None:
    if size > MAX_DIGITS:
        raise PickleError(f"holds a whole number of {size:,} bytes")
    m.push(int.from_bytes(m.take(size), "little", signed=True))


def _text(m: _Machine, size: int) -> None:
    m.push(m.take(size).decode("utf-8", "surrogatepass"))


def _remember(m: _Machine, index: int) -> None:
    m.memo[index] = m.stack[-1]


def _append(m: _Machine, values: list[Any]) -> None:
    target = m.stack[-1]
    if isinstance(target, list):
        target.extend(values)
    elif not isinstance(target, Opaque):  # the items of an object that is not made are not kept
        raise ValueError


def _set_items(m: _Machine, values: list[Any]) -> None:
    target = m.stack[-1]
    if isinstance(target, Opaque):
        return
    if not isinstance(target, dict) or len(values) % 2:
        raise ValueError
    for key, value in zip(values[::2], values[1::2], strict=True):
        if type(key) not in (str, int, float, bool, type(None), bytes):
            raise PickleError("has a dict key that is neither text nor number")
        target[key] = value


def _build(m: _Machine) -> None:
    state = m.pop()
    target = m.stack[-1]
    if isinstance(target, Buildable):
        m.stack[-1] = target.build(state)
    elif isinstance(target, Opaque):
        target.state = state
    elif not isinstance(target, dict):
        raise ValueError


def _new_object(m: _Machine, keywords: bool) -> None:
    if keywords:
        m.pop()
    args = m.pop()
    m.call(m.pop(), args)


def _reduce(m: _Machine) -> None:
    args = m.pop()
    m.call(m.pop(), args)


def _stack_global(m: _Machine) -> None:
    name = m.pop()
    m.named(m.pop(), name)


def _persistent(m: _Machine) -> None:
    if m.persistent is None:
        raise PickleError("refers to data outside itself")
    m.push(m.persistent(m.pop()))


def _tuple(m: _Machine, size: int) -> None:
    values = tuple(m.pop() for _ in range(size))
    m.new(values[::-1])


_TABLE: dict[int, Callable[[_Machine], object]] = {
    0x80: lambda m: m.take(1),  # PROTO
    0x95: lambda m: m.take(8),  # FRAME
    0x28: lambda m: m.new(_MARK),
    0x30: lambda m: m.stack.pop(),  # POP
    0x31: lambda m: m.since_mark(),  # POP_MARK
    0x32: lambda m: m.push(m.stack[-1]),  # DUP
    0x4E: lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    0x4A: lambda m: m.push(m.number("<i")),
    0x4B: lambda m: m.push(m.take(1)[0]),
    0x4D: lambda m: m.push(m.number("<H")),
    0x8A: lambda m: _integer(m, m.take(1)[0]),
    0x8B: lambda m: _integer(m, m.number("<I")),
    0x47: lambda m: m.push(m.number(">d")),
    0x58: lambda m: _text(m, m.number("<I")),
    0x8C: lambda m: _text(m, m.take(1)[0]),
    0x8D: lambda m: _text(m, m.number("<Q")),
    0x42: lambda m: m.push(m.take(m.number("<I"))),
    0x43: lambda m: m.push(m.take(m.take(1)[0])),
    0x8E: lambda m: m.push(m.take(m.number("<Q"))),
    0x96: lambda m: m.push(m.take(m.number("<Q"))),  # bytearray, kept as bytes
    0x54: lambda m: m.push(m.take(m.number("<I")).decode("latin-1")),
    0x55: lambda m: m.push(m.take(m.take(1)[0]).decode("latin-1")),
    0x5D: lambda m: m.new([]),
    0x61: lambda m: _append(m, [m.pop()]),
    0x65: lambda m: _append(m, m.since_mark()),
    0x6C: lambda m: m.new(m.since_mark()),  # LIST
    0x29: lambda m: m.new(()),
    0x74: lambda m: m.new(tuple(m.since_mark())),
    0x85: lambda m: _tuple(m, 1),
    0x86: lambda m: _tuple(m, 2),
    0x87: lambda m: _tuple(m, 3),
    0x7D: lambda m: m.new({}),
    0x73: lambda m: _set_items(m, [m.pop(), m.pop()][::-1]),
    0x75: lambda m: _set_items(m, m.since_mark()),
    0x8F: lambda m: m.new([]),  # EMPTY_SET, kept as a list: nothing from the file is hashed but plain keys
    0x90: lambda m: _append(m, m.since_mark()),
    0x91: lambda m: m.new(m.since_mark()),  # FROZENSET
    0x63: lambda m: m.named(m.line(), m.line()),  # GLOBAL
    0x93: _stack_global,
    0x52: _reduce,
    0x81: lambda m: _new_object(m, keywords=False),
    0x92: lambda m: _new_object(m, keywords=True),
    0x62: _build,
    0x71: lambda m: _remember(m, m.take(1)[0]),
    0x72: lambda m: _remember(m, m.number("<I")),
    0x94: lambda m: _remember(m, len(m.memo)),
    0x68: lambda m: m.push(m.memo[m.take(1)[0]]),
    0x6A: lambda m: m.push(m.memo[m.number("<I")]),
    0x51: _persistent,
}
