"""Atropos: one line per scored group, written where `data_path_to_save_groups` names a file.

Written by `handle_send_to_api` (NousResearch/atropos, atroposlib/envs/base.py) from ScoredDataGroup: tokens, masks,
scores, and perhaps inference_logprobs, ref_logprobs, advantages, messages. Each is a list with one entry per
completion. `masks` repeats the token ids, with −100 on tokens that are not trained; inference_logprobs has 1.0 there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.base import (
    Contents,
    Entry,
    Format,
    Item,
    Notes,
    each,
    finite_mask,
    parts,
    response,
    samples_of,
)
from sapo_viz.rollouts.readers.formats.messages import messages_of, split
from sapo_viz.rollouts.readers.formats.pair import OneSequence
from sapo_viz.rollouts.readers.formats.text_rows import Text, contents
from sapo_viz.rollouts.vocabulary import IDS_ONLY, placeholders

FILLER = "Tokens masked out because their log-prob is the filler 1.0"
_UNTRAINED = -100


def recognise(first: Mapping[str, Any]) -> bool:
    return {"tokens", "masks", "scores"} <= first.keys()


def read(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    numbers = count(1)

    def take(group: Entry) -> Iterator[Text | OneSequence]:
        label = f"group {next(numbers)}"
        inside = count(1)

        def one(row: Entry) -> Iterator[Text | OneSequence]:
            number = next(inside)
            if row.has("inference_logprobs"):
                yield _sequence(row, f"{label}.{number}", label, notes)
            elif row.has("messages"):
                prompt, answer = split(row, messages_of(row, "messages"), notes)
                if answer is not None:
                    yield Text(prompt, answer, row.number("scores"), group=label)
            else:
                row.fail("this Atropos group has neither inference_logprobs nor messages; log one of them with it")

        yield from parts(samples_of(group, ("tokens",)), notes, one)

    return contents(file, FORMAT.name, each(file, items, notes, take), notes)


def _sequence(row: Entry, name: str, group: str, notes: Notes) -> OneSequence:
    notes.say(IDS_ONLY)
    ids = row.ids("tokens")
    marks = row.numbers("masks", len(ids), "tokens")
    mask = marks == 1 if np.isin(marks, (0, 1)).all() else marks != _UNTRAINED  # your own environment may say 0, 1
    logprobs = row.numbers("inference_logprobs", len(ids), "tokens")
    part = response(mask)
    filled = mask & (logprobs > 0)
    notes.count(FILLER, int(filled.sum()))

    def column(key: str) -> np.ndarray | None:
        return row.numbers(key, len(ids), "tokens")[part] if isinstance(row.values.get(key), list) else None

    credit = column("advantages")
    return OneSequence(
        id=name,
        tokens=tuple(placeholders(ids[part])),
        logprobs=np.where(mask & ~filled, logprobs, np.nan)[part],
        mask=finite_mask(mask & ~filled, notes, logprobs)[part],
        token_ids=ids[part],
        advantages=None if credit is None else np.nan_to_num(credit),
        ref_logprobs=column("ref_logprobs"),
        reward=row.number("scores"),
        group=group,
    )


FORMAT = Format(
    name="an Atropos group log",
    framework="Atropos",
    file="data_path_to_save_groups *.jsonl",
    docs="https://github.com/NousResearch/atropos/blob/main/atroposlib/envs/base.py",
    kind="json",
    holds="one policy",
    marks=("tokens", "masks", "scores"),
    taken="`inference_logprobs`, the sampler's; mask from `masks` (−100), reward from `scores`; a line is a group",
    recognise=recognise,
    read=read,
    lists={"tokens": 2},
)
