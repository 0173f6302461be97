"""Files as other people's frameworks write them, recognised by what is in them and not by their name.

`FORMATS` is the one list: page, documentation and tests take it from here. A new format is a module with
a `FORMAT` and its line below.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.build import build, building
from sapo_viz.rollouts.readers.files.csv_file import NEEDED
from sapo_viz.rollouts.readers.files.packed import unpacked
from sapo_viz.rollouts.readers.formats import (
    art,
    atropos,
    conversations,
    csv_rows,
    nemo_gym,
    nemo_rl,
    oat,
    open_instruct,
    openai_logprobs,
    parquet,
    pickled,
    prime_rl,
    prime_rl_traces,
    prompt_logprobs,
    rl_logging_board,
    sglang,
    skyrl,
    slime,
    summaries,
    tables,
    texts_only,
    torch_file,
    unipo,
    verifiers,
    vllm_outputs,
)
from sapo_viz.rollouts.readers.formats.base import Contents, Format, Item, Notes, of_batch
from sapo_viz.rollouts.readers.formats.documents import first_part, has_keys, objects
from sapo_viz.rollouts.readers.formats.envelopes import LOOK, frame_rows, opened, rows_in
from sapo_viz.rollouts.readers.formats.pair import NO_ADVANTAGES, FileContents, OnePolicy, pair, without_advantages
from sapo_viz.rollouts.record import shown
from sapo_viz.rollouts.schema import DISK, UPLOAD, Limits, Rollouts
from sapo_viz.rollouts.steps import Steps, finish
from sapo_viz.rollouts.texts import TextDump

FORMATS: tuple[Format, ...] = (
    nemo_rl.FORMAT,
    prime_rl.FORMAT,
    slime.TRAIN,
    slime.ROLLOUT,
    skyrl.FORMAT,
    unipo.FORMAT,
    prime_rl_traces.FORMAT,
    open_instruct.FORMAT,
    atropos.FORMAT,
    verifiers.FORMAT,
    nemo_gym.TOKENS,
    nemo_gym.ROLLOUTS,
    rl_logging_board.FORMAT,
    art.GROUPS,
    art.PARQUET,
    vllm_outputs.FORMAT,
    prompt_logprobs.FORMAT,
    openai_logprobs.FORMAT,
    openai_logprobs.RESPONSES,
    sglang.FORMAT,
    texts_only.SWIFT,
    texts_only.TRL,
    texts_only.VERL,
    texts_only.ROLL,
    texts_only.SKYRL,
    oat.FORMAT,
    conversations.ROLL_AGENTIC,
    conversations.NEMO_RL_VALIDATION,
    conversations.RLLM,
    summaries.TINKER,
    summaries.UNIPO,
    summaries.OPEN_INSTRUCT,
    summaries.SKYRL,
)
ROWS = tuple(format for format in FORMATS if format.kind in ("json", "parquet"))

_COMMON = {"prompt", "response", "completion", "messages", "content", "choices", "scores"}  # names that say little

Recognised = tuple[Format, Iterator[Item]]


def read_known(name: str, data: bytes, limits: Limits = UPLOAD) -> FileContents | None:
    """What a framework's file holds; None where no framework of `FORMATS` wrote it.

    Raises:
        RolloutError: it is such a file and something in it is wrong.
    """
    return finish(reading_known(name, data, limits))


def reading_known(name: str, data: bytes, limits: Limits = UPLOAD) -> Steps[FileContents | None]:
    """`read_known` in steps."""
    notes = Notes()
    found = recognise(name, data, notes)
    if found is None:
        return None
    contents = found[0].read(name, found[1], notes)
    if isinstance(contents, OnePolicy):
        if not contents.sequences:
            why = " ".join(contents.notes).removesuffix(".")
            raise RolloutError(
                f"{name}: this is {contents.format}, and there is no completion with log-probs in it"
                f"{f' ({why})' if why else ''}; give at least one."
            )
        return contents
    if isinstance(contents, TextDump):
        return contents
    lines = data.count(b"\n") if found[0].kind == "json" else 0
    rollouts = yield from building(name, contents, limits, lines if lines > 1 else None, notes.skip)
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
    one, other = _one_policy(new_name, new, limits.bytes), _one_policy(old_name, old, limits.bytes)
    records = pair(one, other)
    skipped = Notes()
    rollouts = build(f"{new_name} with {old_name}", records, limits, skipped.skip)
    notes = dict.fromkeys(
        (f"logprobs from {new_name}, old_logprobs from {old_name}.", *one.notes, *other.notes, *skipped.sentences())
    )
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
            f"{error.filename}: it cannot be opened ({error.strerror}); check its name and permissions."
        ) from None
    return read_pair(first, paths[0].name, second, paths[1].name, DISK)


def _one_policy(name: str, data: bytes, most: int) -> OnePolicy:
    needs = "a pair needs files with one policy's log-probs each, as a server's responses or a slime rollout dump"
    data, told = unpacked(name, data, most)
    found = read_known(name, data)
    if isinstance(found, OnePolicy):
        return replace(found, notes=(*found.notes, *told))
    if isinstance(found, TextDump):
        raise RolloutError(f"{name}: this is {found.format} without log-probs; {needs}.")
    if found is not None:
        raise RolloutError(f"{name}: this file holds both policies already; open it alone, without a second.")
    raise RolloutError(f"{name}: this is none of the known files with one policy's log-probs; {needs}.")


def recognise(name: str, data: bytes, notes: Notes) -> Recognised | None:
    """The format that wrote `data`, and the file's objects. Other files cost a look at their first lines.

    Raises:
        RolloutError: it is damaged, or a pickle or torch file that no format knows.
    """
    if data.startswith(b"PAR1"):
        return _of_parquet(name, data)
    if data.startswith(torch_file.LEGACY):
        raise RolloutError(f"{name}: this file is from torch before 1.6; load it and save it again with a newer torch.")
    if torch_file.is_torch(data):
        return _whole(name, "torch", torch_file.read(name, data))
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _whole(name, "pickle", skyrl.load_batch(name, data))
    data = data.removeprefix(b"\xef\xbb\xbf")
    part = first_part(data)
    if has_keys(part, tables.MARKS):
        found = _first(list(ROWS), tables.rows(name, objects(name, data, notes.skip), notes))
        if found is not None:
            return found
        tables.refuse(name, objects(name, data, notes.skip))
    if not part:
        return _of_csv(name, data)
    likely = [f for f in ROWS if has_keys(part, f.marks)]
    return _first(likely, objects(name, data, notes.skip)) if likely else None


def _of_parquet(name: str, data: bytes) -> Recognised | None:
    """One that a framework writes as Parquet, or one that was saved so from its JSON."""
    footer = parquet.columns(data)
    likely = [format for format in ROWS if all(mark.encode() in footer for mark in format.marks)]
    own = [format for format in likely if format.kind == "parquet"]
    found = None
    if own:
        first = next(parquet.items(name, data), ("", {}))[1]
        if not any(isinstance(first.get(mark), parquet.Unread) for format in own for mark in format.marks):
            found = _first(own, parquet.items(name, data))
    return found or (_first(likely, parquet.items(name, data, whole=True)) if likely else None)


def _of_csv(name: str, data: bytes) -> Recognised | None:
    """One that was saved as a table, one line per sample; the app's own has one per token."""
    columns = csv_rows.header(data)
    if not columns or set(NEEDED) <= set(columns):
        return None
    likely = [format for format in ROWS if all(csv_rows.has_name(data, columns, mark) for mark in format.marks)]
    return _first(likely, csv_rows.items(name, data)) if likely else None


