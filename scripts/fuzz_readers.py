"""`make fuzz`: mutated files for every reader, with the peak memory and the processor time that each takes.

Each file is read as an upload is. Allowed are 5 × the file + 300 MB and 2 s + 1 s for each 10 MB; whatever comes back
is sequences or one sentence. Fifty files share a process, since starting it takes longer than reading one: where they
together stay within what the smallest may take, each has. Otherwise each is read again in a process of its own, as the
app does it. Ends with status 1 where a file took more or broke a reader.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import random
import resource
import signal
import socket
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.paths import ASSETS
from sapo_viz.rollouts.apart import parcel
from sapo_viz.rollouts.apart.asking import Given, hand_over, keeper
from sapo_viz.rollouts.apart.keeper import load_readers
from sapo_viz.rollouts.readers.read import parsing
from sapo_viz.rollouts.schema import UPLOAD
from sapo_viz.rollouts.steps import finish

MB = 1024**2
TOGETHER = 50  # files


@dataclass(frozen=True)
class Took:
    """What reading one file took: peak of resident memory in bytes, processor seconds, and what was said."""

    peak: float
    seconds: float
    message: str

    def within(self, size: int) -> bool:
        """The bars; the processor's time is looked at every hundredth of a second, on a machine that others use."""
        sound = "stopped at an unexpected" not in self.message and self.message != "crash"
        return sound and self.peak <= 5 * size + 300 * MB and self.seconds <= 2.2 + size / 10e6


def measured(data: bytes, name: str = "x") -> Took:
    """Read it as an upload, and wait for what the keeper says of the reader when it has ended."""
    files = [Given.of_bytes(data, name)]
    message = ""
    with contextlib.closing(keeper().ask({"names": [name], "size": len(data), "disk": False})) as talk:
        for line in _lines(talk):
            if "ready" in line:
                hand_over(talk, files)
            elif "failed" in line:
                message = line["failed"]
            elif "ended" in line:
                return Took(line.get("peak", 0.0), line.get("seconds", 0.0), line["ended"] or message)
    return Took(0.0, 0.0, "crash")


