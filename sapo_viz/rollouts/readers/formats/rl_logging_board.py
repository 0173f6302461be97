"""RL Logging Board: JSONL that a trainer writes for it, one line per response.

Fields as the README of HarderThenHarder/RLLoggingBoard states them: prompt, response, response_tokens (texts),
logprobs (the policy's), ref_logprobs, values, token_rewards, reward, step; perhaps ref_response. `response_tokens` may
go on with padding for which there are no log-probs. Without response_tokens it is a log of texts.

ROLL writes it where `save_logging_board_dir` is set (alibaba/ROLL, roll/pipeline/rlvr/rlvr_pipeline.py): log-probs of
the padded response, new_response_mask, and log_probs2: the same forward pass once more, which is not taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.base import Contents, Entry, Format, Groups, Item, Notes, each, finite_mask
from sapo_viz.rollouts.readers.formats.messages import prompt_text
from sapo_viz.rollouts.readers.formats.pair import OneSequence
from sapo_viz.rollouts.readers.formats.text_rows import Text, contents

MASKED = "Tokens that new_response_mask leaves out, as a tool's, masked out"
PADDING = "Tokens after the response, which are padding, left out"


def recognise(first: Mapping[str, Any]) -> bool:
    texts = {"prompt", "response", "reward", "step"} <= first.keys() and "tokens" not in first
    return texts or {"response_tokens", "logprobs"} <= first.keys() and "prompt_tokens" not in first


def read(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    groups = Groups()

    def take(row: Entry) -> Iterator[Text | OneSequence]:
        if row.has("response_tokens") and row.has("logprobs"):
            yield _sequence(row, groups, notes)
        else:
            prompt = prompt_text(row, "prompt", notes)
            yield Text(prompt, row.text("response"), row.number("reward"), row.whole("step"))

    return contents(file, FORMAT.name, each(file, items, notes, take, ("response_tokens", "logprobs")), notes)


def _sequence(row: Entry, groups: Groups, notes: Notes) -> OneSequence:
    tokens = [_spelled(token) for token in row.entries("response_tokens")]
    mask = _mask(row, min(len(tokens), len(row.entries("logprobs"))))
    size = len(mask)
    notes.count(MASKED, int((~mask).sum()))
    notes.count(PADDING, len(tokens) - size)
    logprobs = row.numbers("logprobs", len(row.entries("logprobs")), "logprobs")[:size]
    reference = None
    if row.has("ref_logprobs"):
        values = row.numbers("ref_logprobs", len(row.entries("ref_logprobs")), "ref_logprobs")[:size]
        reference = values if len(values) == size else None
    step, prompt = row.whole("step"), row.values.get("prompt")
    return OneSequence(
        id=row.place,
        tokens=tuple(tokens[:size]),
        logprobs=logprobs,
        mask=finite_mask(mask, notes, logprobs),
        ref_logprobs=reference,
        reward=row.number("reward"),
        group=groups.of((step, prompt)) if isinstance(prompt, str) else None,
        prompt=prompt if isinstance(prompt, str) else None,
        step=step,
    )


def _spelled(token: Any) -> str:
    """A token's text; ⟨id⟩ where it is a number."""
    return token if isinstance(token, str) else "" if token is None else f"⟨{token}⟩"


def _mask(row: Entry, size: int) -> np.ndarray:
    """Where the response is. ROLL logs a padded one and where its tokens stand: what is behind the last is cut off."""
    if not row.has("new_response_mask"):
        return np.ones(size, bool)
    mask = row.flags("new_response_mask", len(row.entries("new_response_mask")), "new_response_mask")
    if len(mask) < size:
        row.fail(f"new_response_mask has {len(mask):,} entries; it takes as many as logprobs, {size:,}")
    there = np.flatnonzero(mask[:size])
    return mask[: int(there[-1]) + 1 if len(there) else 0]


FORMAT = Format(
    name="an RL Logging Board log",
    framework="RL Logging Board",
    file="rollout_samples/*/*.jsonl",
    docs="https://github.com/HarderThenHarder/RLLoggingBoard",
    kind="json",
    holds="one policy",
    marks=("prompt", "response"),
    taken="`logprobs` over `response_tokens`; `ref_logprobs`; without tokens its texts",
    recognise=recognise,
    read=read,
)
