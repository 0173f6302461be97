"""Files as other people's frameworks write them, recognised by what is in them and not by their name.

`FORMATS` is the one list: page, documentation and tests take it from here. A new format is a module with
a `FORMAT` and its line below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.build import build, building
from sapo_viz.rollouts.formats import (
    nemo_rl,
    openai_logprobs,
    pickled,
    prime_rl,
    skyrl,
    slime,
    texts_only,
    torch_file,
    unipo,
)
from sapo_viz.rollouts.formats.base import Contents, Format, Item, Notes
from sapo_viz.rollouts.formats.documents import first_part, has_keys, objects
from sapo_viz.rollouts.formats.pair import NO_ADVANTAGES, OnePolicy, OnlyOnePolicy, pair, without_advantages
from sapo_viz.rollouts.schema import DISK, UPLOAD, Limits, Rollouts
from sapo_viz.rollouts.steps import Steps, finish
from sapo_viz.rollouts.texts import NoLogprobs, TextDump

FORMATS: tuple[Format, ...] = (
    nemo_rl.FORMAT,
    prime_rl.FORMAT,
    slime.TRAIN,
    slime.ROLLOUT,
    skyrl.FORMAT,
    unipo.FORMAT,
    openai_logprobs.FORMAT,
    texts_only.TRL,
    texts_only.VERL,
    texts_only.SWIFT,
    texts_only.ROLL,
)

Found = tuple[Format, Iterator[Item]]


def read_known(name: str, data: bytes, limits: Limits = UPLOAD) -> Rollouts | None:
    """The sequences of a framework's file; None where no framework of `FORMATS` wrote it.

    Raises:
        OnlyOnePolicy: it holds one policy's log-probs; the error carries them.
        NoLogprobs: it holds texts only; the error carries them.
        RolloutError: it is such a file and something in it is wrong.
    """
    return finish(reading_known(name, data, limits))


def reading_known(name: str, data: bytes, limits: Limits = UPLOAD) -> Steps[Rollouts | None]:
    """`read_known` in steps."""
    found = recognise(name, data)
    if found is None:
        return None
    notes = Notes()
    contents = found[0].read(name, found[1], notes)
    if isinstance(contents, OnePolicy):
        raise OnlyOnePolicy(contents)
    if isinstance(contents, TextDump):
        raise NoLogprobs(contents)
    lines = data.count(b"\n") if found[0].kind == "json" else 0
    rollouts = yield from building(name, contents, limits, lines if lines > 1 else None)
    title = found[0].name
    notes_of_it = (f"Read as {title}.", *notes.sentences(), *rollouts.notes)
    return replace(rollouts, notes=notes_of_it, same_weights=found[0].same_weights(rollouts))


def read_pair(new: bytes, new_name: str, old: bytes, old_name: str, limits: Limits = UPLOAD) -> Rollouts:
    """The sequences that two files hold together: logprobs from the first, old_logprobs from the second.

    Raises:
        RolloutError: one is too large, one of them does not hold one policy's log-probs, or their tokens differ.
    """
    for name, data in ((new_name, new), (old_name, old)):
        if len(data) > limits.bytes:
            raise RolloutError(f"{name}: the file has more than {limits.bytes // 1024**2:,} MB; split it.")
    one, other = _one_policy(new_name, new), _one_policy(old_name, old)
    records = pair(one, other)
    rollouts = build(f"{new_name} with {old_name}", records, limits)
    notes = dict.fromkeys((f"logprobs from {new_name}, old_logprobs from {old_name}.", *one.notes, *other.notes))
    if without_advantages(records):
        notes[NO_ADVANTAGES] = None
    return replace(rollouts, notes=(*notes, *rollouts.notes))


def read_pair_files(new: Path | str, old: Path | str) -> Rollouts:
    """`read_pair` for two files on disk."""
    paths = [Path(new), Path(old)]
    try:
        for path in paths:
            if path.stat().st_size > DISK.bytes:
                raise RolloutError(f"{path}: the file has more than {DISK.bytes // 1024**2:,} MB; split it.")
        first, second = (path.read_bytes() for path in paths)
    except OSError as error:
        raise RolloutError(
            f"{error.filename}: it cannot be opened ({error.strerror}); check name and rights."
        ) from None
    return read_pair(first, paths[0].name, second, paths[1].name, DISK)


def _one_policy(name: str, data: bytes) -> OnePolicy:
    needs = "a pair needs files with one policy's log-probs each, as a server's responses or a slime rollout dump"
    try:
        whole = read_known(name, data)
    except OnlyOnePolicy as error:
        return error.one
    except NoLogprobs as error:
        raise RolloutError(f"{name}: this is {error.texts.format} without log-probs; {needs}.") from None
    if whole is not None:
        raise RolloutError(f"{name}: this file holds both policies already; open it alone, without a second.")
    raise RolloutError(f"{name}: this is none of the known files with one policy's log-probs; {needs}.")


def recognise(name: str, data: bytes) -> Found | None:
    """The format that wrote `data`, and the file's objects. Other files cost a look at their first line.

    Raises:
        RolloutError: it is damaged, or a pickle or torch file that no format knows.
    """
    if data.startswith(b"PAR1"):
        footer = texts_only.parquet_columns(data)
        likely = [f for f in FORMATS if f.kind == "parquet" and all(mark.encode() in footer for mark in f.marks)]
        return _first(likely, texts_only.parquet_items(name, data)) if likely else None
    if data.startswith(torch_file.LEGACY):
        raise RolloutError(f"{name}: this file is from torch before 1.6; load it and save it again with a newer torch.")
    if torch_file.is_torch(data):
        return _whole(name, "torch", torch_file.read(name, data))
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _whole(name, "pickle", skyrl.load_batch(name, data))
    data = data.removeprefix(b"\xef\xbb\xbf")
    part = first_part(data)
    likely = [f for f in FORMATS if f.kind == "json" and has_keys(part, f.marks)]
    return _first(likely, objects(name, data)) if likely else None


def _first(candidates: list[Format], items: Iterator[Item]) -> Found | None:
    first = next(items, None)
    if first is None:
        return None
    for format in candidates:
        if format.recognise(first[1]):
            return format, _chain(first, items)
    return None


def _whole(name: str, kind: str, value: Any) -> Found:
    known = [f for f in FORMATS if f.kind == kind]
    if isinstance(value, Mapping):
        for format in known:
            if format.recognise(value):
                return format, iter([("the file", value)])
    what = {"torch": "torch file", "pickle": "Python pickle"}[kind]
    titles = " or ".join(dict.fromkeys(f"{f.framework}'s {f.file}" for f in known))
    raise RolloutError(f"{name}: this {what} is not {titles}; {pickled.WAY_ROUND}.")


def _chain(first: Item, rest: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from rest


__all__ = ["FORMATS", "Contents", "Format", "read_known", "read_pair", "read_pair_files", "recognise"]
