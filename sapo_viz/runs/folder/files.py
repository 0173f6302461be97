"""Writing so that no reader, and no resumed run, ever takes half a file for a whole one.

A file is written beside its place under a name that begins with a dot and ends in `.part`, brought to the disk, and
renamed: after a SIGKILL there is the old file or the new one, after a power cut too. Readers look for the final
names only, and whoever takes up a folder again sweeps the parts away.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

RESERVE = ".reserve"
_RESERVED = 65_536  # bytes: room for the last event and for worker.json


def part_of(path: Path) -> Path:
    """Where `path` is written before it is renamed."""
    return path.with_name(f".{path.name}.part")


def write_whole(path: Path, text: str | bytes) -> None:
    """Write a file so that no reader ever sees half of it; text as UTF-8.

    Raises:
        OSError: disk full, no permission; the old file is as it was, and nothing is left beside it.
    """
    part = part_of(path)
    try:
        part.unlink(missing_ok=True)  # it may be a pipe, which would never take the bytes
        part.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
        put_in_place(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def put_in_place(part: Path, path: Path) -> None:
    """Rename a finished file, or a folder of them, once its bytes are on the disk."""
    for file in sorted(part.iterdir()) if part.is_dir() else [part]:
        _sync(file)
    part.replace(path)
    _sync(path.parent)


def sweep(folder: Path) -> None:
    """Remove the parts that a worker left when it was killed."""
    for pattern in (".*.part", "tokens/.*.part"):
        for part in folder.glob(pattern):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)


def reserve(folder: Path) -> None:
    """Hold some room on the disk, so that a run that fills it can still say so."""
    path = folder / RESERVE
    path.unlink(missing_ok=True)
    path.write_bytes(b"\0" * _RESERVED)


def release(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / RESERVE).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
