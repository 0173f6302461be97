"""Files as other people's frameworks write them, recognised by what is in them and not by their name.

`FORMATS` is the one list: page, documentation and tests take it from here. A new format is a module with
a `FORMAT` and its line below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sapo_viz.rollouts.build import build
from sapo_viz.rollouts.formats import nemo_rl, prime_rl
from sapo_viz.rollouts.formats.base import Contents, Format, Item, Notes
from sapo_viz.rollouts.formats.documents import first_part, has_keys, objects
from sapo_viz.rollouts.formats.pair import OnePolicy, OnlyOnePolicy
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.texts import NoLogprobs, TextDump

FORMATS: tuple[Format, ...] = (
    nemo_rl.FORMAT,
    prime_rl.FORMAT,
)


def read_known(name: str, data: bytes) -> Rollouts | None:
    """The sequences of a framework's file; None where no framework of `FORMATS` wrote it.

    Raises:
        OnlyOnePolicy: it holds one policy's log-probs; the error carries them.
        NoLogprobs: it holds texts only; the error carries them.
        RolloutError: it is such a file and something in it is wrong.
    """
    found = recognise(name, data)
    if found is None:
        return None
    notes = Notes()
    contents = found[0].read(name, found[1], notes)
    if isinstance(contents, OnePolicy):
        raise OnlyOnePolicy(contents)
    if isinstance(contents, TextDump):
        raise NoLogprobs(contents)
    rollouts = build(name, contents)
    return replace(rollouts, notes=(f"Read as {found[0].name}.", *notes.sentences(), *rollouts.notes))


def recognise(name: str, data: bytes) -> tuple[Format, Iterator[Item]] | None:
    """The format that wrote `data`, and the file's objects; own files cost one look at their first line."""
    part = first_part(data)
    candidates = [f for f in FORMATS if f.kind == "json" and has_keys(part, f.marks)]
    if not candidates:
        return None
    items = objects(name, data)
    first = next(items, None)
    if first is None:
        return None
    for format in candidates:
        if format.recognise(first[1]):
            return format, _chain(first, items)
    return None


def _chain(first: Item, rest: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from rest


__all__ = ["FORMATS", "Contents", "Format", "read_known", "recognise"]
