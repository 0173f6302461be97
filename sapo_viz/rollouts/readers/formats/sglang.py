"""SGLang's own `/generate`: responses with `meta_info`, saved as JSON or JSONL.

Shaped by `TokenizerManager` (sgl-project/sglang, python/sglang/srt/managers/tokenizer_manager.py): text, output_ids,
meta_info with id, finish_reason and, when `return_logprob` was asked for, output_token_logprobs and
input_token_logprobs: lists of [log-prob, token id, text or null]. The first of a prompt has no log-prob. Where nothing
was generated, as when a text was only scored, the prompt's tokens are taken. The request log has the response under
`out`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.base import Entry, Format, Item, Notes, each
from sapo_viz.rollouts.readers.formats.openai_logprobs import measured
from sapo_viz.rollouts.readers.formats.pair import OnePolicy, OneSequence
from sapo_viz.rollouts.record import shown
from sapo_viz.rollouts.vocabulary import placeholders

SCORED = "Responses that generated nothing: the log-probs are those of the prompt's tokens"
NOTHING = "Responses that generated nothing, as where a request was aborted, left out"
_OUTPUT, _INPUT = "output_token_logprobs", "input_token_logprobs"


def recognise(first: Mapping[str, Any]) -> bool:
    info = _body(first).get("meta_info")
    return isinstance(info, Mapping) and bool({_OUTPUT, _INPUT, "completion_tokens"} & info.keys())


def read(file: str, items: Iterator[Item], notes: Notes) -> OnePolicy:
    numbers = count(1)

    def take(row: Entry) -> Iterator[OneSequence]:
        info = Entry(file, row.place, _body(row.values)).inner("meta_info")
        found = _sequence(info, next(numbers), notes)
        if found is not None:
            yield found

    sequences = tuple(each(file, items, notes, take))
    return OnePolicy(file, FORMAT.name, sequences, notes.sentences())


def _body(values: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = values.get("out")
    return inner if isinstance(inner, Mapping) else values


def _sequence(info: Entry, number: int, notes: Notes) -> OneSequence | None:
    name = next((name for name in (_OUTPUT, _INPUT) if info.has(name) and len(info.entries(name))), None)
    if name is None:
        if not info.has(_OUTPUT) and info.values.get("completion_tokens") != 0:
            info.fail(f"{_OUTPUT} is missing; ask SGLang for it (return_logprob=true)")
        notes.count(NOTHING)
        return None
    notes.count(SCORED, int(name == _INPUT))
    entries = info.entries(name)
    for index, entry in enumerate(entries):
        if not isinstance(entry, (list, tuple, np.ndarray)) or len(entry) < 2:
            info.fail(f"{name}[{index}] is {shown(entry)}; it takes [log-prob, token id, text]")
    if name == _INPUT and len(entries) and entries[0][0] is None:
        entries = entries[1:]
    ids = Entry(info.file, info.place, {name: [entry[1] for entry in entries]}).ids(name)
    column = Entry(info.file, info.place, {name: [entry[0] for entry in entries]})
    logprobs, there = measured(column.numbers(name, len(entries), name), notes)
    texts = [entry[2] if len(entry) > 2 else None for entry in entries]
    spelled = [text for text in texts if isinstance(text, str)]
    return OneSequence(
        id=str(number),
        tokens=tuple(spelled) if len(spelled) == len(texts) else tuple(placeholders(ids)),
        logprobs=np.where(there, logprobs, np.nan),
        mask=there,
        token_ids=ids,
        group=f"response {number}",
    )


FORMAT = Format(
    name="an SGLang response",
    framework="SGLang",
    file="/generate responses saved as JSON or JSONL",
    docs="https://docs.sglang.ai/basic_usage/native_api.html",
    kind="json",
    holds="one policy",
    marks=("meta_info",),
    taken="`meta_info.output_token_logprobs`; where nothing was generated `input_token_logprobs`",
    recognise=recognise,
    read=read,
)
