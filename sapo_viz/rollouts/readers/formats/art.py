"""ART: trajectories of agents, in Parquet since 0.5 and as JSONL before.

- Parquet (OpenPipe/ART, src/art/utils/trajectory_logging.py `write_trajectory_groups_parquet`): group_index, reward,
  messages (role, content, tool_calls, tool_call_id, trainable); version 2 of its format adds trajectory_json, the whole
  trajectory with the server's choices and their log-probs.
- JSONL: one line per group: trajectories[] of messages_and_choices, reward, metrics, metadata.

`messages_and_choices` has messages, and a chat completion's choice where the policy answered: {finish_reason, message,
logprobs}. Answers of one trajectory are joined; a message between two of them stands as one masked token. In version
2 a trajectory may hold `exchanges.chat_completions` instead, whole requests and responses; `additional_histories` are
further conversations of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from sapo_viz.rollouts.readers.files import json_file
from sapo_viz.rollouts.readers.formats.base import Contents, Entry, Format, Item, Notes, each, parts
from sapo_viz.rollouts.readers.formats.messages import content, messages_of, split, written_out
from sapo_viz.rollouts.readers.formats.openai_logprobs import measured, token_ids
from sapo_viz.rollouts.readers.formats.pair import OneSequence
from sapo_viz.rollouts.readers.formats.text_rows import Text, contents
from sapo_viz.rollouts.readers.formats.turns import Turns
from sapo_viz.rollouts.vocabulary import placeholders

NAME = "an ART trajectory log"


def recognise_groups(first: Mapping[str, Any]) -> bool:
    inside = first.get("trajectories")
    some = next((one for one in inside if isinstance(one, Mapping)), {}) if isinstance(inside, list) else first
    return "messages_and_choices" in some


def recognise_parquet(first: Mapping[str, Any]) -> bool:
    return {"group_index", "messages", "reward"} <= first.keys()


def read_groups(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    numbers = count(1)

    def take(row: Entry) -> Iterator[Text | OneSequence]:
        label = f"group {next(numbers)}"
        inside = count(1)
        rows = row.objects("trajectories") if row.has("trajectories") else [row]
        yield from parts(rows, notes, lambda one: _completions(one, f"{label}.{next(inside)}", label, notes))

    return contents(file, NAME, each(file, items, notes, take), notes)


def read_parquet(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    def take(row: Entry) -> Iterator[Text | OneSequence]:
        label = f"group {row.whole('group_index')}"
        whole = row.values.get("trajectory_json")
        if isinstance(whole, str):
            json_file.check_brackets(file, 1, whole)
            whole = json_file.parse(whole, f"{file}, {row.place}, trajectory_json")
        if whole is not None:  # a cell of a CSV file is an object already
            inside = Entry(file, row.place, {"trajectory_json": whole}).inner("trajectory_json")
            yield from _completions(inside, row.place, label, notes)
            return
        prompt, answer = split(row, messages_of(row, "messages"), notes)
        if answer is not None:
            yield Text(prompt, answer, row.number("reward"), group=label)

    return contents(file, NAME, each(file, items, notes, take), notes)


def _completions(trajectory: Entry, name: str, label: str, notes: Notes) -> Iterator[Text | OneSequence]:
    reward = trajectory.number("reward")
    histories = trajectory.objects("additional_histories") if trajectory.has("additional_histories") else []
    told = [
        one.objects("messages_and_choices")
        for one in (trajectory, *histories)
        if one.values.get("messages_and_choices")
    ]
    if trajectory.has("exchanges"):
        told += _exchanged(trajectory.inner("exchanges"))
    if not told:
        trajectory.fail("it has neither messages_and_choices nor exchanges of chat completions")
    for number, one in enumerate(told, start=1):
        yield from _completion(trajectory, one, f"{name}.{number}" if len(told) > 1 else name, label, reward, notes)


def _exchanged(exchanges: Entry) -> list[list[Entry]]:
    """Requests and their answers as conversations: a request that goes on from an earlier one continues it."""
    told: list[tuple[list[Any], list[Entry]]] = []  # the messages so far, and the conversation with its choices
    for exchange in exchanges.objects("chat_completions") if exchanges.has("chat_completions") else []:
        asked = exchange.inner("request").objects("messages")
        choices = exchange.inner("response").objects("choices")
        if not choices:
            continue
        said = [message.values for message in asked]
        recent = range(len(told) - 1, max(len(told) - 64, 0) - 1, -1)
        at = next((i for i in recent if said[: len(told[i][0])] == told[i][0]), None)
        # The answer stands between what was asked before and what is new; as a message it may be spelled otherwise.
        rows = asked if at is None else [*told[at][1], *asked[len(told[at][0]) + 1 :]]
        entry = (said, [*rows, choices[0]])
        if at is None:
            told.append(entry)
        else:
            told[at] = entry
    return [rows for _, rows in told]


def _completion(
    trajectory: Entry, told: list[Entry], name: str, label: str, reward: float | None, notes: Notes
) -> Iterator[Text | OneSequence]:
    answers = [part for part in told if part.has("message")]
    if not answers or not all(part.has("logprobs") for part in answers):
        messages = [part.inner("message") if part.has("message") else part for part in told]
        prompt, answer = split(trajectory, messages, notes)
        if answer is not None:
            yield Text(prompt, answer, reward, group=label)
        return
    first, last = (next(i for i, part in enumerate(told) if part is end) for end in (answers[0], answers[-1]))
    turns = Turns()
    for part in told[first : last + 1]:
        if part.has("message"):
            _answer(part, turns, notes)
        else:
            turns.message(content(part, notes), notes)
    one = turns.sequence(name, notes)
    before = written_out(told[:first], Notes()) if first else None
    yield OneSequence(
        one.id, one.tokens, one.logprobs, one.mask, one.token_ids, reward=reward, group=label, prompt=before
    )


def _answer(choice: Entry, turns: Turns, notes: Notes) -> None:
    inside = choice.inner("logprobs")
    entries = inside.objects("content") if inside.has("content") else []
    texts = [entry.text("token") for entry in entries]
    column = Entry(inside.file, inside.place, {"logprob": [entry.values.get("logprob") for entry in entries]})
    logprobs, _ = measured(column.numbers("logprob", len(texts), "content"), notes)
    ids = token_ids(texts)
    turns.spelled(texts if ids is None else placeholders(ids), ids, logprobs)


GROUPS = Format(
    name=NAME,
    framework="ART",
    file="trajectories/*/*.jsonl",
    docs="https://github.com/OpenPipe/ART/blob/main/src/art/trajectories.py",
    kind="json",
    holds="one policy",
    marks=("messages_and_choices",),
    taken="the choices' `logprobs`, the sampler's; without them its texts; a group of trajectories is a group",
    recognise=recognise_groups,
    read=read_groups,
    lists={"trajectories": 1},
)
PARQUET = Format(
    name=f"{NAME} in Parquet",
    framework="ART",
    file="trajectories/*/*.parquet",
    docs="https://github.com/OpenPipe/ART/blob/main/src/art/utils/trajectory_logging.py",
    kind="parquet",
    holds="one policy",
    marks=("group_index", "messages"),
    taken="`trajectory_json` with the choices' `logprobs`, the sampler's; without them `messages`",
    recognise=recognise_parquet,
    read=read_parquet,
    lists={"group_index": 0},
)
