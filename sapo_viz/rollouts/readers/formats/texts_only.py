"""Logs that hold a prompt, a completion and no log-probs in each row: they become a `TextDump` that two models score.

- TRL, `completions_*.parquet` (huggingface/trl, trl/trainer/grpo_trainer.py `log` with `log_completions`): step,
  prompt, completion, one column per reward function, columns that a reward function added, advantage. Of a
  conversational dataset prompt and completion are lists of messages (messages.py).
- ms-swift, `completions.jsonl` (modelscope/ms-swift): the HF trainer's `log` writes a line per step with lists: step
  (as text), prompt, completion, one column per reward function, advantages, …; Megatron's `_build_log_table` the same
  with gen_step; the Ray trainer's `_maybe_log_completions` a line per row with one reward. GKD writes neither reward
  nor advantage.
- verl, `{step}.jsonl` in `trainer.rollout_data_dir` (volcengine/verl, `_write_generations`): input, output, gts, score,
  step, and what the reward function added; what JSON does not know is written by `str`. The v1 trainer adds
  uid = sample_rollout_output.
- ROLL, `rollout_dump_data.step_*.jsonl` (alibaba/ROLL, `dump_rollout_to_specific_path`): one line with lists: prompt or
  messages (as JSON text), responses, scores, global_step, ….
- SkyRL, an evaluation's `{data_source}.jsonl` (NovaSky-AI/SkyRL, `dump_per_dataset_eval_results`): input_prompt,
  output_response, score (one per token, or one), stop_reason, env_class, data_source.

Where every reward function has its own column, the reward is the sum of those that gave one: a null or NaN says that it
was not asked. Weights of that sum are not in the files; columns of other numbers that a function logged (TRL's
`log_extra`) are told from rewards by the advantages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats.base import (
    Contents,
    Entry,
    Format,
    Item,
    Notes,
    each,
    having,
    is_own,
    listed,
    parts,
)
from sapo_viz.rollouts.readers.formats.messages import (
    answered,
    is_conversation,
    messages_of,
    written_out,
)
from sapo_viz.rollouts.readers.formats.text_rows import Text, dump
from sapo_viz.rollouts.readers.formats.written import number_in
from sapo_viz.rollouts.record import shown

_INDEX = re.compile(r"|index|Unnamed: \d+|__index_level_\d+__")  # of a data frame, kept as a column
_ADVANTAGE = "advantage"  # TRL's; ms-swift writes it with an s
_UID = re.compile(r"(.+)_\d+_\d+")


@dataclass(frozen=True)
class Names:
    """What a framework calls the columns. `reward` is None where every reward function has one of its own."""

    prompt: str
    completion: str
    step: tuple[str, ...] = ()
    reward: str | None = None
    advantage: str | None = None


def _reader(title: str, names: Names) -> Callable[[str, Iterator[Item], Notes], Contents]:
    def read(file: str, items: Iterator[Item], notes: Notes) -> Contents:
        columns: list[str] = []
        if names.reward is None:
            held = list(items)
            items = iter(held)
            columns = _reward_columns(
                [row for place, v in held for row in _safe_rows(Entry(file, place, v), names)], names
            )

        def take(row: Entry) -> Iterator[Text]:
            prompt, completion = _texts(row, names, notes)
            if completion is not None:
                yield Text(
                    prompt=prompt,
                    completion=completion,
                    reward=_reward(row, names, columns, notes),
                    step=next((row.whole(name) for name in names.step if row.has(name)), None),
                    advantage=row.number(names.advantage) if names.advantage else None,
                    group=_uid(row) or repr(row.values.get(names.prompt, row.values.get("messages"))),
                )

        found = each(file, items, notes, lambda line: parts(_rows(line, names), notes, take))
        return dump(file, title, found, notes)

    return read


def _rows(line: Entry, names: Names, nested: int = 8) -> Iterator[Entry]:
    """A row each, also from lines that hold a list for every column, or lists in it, a prompt's completions each."""
    completions = line.values.get(names.completion)
    prompt = line.values.get(names.prompt)
    told = completions == [] and (isinstance(prompt, str) or is_conversation(prompt))  # a conversation without answer
    if not isinstance(completions, list) or is_conversation(completions) or told or not nested:
        yield line
        return
    needed = (names.prompt, names.reward, names.advantage)
    columns: dict[str, Any] = {}
    for key, value in line.values.items():
        value = value.tolist() if isinstance(value, np.ndarray) else listed(value) if key != names.prompt else value
        if isinstance(value, list) and (key in needed or len(value) == len(completions)):
            columns[key] = line.entries(key, len(completions), names.completion)
    said = {key: value for key in names.step if isinstance(value := line.values.get(key), (int, float, str))}
    for index in range(len(completions)):
        item = said | {key: column[index] for key, column in columns.items()}
        yield from _rows(Entry(line.file, f"{line.place}, {names.completion}[{index}]", item), names, nested - 1)


