"""vLLM's own outputs, `LLM.generate`, saved as JSON or JSONL: one `RequestOutput` an object.

`RequestOutput` and `CompletionOutput` (vllm-project/vllm, vllm/outputs.py): request_id, prompt, prompt_token_ids,
prompt_logprobs, outputs[] of index, text, token_ids, logprobs, finish_reason. `logprobs` has for each token an object
of token id → {logprob, rank, decoded_token}: the token's own entry is the one whose id `token_ids` names, beside the
favourites that were asked for. Where nothing was asked of the generated tokens and `prompt_logprobs` are there, as when
a text was scored, these are taken. Whoever saves them decides how: `vars` and `dataclasses.asdict` leave objects, a
`default=str` leaves the text "Logprob(logprob=-0.5, rank=1, decoded_token='4')".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.base import Contents, Entry, Format, Item, Notes, each, parts
from sapo_viz.rollouts.readers.formats.openai_logprobs import measured
from sapo_viz.rollouts.readers.formats.pair import OneSequence
from sapo_viz.rollouts.readers.formats.prompt_logprobs import NAME as PROMPT
from sapo_viz.rollouts.readers.formats.prompt_logprobs import SAID, scored
from sapo_viz.rollouts.readers.formats.text_rows import Text, contents
from sapo_viz.rollouts.readers.formats.written import value_in
from sapo_viz.rollouts.record import shown

_PRINTED = re.compile(r"(?s)Logprob\(logprob=(?P<logprob>[^,]+), rank=(?P<rank>[^,]+), decoded_token=(?P<text>.*)\)")


def recognise(first: Mapping[str, Any]) -> bool:
    outputs = first.get("outputs")
    some = outputs[0] if isinstance(outputs, list) and outputs else None
    return isinstance(some, Mapping) and {"token_ids", "text"} <= some.keys() and "prompt_token_ids" in first


def read(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    def take(request: Entry) -> Iterator[Text | OneSequence]:
        label = str(request.values.get("request_id", request.place))
        outputs = request.objects("outputs")
        if request.has(PROMPT) and not any(one.has("logprobs") for one in outputs):
            notes.say(SAID)
            yield scored(
                Entry(file, request.place, {PROMPT: _positions(request, PROMPT), **_ids(request)}), label, notes
            )
            return
        yield from parts(outputs, notes, lambda one: [_completion(request, one, label, notes)])

    return contents(file, FORMAT.name, each(file, items, notes, take), notes)


def _ids(request: Entry) -> dict[str, Any]:
    return {"prompt_token_ids": request.values.get("prompt_token_ids")}


def _completion(request: Entry, output: Entry, label: str, notes: Notes) -> Text | OneSequence:
    prompt = request.values.get("prompt")
    prompt = prompt if isinstance(prompt, str) else None
    if not output.has("logprobs"):
        return Text(prompt or "", output.text("text"), group=label)
    ids = output.ids("token_ids")
    positions = _positions(output, "logprobs")
    if len(positions) != len(ids):
        output.fail(f"logprobs has {len(positions):,} entries; it takes as many as token_ids, {len(ids):,}")
    own = [entries.get(str(token)) if isinstance(entries, Mapping) else None
           for token, entries in zip(ids.tolist(), positions, strict=True)]  # fmt: skip
    column = Entry(output.file, output.place, {"logprobs": [_number(entry) for entry in own]})
    logprobs, there = measured(column.numbers("logprobs", len(ids), "token_ids"), notes)
    texts = [entry.get("decoded_token") if isinstance(entry, Mapping) else None for entry in own]
    return OneSequence(
        id=f"{label}.{output.values.get('index', 0)}",
        tokens=tuple(text if isinstance(text, str) else f"⟨{token}⟩" for text, token in zip(texts, ids, strict=True)),
        logprobs=np.where(there, logprobs, np.nan),
        mask=there,
        token_ids=ids,
        group=label,
        prompt=prompt,
    )


def _number(entry: Any) -> Any:
    return entry.get("logprob") if isinstance(entry, Mapping) else entry


def _positions(row: Entry, name: str) -> list[Any]:
    """An object of entries a position, however they were written; null at the first token of a prompt."""
    given = row.values[name]
    if isinstance(given, str):
        given = value_in(given)
    if not isinstance(given, list):
        row.fail(f"{name} is {shown(given)}; it takes a list with one object of log-probs per token")
    return [
        {str(key): _entry(entry) for key, entry in position.items()} if isinstance(position, Mapping) else position
        for position in given
    ]


def _entry(entry: Any) -> Any:
    """{logprob, rank, decoded_token}; a number alone is the log-prob."""
    if isinstance(entry, (int, float)):
        return {"logprob": entry}
    printed = _PRINTED.fullmatch(entry) if isinstance(entry, str) else None
    if printed is None:
        return entry
    rank = int(printed["rank"]) if printed["rank"].isdecimal() else None
    text = printed["text"]
    return {"logprob": printed["logprob"], "rank": rank, "decoded_token": None if text == "None" else _unquoted(text)}


def _unquoted(text: str) -> str:
    """What Python's `repr` of a text stands for."""
    found = value_in(f"[{text}]")
    return str(found[0]) if isinstance(found, list) and found else text


FORMAT = Format(
    name="vLLM outputs",
    framework="vLLM",
    file="LLM.generate's outputs saved as JSON or JSONL",
    docs="https://github.com/vllm-project/vllm/blob/main/vllm/outputs.py",
    kind="json",
    holds="one policy",
    marks=("outputs", "token_ids", "prompt_token_ids"),
    taken="`outputs[].logprobs`, each token's own entry; else `prompt_logprobs`; without either its texts",
    recognise=recognise,
    read=read,
    at_top=False,
)
