"""Responses of an OpenAI-style server (OpenAI, vLLM, SGLang) that was asked for log-probs: one policy's.

Two layouts, both under `choices[].logprobs`:
- chat completions: `content[]` of {token, logprob, bytes};
- legacy completions: parallel lists `tokens` and `token_logprobs`, whose first entry is null when the prompt was
  echoed, because nothing comes before it.
A log-prob of −9999 says "so unlikely that it was not measured" (vLLM, vllm/entrypoints/openai/chat_completion/
protocol.py; OpenAI's API reference says the same): such tokens are masked out, as is null. vLLM with
`return_tokens_as_token_ids` writes `token_id:1234` for a token's text. A file holds one response, a list of them, one
on each line, or the output of OpenAI's batch API (`response.body`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapo_viz.rollouts.formats.base import Format, Item, Notes, Row, placeholders
from sapo_viz.rollouts.formats.pair import OnePolicy, OneSequence

SENTINEL = -9999.0
UNMEASURED = "Tokens masked out because their log-prob is null or the sentinel −9999"
_PREFIX = "token_id:"


def recognise(first: Mapping[str, Any]) -> bool:
    choices = _body(first).get("choices")
    return isinstance(choices, list) and bool(choices) and isinstance(choices[0], dict) and "logprobs" in choices[0]


def read(file: str, items: Iterator[Item], notes: Notes) -> OnePolicy:
    sequences = []
    for number, (place, values) in enumerate(items, start=1):
        body = Row(file, place, _body(values))
        name = values.get("custom_id") or body.values.get("id")
        group = name if isinstance(name, str) else f"response {number}"
        choices = body.objects("choices")
        sequences += [_sequence(c, f"{number}.{i}", group, notes) for i, c in enumerate(choices, start=1)]
    return OnePolicy(file, FORMAT.name, tuple(sequences), notes.sentences())


def _body(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The response itself, out of a line of OpenAI's batch output."""
    response = values.get("response")
    body = response.get("body") if isinstance(response, Mapping) else None
    return body if isinstance(body, Mapping) else values


def _sequence(choice: Row, name: str, group: str, notes: Notes) -> OneSequence:
    if not choice.has("logprobs"):
        choice.fail("logprobs is null; ask the server for them (logprobs=true, or logprobs=1 for completions)")
    inside = choice.inner("logprobs")
    if inside.has("content"):
        content = inside.objects("content")
        texts = [entry.text("token") for entry in content]
        column = Row(inside.file, inside.place, {"logprob": [entry.values.get("logprob") for entry in content]})
        logprobs = column.numbers("logprob", len(texts))
    elif inside.has("tokens"):
        texts = inside.entries("tokens")
        wrong = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
        if wrong is not None:
            inside.fail(f"tokens[{wrong}] is not text; a token is text")
        logprobs = inside.numbers("token_logprobs", len(texts), "tokens")
    else:
        inside.fail("neither content nor tokens is there; a response with log-probs has one of them")
    measured = np.isfinite(logprobs) & (logprobs > SENTINEL)
    notes.count(UNMEASURED, int((~measured).sum()))
    ids = _ids(texts)
    return OneSequence(
        id=name,
        tokens=tuple(texts if ids is None else placeholders(ids)),
        logprobs=np.where(measured, logprobs, np.nan),
        mask=measured,
        token_ids=ids,
        group=group,
    )


def _ids(texts: list[str]) -> np.ndarray | None:
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
)