def _safe_rows(line: Entry, names: Names) -> list[Entry]:
    """Its rows; none of a line that is wrong, which is reported when it is read."""
    try:
        return list(_rows(line, names))
    except RolloutError:
        return []


def _texts(row: Entry, names: Names, notes: Notes) -> tuple[str, str | None]:
    if not row.has(names.prompt) and row.has("messages"):
        return written_out(messages_of(row, "messages"), notes), row.text(names.completion)
    return answered(row, names.prompt, names.completion, notes)


def _reward(row: Entry, names: Names, columns: Sequence[str], notes: Notes) -> float | None:
    """The reward's column, or the sum of the reward functions' columns."""
    name = names.reward or ("reward" if row.has("reward") else None)
    if name is not None:
        scores = listed(row.values.get(name))
        if isinstance(scores, list) and len(scores) > 1:  # one per token
            return float(sum(x for x in row.numbers(name, len(scores), name).tolist() if x == x))
        return row.number(name)
    found = [value for value in (row.number(key) for key in columns) if value is not None]
    if len(columns) > 1:
        names_of = ", ".join(shown(key, 30).strip("'\"") for key in columns[:8])
        notes.say(f"The reward is the sum of the columns {names_of}; weights that they had are not in the file.")
    return float(sum(found)) if found else None


def _reward_columns(rows: Sequence[Entry], names: Names) -> list[str]:
    """Columns of numbers that stand before the advantage: the reward functions', then what they logged besides.

    Which is which, only the advantages know: within a prompt's completions they go with the sum of the rewards. So it
    is as many of the first columns as agree with them; all, where none do, as with weights.
    """
    keys: dict[str, None] = {}
    written: dict[str, None] = {}  # as text: only where there are no others, since an answer may be a number too
    taken = {names.prompt, names.completion, names.advantage, *names.step}
    for row in rows:
        own = list(row.values)
        last = own.index(names.advantage) if names.advantage is not None and names.advantage in own else 0
        if names.completion in own[:last]:
            own = own[:last]
        own = [key for key in own if not _INDEX.fullmatch(key)]
        keys |= dict.fromkeys(k for k in own if k not in taken and isinstance(row.values[k], (int, float)))
        written |= dict.fromkeys(k for k in own if k not in taken and _says_number(row.values[k]))
    columns = list(keys or written)
    if len(columns) < 2 or names.advantage is None:
        return columns
    table = np.array([[_given(row, key) for key in columns] for row in rows])
    credit = np.array([_given(row, names.advantage, np.nan) for row in rows])
    groups: dict[Any, list[int]] = {}
    for index, row in enumerate(rows):
        if np.isfinite(credit[index]):
            groups.setdefault(tuple(repr(row.values.get(key)) for key in (*names.step, names.prompt)), []).append(index)
    for count in range(len(columns), 0, -1):
        total = table[:, :count].sum(axis=1)
        agrees = [_agrees(total[group], credit[group]) for group in groups.values()]
        if any(agrees) and False not in agrees:
            return columns[:count]
    return columns


def _given(row: Entry, name: str, otherwise: float = 0.0) -> float:
    value = row.values.get(name)
    said = number_in(value) if isinstance(value, str) else value
    return float(said) if isinstance(said, (int, float)) and np.isfinite(said) else otherwise


def _says_number(value: Any) -> bool:
    return isinstance(value, str) and isinstance(number_in(value), float)


