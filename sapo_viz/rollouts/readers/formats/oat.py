"""oat: an evaluation's `eval_results/{step}.json`, a list of objects.

Written by `LearnerBase.evaluate` (sail-sg/oat, oat/learners/base.py): the prompt under the name of its data set's
column (`--eval_input_key`), the same in its template under format_ and that name, output, scores, reference, generator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sapo_viz.rollouts.readers.formats.base import Contents, Entry, Format, Item, Notes, each
from sapo_viz.rollouts.readers.formats.messages import prompt_text
from sapo_viz.rollouts.readers.formats.text_rows import Text, dump

_PREFIX = "format_"


def recognise(first: Mapping[str, Any]) -> bool:
    return {"output", "scores", "generator"} <= first.keys() and _key(first) is not None


def read(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    def take(row: Entry) -> Iterator[Text]:
        key = _key(row.values)
        if key is None:
            row.fail("there is no prompt beside one in its template (format_…); a file of this format has both")
        yield Text(prompt_text(row, key, notes), row.text("output"), row.number("scores"))

    return dump(file, FORMAT.name, each(file, items, notes, take), notes)


def _key(values: Mapping[str, Any]) -> str | None:
    return next((key for key in values if f"{_PREFIX}{key}" in values), None)


FORMAT = Format(
    name="an oat evaluation",
    framework="oat",
    file="eval_results/{step}.json",
    docs="https://github.com/sail-sg/oat/blob/main/oat/learners/base.py",
    kind="json",
    holds="texts only",
    marks=("output", "scores", "generator"),
    taken="prompt from the column that has a twin with `format_`, completion from `output`, reward from `scores`",
    recognise=recognise,
    read=read,
    lists={"output": 0},
)
