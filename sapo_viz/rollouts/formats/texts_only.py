"""Logs that hold texts and no log-probs: they become a `TextDump`, which two models have to score.

- TRL, `completions_*.parquet` (huggingface/trl, trl/trainer/grpo_trainer.py with `log_completions`): step, prompt,
  completion, one column a reward function, advantage. Of a conversational dataset prompt and completion are lists of
  messages (messages.py).
- verl, `{step}.jsonl` in `trainer.rollout_data_dir` (volcengine/verl, verl/trainer/ppo/ray_trainer.py
  `_dump_generations`): input, output, gts, score, step, and what the reward function added.
- ms-swift, `completions.jsonl` (modelscope/ms-swift, swift/trainers/rlhf_trainer/grpo_trainer.py): gen_step, prompt,
  completion, one column a reward function, advantages; a line is a row, or a whole step with lists.
- ROLL, `rollout_dump_data.step_*.jsonl` (alibaba/ROLL, `dump_rollout_to_specific_path`): one line with lists: prompt,
  responses, scores, global_step, ….
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.formats.base import Format, Groups, Item, Notes, Row
from sapo_viz.rollouts.formats.messages import CHAT, answer_text, is_conversation, prompt_text
from sapo_viz.rollouts.schema import MAX_TOKENS
from sapo_viz.rollouts.texts import TextDump


@dataclass(frozen=True)
class Names:
    """What a framework calls the columns. `reward` is None where every reward function has one of its own."""

    prompt: str
    completion: str
    step: str
    reward: str | None = None
    advantage: str | None = None


def _reader(title: str, names: Names) -> Callable[[str, Iterator[Item], Notes], TextDump]:
    def read(file: str, items: Iterator[Item], notes: Notes) -> TextDump:
        return _dump(file, title, names, items, notes)

    return read


def _dump(file: str, title: str, names: Names, items: Iterable[Item], notes: Notes) -> TextDump:
    groups = Groups()
    rows = []
    for row in _rows(file, names, items):
        prompt, step = prompt_text(row, names.prompt, notes), row.number(names.step)
        whole = None if step is None else int(step)
        advantage = row.number(names.advantage) if names.advantage else None
        completion = answer_text(row, names.completion, notes)
        if completion is not None:
            rows.append((prompt, completion, _reward(row, names), groups.of((whole, prompt)), whole, advantage))
    if not rows:
        raise RolloutError(f"{file}: there is no completion with a text in it; give at least one.")
    prompts, completions, rewards, labels, steps, advantages = zip(*rows, strict=True)
    said = tuple(note for note in notes.sentences() if note != CHAT)
    chat = len(said) < len(notes.sentences())
    return TextDump(file, title, prompts, completions, rewards, labels, steps, advantages, said, chat)


def _rows(file: str, names: Names, items: Iterable[Item]) -> Iterator[Row]:
    """A row each, also from lines that hold a list for every column."""
    for place, values in items:
        completions = values.get(names.completion)
        if not isinstance(completions, list) or is_conversation(completions):
            yield Row(file, place, values)
            continue
        row = Row(file, place, values)
        columns = {
            key: row.entries(key, len(completions), names.completion) for key in values if _is_column(values[key])
        }
        for index in range(len(completions)):
            item = {key: column[index] for key, column in columns.items()}
            yield Row(file, f"{place}, {names.completion}[{index}]", item)


def _is_column(value: Any) -> bool:
    return isinstance(value, list)


def _reward(row: Row, names: Names) -> float | None:
    """The reward's column; where every reward function has its own, the only one there is.

    With several, the weights of their sum are not in the file: None, and the advantage has to do.
    """
    if names.reward is not None:
        return row.number(names.reward)
    known = {names.prompt, names.completion, names.step, names.advantage}
    columns = [key for key, value in row.values.items() if key not in known and type(value) in (int, float)]
    return row.number(columns[0]) if len(columns) == 1 else None


@dataclass(frozen=True)
class _Unread:
    """Stands where a column of lists, objects or bytes that is no conversation has a value."""

    kind: str

    def __repr__(self) -> str:
        return f"of the type {self.kind}"


def parquet_items(file: str, data: bytes) -> Iterator[Item]:
    """The rows of a Parquet file; of the columns of lists and objects only conversations are read.

    Raises:
        RolloutError: it is cut short, or unpacks to more than 2 GB.
    """
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    broken = f"{file}: this Parquet file cannot be read; it may be cut short, so copy or write it again."
    try:
        parquet = pq.ParquetFile(io.BytesIO(data))
        sizes = sum(parquet.metadata.row_group(i).total_byte_size for i in range(parquet.metadata.num_row_groups))
        if sizes > 2 * 1024**3 or parquet.metadata.num_rows > MAX_TOKENS:
            raise RolloutError(f"{file}: unpacked it holds more than 2 GB; split it into smaller files.")
        schema = parquet.schema_arrow
        known = [field.name for field in schema if _has_text(field.type) or _has_messages(field.type)]
        others: dict[str, Any] = {field.name: _Unread(str(field.type)) for field in schema if field.name not in known}
        number = 0
        for batch in parquet.iter_batches(batch_size=256, columns=known, use_threads=False):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", row | others
    except (pa.ArrowException, OSError, UnicodeError, MemoryError):
        raise RolloutError(broken) from None


def _has_text(kind: Any) -> bool:
    import pyarrow.types as t

    return not t.is_nested(kind) and not t.is_binary(kind)


def _has_messages(kind: Any) -> bool:
    import pyarrow.types as t

    return (
        (t.is_list(kind) or t.is_large_list(kind))
        and t.is_struct(kind.value_type)
        and any(field.name == "role" for field in kind.value_type)
    )


def parquet_columns(data: bytes) -> bytes:
    """The footer of a Parquet file, in which its column names stand."""
    return data[-8 - int.from_bytes(data[-8:-4], "little") :] if data.startswith(b"PAR1") else b""


def _has(*keys: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda first: set(keys) <= first.keys() and not {"tokens", "logprobs"} & first.keys()


def _format(title: str, framework: str, file: str, docs: str, kind: Any, names: Names, *marks: str) -> Format:
    taken = f"prompt from `{names.prompt}`, completion from `{names.completion}`"
    taken += f", reward from `{names.reward}`" if names.reward else ", reward from the reward function's column"
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
        recognise=_has(*marks),
        read=_reader(title, names),
    )


TRL = _format(
    "a TRL completions log",
    "TRL",
    "completions/completions_*.parquet",
    "https://huggingface.co/docs/trl/grpo_trainer",
    "parquet",
    Names("prompt", "completion", "step", advantage="advantage"),
    "prompt",
    "completion",
    "step",
)
VERL = _format(
    "a verl rollout dump",
    "verl",
    "rollout_data_dir/{step}.jsonl",
    "https://github.com/volcengine/verl/blob/main/verl/trainer/ppo/ray_trainer.py",
    "json",
    Names("input", "output", "step", reward="score"),
    "input",
    "output",
    "score",
)
SWIFT = _format(
    "an ms-swift completions log",
    "ms-swift",
    "completions.jsonl",
    "https://github.com/modelscope/ms-swift/blob/main/swift/trainers/rlhf_trainer/grpo_trainer.py",
    "json",
    Names("prompt", "completion", "gen_step", advantage="advantages"),
    "gen_step",
    "prompt",
    "completion",
)
ROLL = _format(
    "a ROLL rollout dump",
    "ROLL",
    "rollout_dump_data.step_*.jsonl",
    "https://github.com/alibaba/ROLL",
    "json",
    Names("prompt", "responses", "global_step", reward="scores"),
    "prompt",
    "responses",
    "scores",
)
