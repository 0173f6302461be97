"""What a file is packed in: gzip, zstd, bzip2, xz, UTF-16, or an archive of files.

Unpacked in memory, a piece at a time, and never beyond what a file of its kind may have; nothing is written to a disk,
and a name inside an archive is looked at and never followed.
"""

from __future__ import annotations

import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from sapo_viz.errors import RolloutError

_CODECS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # as PowerShell's > writes it
_PIECE = 1 << 12  # of a stream that ends too early the last one is lost
_XZ_MEMORY = 80 * 1024**2  # that unpacking may take: xz -9 needs 65 MB, and a header may ask for 4 GB
_LAYERS = 3  # a .tar.gz has two
_MOST = 1_000  # files of an archive
_READ = re.compile(r"(?i)\.(jsonl?|ndjson|csv|parquet|pt|pkl)(\.(gz|zst|bz2|xz))?$")
# What damaged archives have zipfile and tarfile raise, of whatever makes they are; hence the general ones.
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, OSError, EOFError),
    *(ValueError, LookupError, ArithmeticError, RuntimeError),
)


@dataclass(frozen=True)
class Member:
    """A file of an archive. `path` has `/`; it is a name and leads nowhere."""

    path: str
    data: bytes


def unpacked(name: str, data: bytes, most: int) -> tuple[bytes, list[str]]:
    """The bytes in UTF-8 as they were before they were compressed, and sentences on what is missing of them.

    Raises:
        RolloutError: they come to more than `most`, or are damaged from their beginning on.
    """
    told: list[str] = []
    for _ in range(_LAYERS):
        codec = next((codec for magic, codec in _CODECS.items() if data.startswith(magic)), None)
        if codec is None:
            break
        data, whole = _decompressed(name, data, codec, most)
        if not whole:
            told.append(f"The {codec} stream ends too early; read is what came before.")
    if data.startswith(_UTF16):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise RolloutError(f"{name}: this begins as UTF-16 text and is none; save it as UTF-8.") from None
    return data, told


def _decompressed(name: str, data: bytes, codec: str, most: int) -> tuple[bytes, bool]:
    import pyarrow as pa

    out = io.BytesIO()
    try:
        for piece in _of_xz(data) if codec == "xz" else _of_arrow(data, codec):
            out.write(piece)
            if out.tell() > most:
                raise _too_much(name, most)
    except (OSError, EOFError, lzma.LZMAError, pa.ArrowException) as error:
        if not out.tell():
            raise RolloutError(f"{name}: this is {codec} and damaged ({error}); compress it again.") from None
        return out.getvalue(), False
    return out.getvalue(), True


def _of_arrow(data: bytes, codec: str) -> Iterator[bytes]:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _of_xz(data: bytes) -> Iterator[bytes]:
    """Arrow has no xz. Several streams may follow one another, with zeros between them."""
    while data:
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        piece = stream.decompress(data, _PIECE)
        while True:
            yield piece
            if stream.eof:
                break
            piece = stream.decompress(b"", _PIECE)
            if not piece and stream.needs_input:
                raise EOFError("its end is missing")
        data = stream.unused_data.lstrip(b"\x00")


def _too_much(name: str, most: int) -> RolloutError:
    return RolloutError(f"{name}: unpacked it has more than {most // 1024**2:,} MB; split it.")


def is_archive(data: bytes) -> bool:
    """A zip archive, as torch files are too, or a tar."""
    return data.startswith(b"PK\x03\x04") or data[257:262] == b"ustar"


def members(name: str, data: bytes, most: int) -> list[Member]:
    """The files of an archive that may hold sequences, in the order of their paths.

    Raises:
        RolloutError: none is there, there are too many, or together they have more than `most` bytes.
    """
    found: list[Member] = []
    left = most
    try:
        for path, file in _zipped(data) if data.startswith(b"PK") else _tarred(data):
            if len(found) == _MOST:
                raise RolloutError(f"{name}: this archive holds more than {_MOST:,} files; unpack it and choose.")
            content = file.read(left + 1)
            left -= len(content)
            if left < 0:
                raise _too_much(name, most)
            found.append(Member(path, content))
    except RolloutError:
        raise
    except DAMAGED:
        raise RolloutError(f"{name}: this archive is damaged or encrypted; unpack it first.") from None
    if not found:
        raise RolloutError(
            f"{name}: this archive (as .npz and .xlsx are) holds no JSON, JSONL, CSV, Parquet, .pt or .pkl file; save "
            "the sequences as one of these."
        )
    return sorted(found, key=lambda member: member.path)


def _zipped(data: bytes) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if not info.is_dir() and _may_hold(info.filename):
                with archive.open(info) as file:
                    yield info.filename, file


def _tarred(data: bytes) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            if info.isreg() and _may_hold(info.name) and (file := archive.extractfile(info)) is not None:
                with file:
                    yield info.name, file


def _may_hold(path: str) -> bool:
    parts = path.split("/")
    return bool(_READ.search(path)) and not any(part.startswith(("__MACOSX", "._")) for part in parts)
