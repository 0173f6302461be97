"""UNIPO: the JSON that poloclub/unipo draws, entries → prompts → responses → tokens (arXiv 2605.11549).

Fields as docs/canonical_schema.json of poloclub/unipo states them: entries[].step; prompts[].prompt;
responses[].id, reward, advantage; tokens.ids, strings, log_probs (or prob), old_log_probs, ref_log_probs, advantages.
A log is one document with header and entries, or JSONL with a line {type: "header"} and a line {type: "step"} an entry;
scripts/build_data.py publishes an entry with prompts as step-N.json, and the rest as *_metrics.json (summaries.py).

`tokens.log_probs` become logprobs and `tokens.old_log_probs` old_logprobs: its ratio is the quotient of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats.base import Entry, Format, Item, NamedRecord, Notes, each, finite_mask
from sapo_viz.rollouts.record import Record

_NAMES = {"logprobs": "log_probs", "old_logprobs": "old_log_probs", "tokens": "strings", "token_ids": "ids"}
_NAMES |= {"ref_logprobs": "ref_log_probs", "mask": "log_probs"}


def recognise(first: Mapping[str, Any]) -> bool:
    entries = first.get("entries", [first])
    return isinstance(entries, list) and any(isinstance(entry, Mapping) and _asks(entry) for entry in entries)


def _asks(entry: Mapping[str, Any]) -> bool:
    prompts = entry.get("prompts")
    return (
        "step" in entry and isinstance(prompts, list) and any("responses" in p for p in prompts if isinstance(p, dict))
    )


def read(file: str, items: Iterator[Item], notes: Notes) -> Iterator[Record]:
    def take(document: Entry) -> Iterator[Record]:
        for entry in document.objects("entries") if document.has("entries") else [document]:
            if not entry.has("prompts"):  # a header, or a step of which only metrics were kept
                continue
            step = entry.whole("step")
            for number, prompt in enumerate(entry.objects("prompts"), start=1):
                for answer in prompt.objects("responses"):
                    try:
                        yield _record(prompt, answer, f"step {step}, prompt {number}", step, notes)
                    except RolloutError as error:
                        notes.skip(error)

    yield from each(file, items, notes, take)


def _record(prompt: Entry, answer: Entry, group: str, step: int | None, notes: Notes) -> Record:
    tokens = answer.inner("tokens")
    strings = tokens.entries("strings")
    length = len(strings)
    if not tokens.has("old_log_probs"):
        tokens.fail("old_log_probs is missing, as it is for REINFORCE; a ratio needs it beside log_probs")
    if tokens.has("log_probs"):
        new = tokens.numbers("log_probs", length, "strings")
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            new = np.log(tokens.numbers("prob", length, "strings"))
    old = tokens.numbers("old_log_probs", length, "strings")
    values: dict[str, Any] = {
        "tokens": strings,
        "logprobs": new,
        "old_logprobs": old,
        "mask": finite_mask(np.ones(length, dtype=bool), notes, new, old).astype(np.float64),
        "reward": answer.number("reward"),
        "group": group,
        "id": answer.values.get("id"),
        "prompt": prompt.values.get("prompt"),
        "step": step,
        "token_ids": tokens.ids("ids", length) if tokens.has("ids") else None,
    }
    if tokens.has("ref_log_probs"):
        values["ref_logprobs"] = tokens.numbers("ref_log_probs", length, "strings")
    if tokens.has("advantages"):
        values["advantages"] = tokens.numbers("advantages", length, "strings")
    else:
        values["advantage"] = answer.number("advantage")
    return NamedRecord(tokens.file, tokens.place, values, names=_NAMES)


FORMAT = Format(
    name="UNIPO run",
    framework="UNIPO",
    file="step-*.json, or a log of entries",
    docs="https://github.com/poloclub/unipo/blob/main/docs/canonical_schema.json",
    kind="json",
    holds="both policies",
    marks=("prompts", "responses"),
    taken="`tokens.log_probs` → logprobs, `tokens.old_log_probs` → old_logprobs",
    recognise=recognise,
    read=read,
    at_top=False,
)