def check_alike(name: str, fields: Collection[str]) -> None:
    """RolloutError where a framework's file would have these fields and one more, and they are no sequence's."""
    if {"tokens", "token_ids", *NEEDED} & set(fields):
        return
    near = [f for f in ROWS if f.at_top and len(f.marks) > 1 and len(set(f.marks) - set(fields)) == 1]
    near = [f for f in near if set(f.marks) & set(fields) - _COMMON]
    if near:
        format = max(near, key=lambda f: len(f.marks))
        has = ", ".join(shown(field, 24).strip("'\"") for field in list(fields)[:12])
        lacks = next(mark for mark in format.marks if mark not in fields)
        beside = " and ".join(mark for mark in format.marks if mark != lacks)
        raise RolloutError(
            f"{name}: {lacks} is missing, which {format.name} has beside {beside}; write it too (fields found: {has})."
        )


def _first(candidates: list[Format], items: Iterator[Item]) -> Recognised | None:
    """The candidate that knows one of the first objects: the very first may be a header or a failed request.

    Where none does, the one that knows what these objects hold (`envelopes`).
    """
    items = ((place, of_batch(values)) for place, values in frame_rows(items))
    seen: list[Item] = []
    for item in islice(items, LOOK):
        seen.append(item)
        for format in candidates:
            if format.recognise(item[1]):
                rows = chain(seen, items)
                return format, rows_in(rows, format.knows) if format.lists else rows
    for _, values in seen:
        for format in candidates:
            if opened(values, format.knows) is not None:
                return format, rows_in(chain(seen, items), format.knows)
    return None


def _whole(name: str, kind: str, value: Any) -> Recognised:
    known = [f for f in FORMATS if f.kind == kind]
    if isinstance(value, Mapping):
        for format in known:
            if format.recognise(value):
                return format, iter([("the file", value)])
    what = {"torch": "torch file", "pickle": "Python pickle"}[kind]
    titles = " or ".join(dict.fromkeys(f"{f.framework}'s {f.file}" for f in known))
    raise RolloutError(f"{name}: this {what} is not {titles}; {pickled.WAY_ROUND}.")


__all__ = ["FORMATS", "Contents", "Format", "read_known", "read_pair", "read_pair_files", "recognise"]
