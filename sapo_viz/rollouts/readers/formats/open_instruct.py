"""open-instruct: `{run}_rollouts_*.jsonl`, one line per sample, written when `save_traces` is on.

Written by `_save_rollouts` (allenai/open-instruct, open_instruct/rl_utils.py) from RolloutRecord: step, sample_idx,
prompt_idx, prompt_tokens, response_tokens, reward, advantage, finish_reason, dataset, ground_truth, request_info,
logprobs (vLLM's, over the response). After a tool call the tool's tokens are in the response with log-prob 0
(`process_tool_tokens`, open_instruct/vllm_utils.py), and the file has no mask: there they are masked out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.base import Entry, Format, Item, Notes, each, finite_mask
from sapo_viz.rollouts.readers.formats.pair import OnePolicy, OneSequence
from sapo_viz.rollouts.vocabulary import IDS_ONLY, placeholders

TOOL = "Tokens with log-prob 0 in answers with tool calls, taken to be the tool's and masked out"


def recognise(first: Mapping[str, Any]) -> bool:
    return {"prompt_tokens", "response_tokens", "finish_reason"} <= first.keys()


def read(file: str, items: Iterator[Item], notes: Notes) -> OnePolicy:
    notes.say(IDS_ONLY)
    sequences = tuple(each(file, items, notes, lambda row: [_sequence(row, notes)], ("response_tokens",)))
    return OnePolicy(file, FORMAT.name, sequences, notes.sentences())


def _sequence(row: Entry, notes: Notes) -> OneSequence:
    ids = row.ids("response_tokens")
    if not row.has("logprobs"):
        row.fail("logprobs is null: this open-instruct run did not ask its sampler for them, and the file has no texts")
    logprobs = row.numbers("logprobs", len(ids), "response_tokens")
    mask = np.ones(len(ids), bool)
    if _called_tools(row):
        notes.count(TOOL, int((logprobs == 0).sum()))
        mask = logprobs != 0
    step, sample, prompt = row.whole("step"), row.whole("sample_idx"), row.whole("prompt_idx")
    advantage = row.number("advantage")
    return OneSequence(
        id=f"step {step}, sample {sample}",
        tokens=tuple(placeholders(ids)),
        logprobs=logprobs,
        mask=finite_mask(mask, notes, logprobs),
        token_ids=ids,
        advantages=None if advantage is None else np.full(len(ids), advantage),
        reward=row.number("reward"),
        group=f"step {step}, prompt {prompt}",
        step=step,
    )


def _called_tools(row: Entry) -> bool:
    info = row.values.get("request_info")
    if not isinstance(info, Mapping):
        return False
    return any(bool(info.get(name)) for name in ("num_calls", "tool_calleds", "tool_outputs"))


FORMAT = Format(
    name="an open-instruct rollout log",
    framework="open-instruct",
    file="*_rollouts_*.jsonl",
    docs="https://github.com/allenai/open-instruct/blob/main/open_instruct/rl_utils.py",
    kind="json",
    holds="one policy",
    marks=("prompt_tokens", "response_tokens"),
    taken="`logprobs`, the sampler's; reward, `advantage`, group from `prompt_idx`",
    recognise=recognise,
    read=read,
)
