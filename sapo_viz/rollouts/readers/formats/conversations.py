"""Logs of whole conversations without log-probs: prompt and first answer become a `TextDump`.

- ROLL's agentic pipelines, `rollout_dump_data.step_*.jsonl` (alibaba/ROLL, roll/pipeline/agentic/utils.py
  `dump_rollout_trajectories`): one line with lists: trajectory_data and messages (JSON texts), tools, exp_name,
  global_step.
- NeMo-RL's validation, `val_data_step*.jsonl` (NVIDIA-NeMo/RL, nemo_rl/utils/logger.py `log_batched_dict_as_jsonl`): a
  batch of one per line: content (messages), rewards, idx. Distillation writes content as texts, and input_lengths.
- rLLM, one JSON file per episode (rllm-org/rllm, rllm/utils/episode_logger.py `log_episode`): training_step, task_hash,
  trajectories[] of reward and steps[] of chat_completions, model_response. Episodes of an evaluation
  (rllm/eval/episode_store.py) have prompt_ids, response_ids and logprobs in their steps where the engine gave them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.files import json_file
from sapo_viz.rollouts.readers.formats.base import Contents, Entry, Format, Item, Notes, each, having, parts
from sapo_viz.rollouts.readers.formats.messages import (
    asked,
    is_answer,
    is_conversation,
    messages_of,
    split,
    written_out,
)
from sapo_viz.rollouts.readers.formats.pair import OneSequence
from sapo_viz.rollouts.readers.formats.text_rows import Text, contents, dump
from sapo_viz.rollouts.readers.formats.turns import Turns
from sapo_viz.rollouts.vocabulary import IDS_ONLY


def _read_roll(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    def rows(line: Entry) -> Iterator[Entry]:
        if isinstance(line.values.get("messages"), str):  # a batch of one, taken out of its lists
            yield line
            return
        size = len(line.entries("messages"))
        columns = {k: v for k, v in line.values.items() if isinstance(v, (list, np.ndarray)) and len(v) == size}
        for index in range(size):
            yield Entry(
                file, f"{line.place}, messages[{index}]", {key: column[index] for key, column in columns.items()}
            )

    def take(row: Entry) -> Iterator[Text]:
        data = _parsed(row, "trajectory_data")
        prompt, answer = split(row, messages_of(row, "messages"), notes)
        if answer is not None:
            yield Text(prompt, answer, _episode_reward(data), row.whole("global_step"), group=_roll_group(data))

    found = each(file, items, notes, lambda line: parts(rows(line), notes, take))
    return dump(file, ROLL_AGENTIC.name, found, notes)


def _parsed(row: Entry, name: str) -> Entry:
    """The object that a field holds as JSON text."""
    text = row.text(name)
    json_file.check_brackets(row.file, 1, text)
    return Entry(row.file, row.place, {name: json_file.parse(text, f"{row.file}, {row.place}, {name}")}).inner(name)


def _episode_reward(data: Entry) -> float | None:
    return data.inner("reward_info").number("episode_reward") if data.has("reward_info") else None


def _roll_group(data: Entry) -> str | None:
    """Environments with one group and seed begin from the same state."""
    info = data.values.get("env_info")
    if not isinstance(info, Mapping):
        return None
    return " ".join(str(info.get(name)) for name in ("tag", "group_id", "episode_id", "seed"))


def _read_nemo(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    found = 0

    def take(line: Entry) -> Iterator[Text]:
        nonlocal found
        found += 1
        content, reward = line.values.get("content"), line.number("rewards")
        while isinstance(content, list) and len(content) == 1 and isinstance(content[0], list):
            content = content[0]
        row = Entry(file, line.place, {"content": content})
        if is_conversation(content):
            messages = row.objects("content")
            if any(map(is_answer, messages)):
                prompt, answer = split(row, messages, notes)
                if answer is not None:
                    yield Text(prompt, answer, reward, group=asked(messages))
        elif isinstance(content, list) and len(content) > 1 and all(isinstance(text, str) for text in content):
            yield Text(content[0], content[1], reward)

    texts = list(each(file, items, notes, take))
    if not texts:
        raise RolloutError(
            f"{file}: this is {NEMO_RL_VALIDATION.name}, and none of its {found:,} conversations holds an answer; "
            "take train_data_step*.jsonl of the same run, which has tokens and log-probs."
        )
    return dump(file, NEMO_RL_VALIDATION.name, texts, notes)


def _is_nemo(first: Mapping[str, Any]) -> bool:
    return {"content", "idx"} <= first.keys() and bool({"rewards", "input_lengths"} & first.keys())


def _read_rllm(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    def take(episode: Entry) -> Iterator[Text | OneSequence]:
        step = episode.whole("training_step")
        name = episode.values.get("episode_id") or episode.values.get("id") or episode.place
        group = str(episode.values.get("task_hash") or str(name).split(":")[0])
        for number, trajectory in enumerate(episode.objects("trajectories"), start=1):
            reward = trajectory.number("reward")
            steps = trajectory.objects("steps")
            drawn = [one for one in steps if one.values.get("response_ids") and one.values.get("logprobs")]
            for index, one in enumerate(drawn, start=1):
                yield _rllm_sequence(one, f"{name} {number}.{index}", reward, group, step, notes)
            texts = [one for one in steps if one.has("chat_completions") or one.has("model_response")]
            if texts and not drawn:
                prompt, answer = _rllm_texts(texts[0], notes)
                if answer:
                    yield Text(prompt, answer, reward, step, group=group)

    return contents(file, RLLM.name, each(file, items, notes, take), notes)


def _rllm_sequence(
    step: Entry, name: str, reward: float | None, group: str, number: int | None, notes: Notes
) -> OneSequence:
    notes.say(IDS_ONLY)
    ids = step.ids("response_ids")
    turns = Turns()
    turns.answer(ids, step.numbers("logprobs", len(ids), "response_ids"))
    one = turns.sequence(name, notes)
    return OneSequence(name, one.tokens, one.logprobs, one.mask, one.token_ids, reward=reward, group=group, step=number)


def _rllm_texts(step: Entry, notes: Notes) -> tuple[str, str | None]:
    messages = step.objects("chat_completions") if is_conversation(step.values.get("chat_completions")) else []
    if any(map(is_answer, messages)):
        return split(step, messages, notes)
    asked = written_out(messages, notes) if messages else str(step.values.get("observation") or "")
    return asked, step.text("model_response")


ROLL_AGENTIC = Format(
    name="a ROLL agentic rollout dump",
    framework="ROLL, agentic",
    file="rollout_dump_data.step_*.jsonl",
    docs="https://github.com/alibaba/ROLL/blob/main/roll/pipeline/agentic/utils.py",
    kind="json",
    holds="texts only",
    marks=("trajectory_data", "messages"),
    taken="prompt and first answer from `messages`, reward from `trajectory_data`",
    recognise=having("trajectory_data", "messages"),
    read=_read_roll,
    lists={"trajectory_data": 1},
)
NEMO_RL_VALIDATION = Format(
    name="a NeMo-RL log of conversations",
    framework="NeMo-RL",
    file="val_data_step*.jsonl",
    docs="https://github.com/NVIDIA-NeMo/RL/blob/main/nemo_rl/utils/logger.py",
    kind="json",
    holds="texts only",
    marks=("content", "idx"),
    taken="prompt and first answer from `content`, reward from `rewards`",
    recognise=_is_nemo,
    read=_read_nemo,
    lists={"idx": 0},
)
RLLM = Format(
    name="an rLLM episode",
    framework="rLLM",
    file="episodes/*/episode_*.json",
    docs="https://github.com/rllm-org/rllm/blob/main/rllm/utils/episode_logger.py",
    kind="json",
    holds="texts only",
    marks=("trajectories", "steps"),
    taken="prompt and answer of the first step, reward of the trajectory; `response_ids` with `logprobs` where kept",
    recognise=having("trajectories", "task"),
    read=_read_rllm,
    at_top=False,
    lists={"trajectories": 1},
)
