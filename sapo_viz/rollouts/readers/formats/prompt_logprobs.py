"""vLLM's `prompt_logprobs`: how a model scores the tokens of a text that it was given.

Under `choices[]` of a completion, or beside `choices` of a chat completion (vllm-project/vllm,
vllm/entrypoints/openai): null for the first token, then for each position an object of token id → {logprob, rank,
decoded_token}. It holds the token that is there *and* the model's favourites. The token's own entry is the one
whose id `prompt_token_ids` names (`return_token_ids`); else, where favourites are k and entries k + 1, the one with a
rank beyond them; else the first, where vLLM puts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.base import Entry, Format, Item, Notes, each
from sapo_viz.rollouts.readers.formats.openai_logprobs import body_of, label_of, measured
from sapo_viz.rollouts.readers.formats.pair import OnePolicy, OneSequence
from sapo_viz.rollouts.record import shown

NAME = "prompt_logprobs"
FIRST = "First tokens of a prompt, which have no log-prob, left out"
SAID = "The log-probs are those of the prompt's tokens, as the model scores them (prompt_logprobs)."


def recognise(first: Mapping[str, Any]) -> bool:
    return any(_asked(holder) for holder in _holders(body_of(first)))


def read(file: str, items: Iterator[Item], notes: Notes) -> OnePolicy:
    numbers = count(1)

    def take(row: Entry) -> Iterator[OneSequence]:
        number = next(numbers)
        body = Entry(file, row.place, body_of(row.values))
        holders = [holder for holder in _holders(body.values) if _asked(holder)]
        for index, values in enumerate(holders, start=1):
            yield _scored(Entry(file, row.place, values), f"{number}.{index}", label_of(row, body, number), notes)

    notes.say(SAID)
    sequences = tuple(each(file, items, notes, take))
    return OnePolicy(file, FORMAT.name, sequences, notes.sentences())


def _holders(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = body.get("choices")
    inner = [choice for choice in choices if isinstance(choice, Mapping)] if isinstance(choices, list) else []
    return [body, *inner]


def _asked(holder: Mapping[str, Any]) -> bool:
    """Whether these are its log-probs: a choice that also has those of generated tokens is read for them."""
    return isinstance(holder.get(NAME), list) and not holder.get("logprobs")


def scored(row: Entry, name: str, notes: Notes) -> OneSequence:
    """The prompt's tokens of one holder of `prompt_logprobs`, in a group of its own."""
    return _scored(row, name, name, notes)


def _scored(row: Entry, name: str, group: str, notes: Notes) -> OneSequence:
    positions = row.entries(NAME)
    known = row.values.get("prompt_token_ids")
    if not isinstance(known, list) or len(known) != len(positions):
        known = [None] * len(positions)
    positions = [_without_gaps(entries) for entries in positions]
    favourites = _favourites([entries for entries in positions if isinstance(entries, Mapping)])
    own: list[tuple[str, Mapping[str, Any]]] = []
    for index, (entries, token) in enumerate(zip(positions, known, strict=True)):
        if entries is None:
            notes.count(FIRST)
            continue
        place = Entry(row.file, f"{row.place}, {NAME}[{index}]", {"entries": entries})
        if not isinstance(entries, Mapping) or not all(isinstance(entry, Mapping) for entry in entries.values()):
            place.fail(f"it is {shown(entries)}; it takes token ids with logprob, rank and decoded_token")
        key = _own(entries, token, favourites)
        if key is None or not key.isdecimal() or len(key) > 15:
            place.fail(f"{shown(key)} is not a token's id; it takes a whole number from 0")
        own.append((key, entries[key]))
    ids = np.array([int(key) for key, _ in own], dtype=np.int64)
    column = Entry(row.file, row.place, {NAME: [entry.get("logprob") for _, entry in own]})
    logprobs, there = measured(column.numbers(NAME, len(own), NAME), notes)
    texts = [entry.get("decoded_token") for _, entry in own]
    return OneSequence(
        id=name,
        tokens=tuple(text if isinstance(text, str) else f"⟨{key}⟩" for text, (key, _) in zip(texts, own, strict=True)),
        logprobs=np.where(there, logprobs, np.nan),
        mask=there,
        token_ids=ids,
        group=group,
    )


def _without_gaps(entries: Any) -> Any:
    """Only entries that are there: a table has a place in every row for every id. A number alone is the log-prob."""
    if not isinstance(entries, Mapping):
        return entries
    there = {key: entry for key, entry in entries.items() if entry is not None}
    return {key: {"logprob": entry} if isinstance(entry, (int, float)) else entry for key, entry in there.items()}


def _own(entries: Mapping[str, Any], token: Any, favourites: int | None) -> str | None:
    """The id of the token that is there."""
    if token is not None and str(token) in entries:
        return str(token)
    if favourites is not None and len(entries) > favourites:
        return max(entries, key=lambda key: _rank(entries[key]))
    return next(iter(entries), None)


def _favourites(positions: Sequence[Mapping[str, Any]]) -> int | None:
    """How many favourites were asked for; None where every position may hold them alone.

    A token that is one of them adds no entry of its own, and one that is not has a rank beyond them.
    """
    sizes = {len(entries) for entries in positions}
    outside = any(_rank(entry) > len(entries) for entries in positions for entry in entries.values())
    return max(sizes) - 1 if len(sizes) > 1 or outside else None


def _rank(entry: Any) -> int:
    rank = entry.get("rank") if isinstance(entry, Mapping) else None
    return rank if isinstance(rank, int) else 0


FORMAT = Format(
    name="a vLLM response with prompt_logprobs",
    framework="vLLM",
    file="responses saved as JSON or JSONL",
    docs="https://docs.vllm.ai/en/latest/serving/openai_compatible_server/",
    kind="json",
    holds="one policy",
    marks=("choices", NAME),
    taken="`prompt_logprobs`: the prompt's tokens, each with its own entry among the model's favourites",
    recognise=recognise,
    read=read,
    at_top=False,
)