def _agrees(total: np.ndarray, credit: np.ndarray) -> bool | None:
    """Whether advantages of one group go with these totals; None where all are equal."""
    x, y = total - total.mean(), credit - credit.mean()
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    if size < 1e-9:
        return None if max(np.abs(x).max(), np.abs(y).max()) < 1e-4 else False
    return float(x @ y) > 0.999 * size


def _uid(row: Entry) -> str | None:
    """verl's name of the prompt's sample; its v1 trainer appends the numbers of rollout and output."""
    uid = row.values.get("uid")
    if not isinstance(uid, str) or not uid:
        return None
    own = _UID.fullmatch(uid)
    return own[1] if own else uid


def _format(
    title: str,
    framework: str,
    file: str,
    docs: str,
    kind: Any,
    names: Names,
    marks: tuple[str, ...],
    recognise: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Format:
    taken = f"prompt from `{names.prompt}`, completion from `{names.completion}`"
    taken += f", reward from `{names.reward}`" if names.reward else ", reward from the reward functions' columns"
    taken += f", advantage from `{names.advantage}`" if names.advantage else ""
    return Format(
        name=title,
        framework=framework,
        file=file,
        docs=docs,
        kind=kind,
        holds="texts only",
        marks=marks,
        taken=taken,
        recognise=recognise or having(*marks),
        read=_reader(title, names),
    )


def _is_trl(first: Mapping[str, Any]) -> bool:
    """A row with a text or messages; columns of lists of texts are another's, unless it has TRL's advantage."""
    texts = [first.get(name) for name in ("prompt", "completion")]
    told = all(value is None or isinstance(value, str) or is_conversation(value) or value == [] for value in texts)
    known = {"prompt", "completion"} <= first.keys() and bool({"step", _ADVANTAGE} & first.keys())
    return known and (told or _ADVANTAGE in first) and not is_own(first)


def _is_swift(first: Mapping[str, Any]) -> bool:
    """The Megatron and Ray trainers write gen_step; the HF trainers one table per step, or advantages with an s."""
    if not {"prompt", "completion"} <= first.keys() or _ADVANTAGE in first or is_own(first):
        return False
    table = isinstance(first["completion"], list) and not is_conversation(first["completion"])
    return bool({"gen_step", "advantages"} & first.keys()) or ("step" in first and table)


TRL = _format(
    "a TRL completions log",
    "TRL",
    "completions/completions_*.parquet",
    "https://huggingface.co/docs/trl/grpo_trainer",
    "parquet",
    Names("prompt", "completion", ("step",), advantage=_ADVANTAGE),
    ("prompt", "completion"),
    _is_trl,
)
SWIFT = _format(
    "an ms-swift completions log",
    "ms-swift",
    "completions.jsonl",
    "https://github.com/modelscope/ms-swift/blob/main/swift/rlhf_trainers/grpo_trainer.py",
    "json",
    Names("prompt", "completion", ("gen_step", "step"), advantage="advantages"),
    ("prompt", "completion"),
    _is_swift,
)
VERL = _format(
    "a verl rollout dump",
    "verl",
    "rollout_data_dir/{step}.jsonl",
    "https://github.com/volcengine/verl/blob/main/verl/trainer/ppo/ray_trainer.py",
    "json",
    Names("input", "output", ("step",), reward="score"),
    ("input", "output", "score"),
)
ROLL = _format(
    "a ROLL rollout dump",
    "ROLL",
    "rollout_dump_data.step_*.jsonl",
    "https://github.com/alibaba/ROLL/blob/main/roll/pipeline/rlvr/utils.py",
    "json",
    Names("prompt", "responses", ("global_step",), reward="scores"),
    ("responses", "scores"),
)
SKYRL = _format(
    "a SkyRL evaluation dump",
    "SkyRL",
    "dumped_evals/*/{data_source}.jsonl",
    "https://github.com/NovaSky-AI/SkyRL/blob/main/skyrl/train/utils/trainer_utils.py",
    "json",
    Names("input_prompt", "output_response", reward="score"),
    ("input_prompt", "output_response", "score"),
)
