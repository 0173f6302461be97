"""`.pt` files: torch's zip archive of one pickle and its storages, read without torch and without running anything.

torch.save stores every part uncompressed, so an archive that unpacks to more than its own size is not
torch's and is refused before anything in it is read.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.files.packed import DAMAGED
from sapo_viz.rollouts.readers.formats.arrays import CALLS, storage
from sapo_viz.rollouts.readers.formats.pickled import PickleError, load

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number that torch before 1.6 begins with
_MAX_PARTS = 500_000


def is_torch(data: bytes) -> bool:
    """Whether this is a zip archive with torch's pickle in it, judged by its first part or its directory."""
    if not data.startswith(b"PK\x03\x04"):
        return False
    return b"/data.pkl" in data[:256] or b"/data.pkl" in data[-1_000_000:]


def read(name: str, data: bytes) -> Any:
    """What was saved: dicts, lists, numbers, texts, and tensors as numpy arrays.

    Raises:
        RolloutError: the archive is damaged, compressed, too large, or holds more than data.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        parts = {info.filename: info for info in archive.infolist()}
        _check(name, data, parts)
        pickles = [part for part in parts if part.count("/") == 1 and part.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise RolloutError(f"{name}: this zip archive is not one that torch.save wrote; save it again.")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}byteorder" in parts and archive.read(f"{root}byteorder") != b"little":
            raise RolloutError(f"{name}: its tensors are big-endian; save it on a little-endian machine.")
        kept: dict[str, Any] = {}

        def persistent(reference: Any) -> Any:
            kind, key = _storage_key(reference)
            if key not in kept:
                kept[key] = storage(kind, archive.read(f"{root}data/{key}"))
            return kept[key]

        return load(name, archive.read(pickles[0]), CALLS, persistent)
    except RolloutError:
        raise
    except DAMAGED:
        raise RolloutError(f"{name}: this torch file is cut short or damaged; copy or write it again.") from None


def _storage_key(reference: Any) -> tuple[Any, str]:
    if not isinstance(reference, tuple) or len(reference) != 5 or reference[0] != "storage":
        raise PickleError("refers to something that is not a storage")
    key = reference[2]
    if not isinstance(key, str) or not key.isalnum():
        raise PickleError("refers to a storage without a name")
    return reference[1], key


def _check(name: str, data: bytes, parts: dict[str, zipfile.ZipInfo]) -> None:
    packed = any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in parts.values())
    if packed or sum(info.file_size for info in parts.values()) > len(data) or len(parts) > _MAX_PARTS:
        raise RolloutError(
            f"{name}: this archive is compressed, encrypted or overlaps itself, which no file of torch.save does; "
            "save it again."
        )