def measured_together(files: Sequence[bytes], name: str) -> list[Took]:
    """The same for several files, each with the peak of them all; one after the other where one went too far."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        _read_all(files, name, theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb") as said:
        lines = [json.loads(line) for line in said]
    _, status, usage = os.wait4(pid, 0)
    took = [Took(usage.ru_maxrss * 1024, line["seconds"], line["message"]) for line in lines]
    if status == 0 and all(one.within(len(file)) for one, file in zip(took, files, strict=True)):
        return took
    return [measured(file, name) for file in files]


def _read_all(files: Sequence[bytes], name: str, out: int) -> None:
    """In a process of its own, which ends with it."""
    status = 1
    try:
        signal.alarm(60)
        resource.setrlimit(resource.RLIMIT_DATA, (1024 * MB, 1024 * MB))
        with os.fdopen(out, "w") as said:
            for file in files:
                began, message = time.process_time(), ""
                try:
                    with tempfile.TemporaryFile() as whole:
                        parcel.write(finish(parsing(file, name, UPLOAD)), whole)
                except RolloutError as error:
                    message = str(error)
                print(json.dumps({"seconds": time.process_time() - began, "message": message}), file=said)
        status = 0
    finally:
        os._exit(status)


def _lines(talk: socket.socket) -> Iterator[dict[str, Any]]:
    rest = b""
    while True:
        data, descriptors, _, _ = socket.recv_fds(talk, 1 << 16, 1)
        for descriptor in descriptors:
            os.close(descriptor)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from map(json.loads, lines)


# -- mutations: [bytes] -> [bytes] ---------------------------------------------------------------------------


def _flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        data[chance.randrange(len(data))] = chance.randrange(256)


def _cut(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.choice((1, 4, 100, len(data)))]


def _repeat(data: bytearray, chance: random.Random) -> None:
    """A piece many times: lists, rows and headers grow; at most a megabyte."""
    start = chance.randrange(len(data))
    piece = bytes(data[start : start + chance.choice((1, 2, 5, 40, 1000))])
    data[start:start] = piece * chance.choice((1, 10, 1000, max(1, MB // max(len(piece), 1))))


def _say(data: bytearray, chance: random.Random) -> None:
    """Something that parsers stumble over."""
    word = chance.choice(_WORDS)
    start = chance.randrange(len(data))
    data[start : start + chance.choice((0, 1, len(word)))] = word


def _number(data: bytearray, chance: random.Random) -> None:
    """Another length, offset or count where a little-endian one may stand."""
    start = chance.randrange(max(1, len(data) - 8))
    width = chance.choice((1, 2, 4, 8))
    value = chance.choice((0, 1, 127, 2**31 - 1, 2**32 - 1, 2**63 - 1, chance.randrange(2**30))) % 2 ** (8 * width)
    data[start : start + width] = value.to_bytes(width, "little")


_WORDS = (
    *(b"NaN", b"-Infinity", b"1e999", b"null", b"true", b"-0", b"9" * 5000, b"\\ud800", b"\xff\xfe", b"\x00", b'"'),
    *(b"[" * 5000, b'{"a":' * 5000, b"[]," * 5000, b",", b"\n", b"\r\n", b"]", b"}", b"(" * 3000, b"tokens", b"PAR1"),
)
_MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (_flip, _cut, _repeat, _say, _number)


def mutated(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if changed:
            chance.choice(_MUTATIONS)(changed, chance)
    return bytes(changed)


def seeds() -> dict[str, bytes]:
    """One file of each kind that a reader knows, and one of each kind of packing, by name; small enough to be read a
    thousand times."""
    samples = ASSETS / "samples"  # of the recorded runs below it one step stands here as it is
    paths = sorted(path for path in (*samples.glob("*"), *samples.glob("formats/*")) if path.is_file())
    found = {path.name: path.read_bytes() for path in paths if path.stat().st_size < MB}
    return found | {f"packed.{kind}": pack(found["verl-5.jsonl"]) for kind, pack in _PACKINGS.items()}


def _zipped(method: int) -> Callable[[bytes], bytes]:
    def pack(data: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("läufe/schritt.jsonl", data)
        return out.getvalue()

    return pack


def _tarred(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("läufe/schritt.jsonl")
        info.size, info.mtime = len(data), 1.5
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


_PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    **{f"{method}.zip": _zipped(method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)},
    **{"tar": _tarred, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress},
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="mutated files of each seed")
    parser.add_argument("--seconds", type=float, default=120.0, help="for all of them together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="seeds with this in their name")
    given = parser.parse_args(arguments)
    files = {name: data for name, data in seeds().items() if given.only in name}
    load_readers()
    wrong, end = 0, time.monotonic() + given.seconds
    for number, (name, data) in enumerate(files.items()):
        chance = random.Random(f"{given.seed} {name}")
        until = time.monotonic() + (end - time.monotonic()) / (len(files) - number)
        done, peak, seconds, refused = 0, 0.0, 0.0, 0
        while done < given.files and time.monotonic() < until:
            changed = (mutated(data, chance) for _ in range(min(TOGETHER, given.files - done)))
            batch = [file for file in changed if file]
            for file, took in zip(batch, measured_together(batch, name), strict=True):
                done += 1
                peak, seconds = max(peak, took.peak - 5 * len(file)), max(seconds, took.seconds - len(file) / 10e6)
                refused += took.message != ""
                if not took.within(len(file)):
                    wrong += 1
                    kept = Path(f"fuzz-{name}-{done}")
                    kept.write_bytes(file)
                    print(f"  {kept}: {took.peak / MB:,.0f} MB, {took.seconds:.2f} s: {took.message[:200]}")
        print(
            f"{name}: {done:,} files, {refused:,} refused; at most {peak / MB:,.0f} MB beside 5 × the file, "
            f"{seconds:.2f} s beside 1 s / 10 MB",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
