"""Reading what is in a run's folder as if a stranger had put it there: he may have.

Only regular files are opened (a pipe would never answer, a link leads elsewhere), no more bytes are taken than were
asked for, and JSON comes back as plain data that can be written down again: bounded depth, finite numbers, whole
characters. Whoever needs a file of a run reads it through here, so that one damaged run cannot hide the others.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

LARGEST = 1e100  # of a number; beyond it sums of squares overflow, and no run means it
DEEPEST = 50  # lists and objects within one another
SMALL = 1 << 20  # bytes of a file that holds one object: config.json, worker.json
LONGEST = 1 << 20  # bytes of a line
MOST_OBJECTS = 20_000  # brackets; a few texts full of them have some, a megabyte of them takes 0.3 s and 60 MB
_MOST_VALUES = 100_000


class NotReadable(ValueError):
    """Why something cannot be read, as the end of a sentence."""


def open_regular(path: Path, flags: int = os.O_RDONLY) -> BinaryIO:
    """The file, opened for reading, or for writing where `flags` say so; never a pipe, a device or a link.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it is no regular file, or may not be opened.
    """
    # Without O_NONBLOCK, opening a pipe waits for its other end.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "ab")


def read_small(path: Path, most: int = SMALL) -> bytes:
    """The whole file.

    Raises:
        FileNotFoundError: it is not there.
        NotReadable: it is no regular file, or longer than `most` bytes.
    """
    try:
        with open_regular(path) as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NotReadable(reason(error)) from None
    if len(data) > most:
        raise NotReadable(f"it is longer than {most:,} bytes")
    return data


def reason(error: OSError) -> str:
    """What the system says, without its number and without the path."""
    return "it is a link" if error.errno == errno.ELOOP else (error.strerror or type(error).__name__)


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`, as data that JSON can hold again.

    Raises:
        NotReadable: it is no JSON, or something else than an object.
    """
    try:
        value = plain_data(json.loads(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise NotReadable(f"it is not UTF-8 (byte {error.start + 1})") from None
    except RecursionError:
        raise NotReadable("it is nested too deeply") from None
    except NotReadable:
        raise
    except ValueError as error:  # not JSON, or an integer of thousands of digits
        raise NotReadable(f"it is not JSON ({str(error)[:100]})") from None
    if not isinstance(value, dict):
        raise NotReadable(f"it is a JSON {type(value).__name__} and no object")
    return value


def line_object(line: bytes) -> dict[str, Any]:
    """The JSON object in a line of a log.

    Raises:
        NotReadable: there is none, or one that takes far more than a line of a log may.
    """
    if len(line) > LONGEST:
        raise NotReadable(f"it is longer than {LONGEST:,} bytes")
    if line.count(b"[") + line.count(b"{") > MOST_OBJECTS or line.count(b",") > _MOST_VALUES:
        raise NotReadable("it holds far more than an event does")
    return json_object(line)


def plain_data(value: Any, depth: int = DEEPEST) -> Any:
    """JSON's values with NaN, infinities and numbers beyond `LARGEST` as None, and half characters as `?`."""
    kind = type(value)
    if kind is float or kind is int:  # most of a log
        return value if -LARGEST < value < LARGEST else None  # false for NaN
    if kind is str:
        return whole_text(value)
    if value is None or kind is bool:
        return value
    if not depth:
        raise NotReadable("it is nested too deeply")
    if kind is dict:
        return {whole_text(key): plain_data(item, depth - 1) for key, item in value.items()}
    return [plain_data(item, depth - 1) for item in value]


def whole_text(text: str) -> str:
    r"""Without lone surrogates, which JSON can spell (`\ud800`) and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def number(value: Any) -> int | float | None:
    """A finite number that one can calculate with, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if -LARGEST < value < LARGEST else None  # false for NaN
