"""NeMo Gym: collected rollouts, and the token entries that it captures beside them.

- Rollouts (NVIDIA-NeMo/Gym, nemo_gym/rollout_collection.py): one line per rollout: responses_create_params.input,
  response.output (items of the Responses API), reward, _ng_task_index, _ng_rollout_index. Under training an output item
  has prompt_token_ids, generation_token_ids and generation_log_probs (nemo_gym/openai_utils.py `TokenIDLogProbMixin`).
- `*.tokens.jsonl` (nemo_gym/token_id_capture, `TokenCaptureStore`): one line per model call, the same three fields and
  rollout_id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sapo_viz.rollouts.readers.formats.base import Contents, Entry, Format, Groups, Item, Notes, each
from sapo_viz.rollouts.readers.formats.messages import split
from sapo_viz.rollouts.readers.formats.pair import OnePolicy, OneSequence
from sapo_viz.rollouts.readers.formats.text_rows import Text, contents
from sapo_viz.rollouts.readers.formats.turns import chained
from sapo_viz.rollouts.vocabulary import IDS_ONLY

FAILED = "Rollouts that failed, left out"
_TOKENS = ("prompt_token_ids", "generation_token_ids", "generation_log_probs")


def recognise_rollouts(first: Mapping[str, Any]) -> bool:
    response = first.get("response")
    return "responses_create_params" in first and (response is None or isinstance(response, Mapping))


def read_rollouts(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    groups = Groups()

    def take(row: Entry) -> Iterator[Text | OneSequence]:
        if row.has("_ng_failure_class") or not row.has("response") or not row.inner("response").values.get("output"):
            notes.count(FAILED)
            return
        task = row.whole("_ng_task_index")
        label = None if task is None else f"task {task}"
        output = row.inner("response").objects("output")
        drawn = [item for item in output if item.has("generation_token_ids")]
        if not drawn:
            prompt, answer = split(row, [*_input(row), *filter(None, map(_message, output))], notes)
            if answer is not None:
                yield Text(prompt, answer, row.number("reward"), group=label)
            return
        name = f"{label or row.place}, rollout {row.values.get('_ng_rollout_index', '?')}"
        yield from _joined(drawn, name, label, row.number("reward"), groups, notes)

    return contents(file, ROLLOUTS.name, each(file, items, notes, take), notes)


def recognise_tokens(first: Mapping[str, Any]) -> bool:
    return {"rollout_id", *_TOKENS} <= first.keys()


def read_tokens(file: str, items: Iterator[Item], notes: Notes) -> OnePolicy:
    """The calls of a file by their rollouts."""
    rollouts: dict[str, list[Mapping[str, Any]]] = {}
    for _, values in items:
        rollouts.setdefault(str(values.get("rollout_id")), []).append(values)
    groups = Groups()

    def take(row: Entry) -> Iterator[OneSequence]:
        return _joined(row.objects("calls"), row.place, None, None, groups, notes)

    whole = [(f"rollout {name}", {"calls": calls}) for name, calls in rollouts.items()]
    return OnePolicy(file, TOKENS.name, tuple(each(file, whole, notes, take)), notes.sentences())


def _joined(
    calls: list[Entry], name: str, group: str | None, reward: float | None, groups: Groups, notes: Notes
) -> Iterator[OneSequence]:
    notes.say(IDS_ONLY)
    joined = chained(calls, *_TOKENS)
    for number, (turns, prompt) in enumerate(joined, start=1):
        one = turns.sequence(f"{name}{f'.{number}' if len(joined) > 1 else ''}", notes)
        label = group or groups.of(prompt)
        yield OneSequence(one.id, one.tokens, one.logprobs, one.mask, one.token_ids, reward=reward, group=label)


def _input(row: Entry) -> list[Entry]:
    asked = row.inner("responses_create_params")
    if isinstance(asked.values.get("input"), str):
        return [Entry(row.file, row.place, {"role": "user", "content": asked.values["input"]})]
    return [message for item in asked.objects("input") if (message := _message(item)) is not None]


def _message(item: Entry) -> Entry | None:
    """An item of the Responses API as a message; None for what is neither said nor answered, as reasoning."""
    if item.has("role"):
        return item
    kind = item.values.get("type")
    if kind == "function_call":
        return Entry(item.file, item.place, {"role": "assistant", "content": None})
    if kind == "function_call_output":
        said = item.values.get("output")
        return Entry(item.file, item.place, {"role": "tool", "content": said if isinstance(said, str) else ""})
    return None


ROLLOUTS = Format(
    name="a NeMo Gym rollout log",
    framework="NeMo Gym",
    file="+output_jsonl_fpath *.jsonl",
    docs="https://github.com/NVIDIA-NeMo/Gym/blob/main/nemo_gym/rollout_collection.py",
    kind="json",
    holds="one policy",
    marks=("responses_create_params", "response"),
    taken="`response.output[].generation_log_probs`, the sampler's, else its texts; group from `_ng_task_index`",
    recognise=recognise_rollouts,
    read=read_rollouts,
    lists={"response": 0},
)
TOKENS = Format(
    name="a NeMo Gym token capture",
    framework="NeMo Gym",
    file="*.tokens.jsonl",
    docs="https://github.com/NVIDIA-NeMo/Gym/blob/main/nemo_gym/token_id_capture/records.py",
    kind="json",
    holds="one policy",
    marks=_TOKENS,
    taken="`generation_log_probs`, the sampler's; calls of a rollout are joined",
    recognise=recognise_tokens,
    read=read_tokens,
    lists={"prompt_token_ids": 1},
)
