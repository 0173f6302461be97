"""Responses of an OpenAI-style server (OpenAI, vLLM, SGLang) that was asked for log-probs: one policy's.

Two layouts, both under `choices[].logprobs`:
- chat completions: `content[]` of {token, logprob, bytes};
- legacy completions: parallel lists `tokens` and `token_logprobs`, whose first entry is null when the prompt was
  echoed, because nothing comes before it.
The Responses API has `output[].content[].logprobs`, entries as in chat completions.
A log-prob of −9999 says "so unlikely that it was not measured" (vLLM, vllm/entrypoints/openai/chat_completion/
protocol.py; OpenAI's API reference says the same): such tokens are masked out, as is null. vLLM with
`return_tokens_as_token_ids` writes `token_id:1234` for a token's text. A file holds one response, a list of them, one
on each line, or the output of OpenAI's batch API (`response.body`), in which a request that failed has `error`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.base import Entry, Format, Item, Notes, each, parts
from sapo_viz.rollouts.readers.formats.pair import OnePolicy, OneSequence
from sapo_viz.rollouts.vocabulary import placeholders

SENTINEL = -9999.0
UNMEASURED = "Tokens masked out because their log-prob is null or the sentinel −9999"
_PREFIX = "token_id:"


FAILED = "Requests that failed, left out"


def recognise(first: Mapping[str, Any]) -> bool:
    choices = body_of(first).get("choices")
    return isinstance(choices, list) and bool(choices) and isinstance(choices[0], dict) and "logprobs" in choices[0]


def read(file: str, items: Iterator[Item], notes: Notes) -> OnePolicy:
    numbers = count(1)

    def take(row: Entry) -> Iterator[OneSequence]:
        number = next(numbers)
        body = Entry(file, row.place, body_of(row.values))
        if not body.has("choices"):
            notes.count(FAILED)
            return
        label, inside = label_of(row, body, number), count(1)
        yield from parts(
            body.objects("choices"), notes, lambda choice: [_sequence(choice, f"{number}.{next(inside)}", label, notes)]
        )

    sequences = tuple(each(file, items, notes, take))
    return OnePolicy(file, FORMAT.name, sequences, notes.sentences())


def body_of(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The response itself, out of a line of OpenAI's batch output."""
    response = values.get("response")
    body = response.get("body") if isinstance(response, Mapping) else None
    return body if isinstance(body, Mapping) else values


def label_of(row: Entry, body: Entry, number: int) -> str:
    """What a response's choices share: the request's name, else the response's."""
    name = row.values.get("custom_id") or body.values.get("id")
    return name if isinstance(name, str) else f"response {number}"


def measured(logprobs: np.ndarray, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """(log-probs, which of them were measured) [T] each; how many were not is noted."""
    there = np.isfinite(logprobs) & (logprobs > SENTINEL)
    notes.count(UNMEASURED, int((~there).sum()))
    return logprobs, there


def _sequence(choice: Entry, name: str, group: str, notes: Notes) -> OneSequence:
    if not choice.has("logprobs"):
        choice.fail("logprobs is null; ask the server for them (logprobs=true, or logprobs=1 for completions)")
    inside = choice.inner("logprobs")
    spelled = next((name for name in ("content", "refusal") if inside.has(name)), None)
    if spelled is not None:
        content = inside.objects(spelled)
        texts = [entry.text("token") for entry in content]
        column = Entry(inside.file, inside.place, {"logprob": [entry.values.get("logprob") for entry in content]})
        logprobs = column.numbers("logprob", len(texts))
    elif inside.has("tokens"):
        texts = inside.entries("tokens")
        wrong = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
        if wrong is not None:
            inside.fail(f"tokens[{wrong}] is not text; a token is text")
        logprobs = inside.numbers("token_logprobs", len(texts), "tokens")
    else:
        inside.fail("neither content nor tokens is there; a response with log-probs has one of them")
    logprobs, there = measured(logprobs, notes)
    ids = token_ids(texts)
    return OneSequence(
        id=name,
        tokens=tuple(texts if ids is None else placeholders(ids)),
        logprobs=np.where(there, logprobs, np.nan),
        mask=there,
        token_ids=ids,
        group=group,
    )


def token_ids(texts: list[str]) -> np.ndarray | None:
    """The ids of tokens that are all written as token_id:1234."""
    numbers = [text.removeprefix(_PREFIX) for text in texts if text.startswith(_PREFIX)]
    if not texts or len(numbers) != len(texts) or not all(n.isascii() and n.isdigit() and len(n) < 16 for n in numbers):
        return None
    return np.array([int(n) for n in numbers], dtype=np.int64)


FORMAT = Format(
    name="an OpenAI-style response",
    framework="OpenAI, vLLM, SGLang",
    file="responses saved as JSON or JSONL",
    docs="https://docs.vllm.ai/en/latest/serving/openai_compatible_server/",
    kind="json",
    holds="one policy",
    marks=("choices", "logprobs"),
    taken="`logprobs.content[]` or `logprobs.token_logprobs`; −9999 and null are masked out",
    recognise=recognise,
    read=read,
    at_top=False,
)


def recognise_responses(first: Mapping[str, Any]) -> bool:
    body = body_of(first)
    return body.get("object") == "response" and any(True for _ in _spoken(Entry("", "", body)))


def read_responses(file: str, items: Iterator[Item], notes: Notes) -> OnePolicy:
    numbers = count(1)

    def take(row: Entry) -> Iterator[OneSequence]:
        number = next(numbers)
        body = Entry(file, row.place, body_of(row.values))
        if not body.values.get("output"):
            notes.count(FAILED)
            return
        entries = [entry for spoken in _spoken(body) for entry in spoken.values["logprobs"]]
        choice = Entry(file, row.place, {"logprobs": {"content": entries}})
        yield _sequence(choice, str(number), label_of(row, body, number), notes)

    return OnePolicy(file, RESPONSES.name, tuple(each(file, items, notes, take)), notes.sentences())


def _spoken(body: Entry) -> Iterator[Entry]:
    """The blocks of a response's messages that have log-probs."""
    output = body.values.get("output")
    for item in output if isinstance(output, list) else []:
        content = item.get("content") if isinstance(item, Mapping) else None
        for block in content if isinstance(content, list) else []:
            if isinstance(block, Mapping) and isinstance(block.get("logprobs"), list) and block["logprobs"]:
                yield Entry(body.file, body.place, block)


RESPONSES = Format(
    name="a response of OpenAI's Responses API",
    framework="OpenAI",
    file="responses saved as JSON or JSONL",
    docs="https://platform.openai.com/docs/api-reference/responses",
    kind="json",
    holds="one policy",
    marks=("output", "logprobs", "object"),
    taken="`output[].content[].logprobs[]`; −9999 and null are masked out",
    recognise=recognise_responses,
    read=read_responses,
    at_top=False,
)
