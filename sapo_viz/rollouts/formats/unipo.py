"""UNIPO: the JSON that poloclub/unipo draws, entries → prompts → responses → tokens (arXiv 2605.11549).

Fields as docs/canonical_schema.json of poloclub/unipo states them: entries[].step; prompts[].prompt;
responses[].id, reward, advantage; tokens.ids, strings, log_probs, old_log_probs, ref_log_probs, advantages.

`tokens.log_probs` become logprobs and `tokens.old_log_probs` old_logprobs: its ratio is the quotient of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapo_viz.rollouts.formats.base import Format, Item, NamedRecord, Notes, Row, finite_mask
from sapo_viz.rollouts.record import Record, shown

_NAMES = {"logprobs": "log_probs", "old_logprobs": "old_log_probs", "tokens": "strings", "token_ids": "ids"}
_NAMES |= {"ref_logprobs": "ref_log_probs", "mask": "log_probs"}


def recognise(first: Mapping[str, Any]) -> bool:
    entries = first.get("entries")
    return isinstance(entries, list) and bool(entries) and isinstance(entries[0], dict) and "prompts" in entries[0]


def read(file: str, items: Iterator[Item], notes: Notes) -> Iterator[Record]:
    for place, document in items:
        for entry in Row(file, place, document).objects("entries"):
            step = entry.number("step")
            for number, prompt in enumerate(entry.objects("prompts"), start=1):
                group = f"step {shown(entry.values.get('step'))}, prompt {number}"
                for answer in prompt.objects("responses"):
                    yield _record(prompt, answer, group, step, notes)


def _record(prompt: Row, answer: Row, group: str, step: float | None, notes: Notes) -> Record:
    tokens = answer.inner("tokens")
    strings = tokens.entries("strings")
    length = len(strings)
    if not tokens.has("old_log_probs"):
        tokens.fail("old_log_probs is missing, as it is for REINFORCE; a ratio needs it beside log_probs")
    new = tokens.numbers("log_probs", length, "strings")
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
        "token_ids": tokens.values.get("ids"),
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
    file="*_metrics.json",
    docs="https://github.com/poloclub/unipo/blob/main/docs/canonical_schema.json",
    kind="json",
    holds="both policies",
    marks=("entries", "prompts"),
    taken="`tokens.log_probs` → logprobs, `tokens.old_log_probs` → old_logprobs",
    recognise=recognise,
    read=read,
)
