"""The same rows, kept otherwise than their framework wrote them: in an envelope, as a table, with numbers as text."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats.pair import OnePolicy
from sapo_viz.rollouts.readers.formats.written import list_in, number_in, value_in
from sapo_viz.rollouts.readers.read import parse_file
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.texts import TextDump
from scripts.format_writers.__main__ import FOLDER
from tests.rollouts.conftest import sequence
from tests.rollouts.readers.formats import samples
from tests.rollouts.readers.formats.samples import lines
from tests.rollouts.readers.formats.test_fuzz import objects_of

Row = dict[str, Any]
TRL = [
    {"step": 5, "prompt": "2+2=", "completion": text, "correct": reward, "advantage": credit}
    for text, reward, credit in (("4", 1.0, 0.7), ("5", 0.0, -0.7))
]
OWN = [sequence(id=name, advantage=None, reward=r, group="p", step=3) for name, r in (("a", 1.0), ("b", 0.0))]
ROWS: dict[str, list[Row]] = {"NeMo-RL": samples.NEMO, "prime-rl": samples.PRIME, "verl": samples.VERL, "TRL": TRL}


def numbers(data: bytes) -> list[Any]:
    """What of a file has to be the same however it is kept; pandas writes ten digits."""
    found = parse_file(data, "x")
    if isinstance(found, Rollouts):
        columns = (found.logprobs, found.old_logprobs, found.advantages, found.mask)
        return [*(np.round(column[found.mask] * 1.0, 8).tolist() for column in columns), found.rewards, found.steps]
    assert isinstance(found, TextDump)
    return [found.prompts, found.completions, found.rewards, found.steps, found.advantages]


def written() -> dict[str, list[Row]]:
    """The rows of the samples that are JSON; four at least, so that two prompts have two completions."""
    out = {}
    for path in sorted(FOLDER.glob("*.json*")):
        rows = objects_of(path.read_text(encoding="utf-8"))
        if all("columns" not in row for row in rows):
            out[path.name] = (rows * 4)[: max(4, len(rows))]
    return out


def read_groups(data: bytes) -> list[Any]:
    """Everything about its completions, and which go together; of what holds none, how that is said."""
    try:
        found = parse_file(data, "x")
    except RolloutError as error:
        return [str(error).split("this is ")[-1][:20]]
    if isinstance(found, TextDump):
        return [*numbers(data), found.groups]
    of = found.sequences if isinstance(found, OnePolicy) else [found[i] for i in range(len(found))]
    labels = [one.group for one in of]
    return [(tuple(one.tokens), one.logprobs[one.mask].tolist(), one.reward, labels.index(one.group)) for one in of]


def parquet(rows: list[Row]) -> bytes:
    out = io.BytesIO()
    pd.DataFrame(rows).to_parquet(out)
    return out.getvalue()


def cells(rows: list[Row], spelled: Callable[[Any], str] = json.dumps) -> bytes:
    """A CSV with one line per row; lists and objects stand in a cell."""
    flat = [{k: spelled(v) if isinstance(v, (list, dict)) else v for k, v in row.items()} for row in rows]
    return pd.DataFrame(flat).to_csv(index=False).encode()


def columns(rows: list[Row]) -> Row:
    return {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}


def nested(rows: list[Row], *sizes: int) -> Row:
    """Columns with a list a prompt, which holds one entry a completion: of so many completions each."""
    ends = np.cumsum((0, *sizes)).tolist()
    parts = [slice(a, b) for a, b in zip(ends, ends[1:], strict=False)]
    return {name: [column[part] for part in parts] for name, column in columns(rows).items()}


BATCHES: dict[str, Callable[[list[Row]], bytes]] = {
    "as columns beside a number": lambda rows: lines(columns(rows) | {"epoch": 1}),
    "as columns under a name": lambda rows: json.dumps({"run": "x", "batch": columns(rows)}).encode(),
    "as columns with a list a prompt": lambda rows: json.dumps(nested(rows, 1, len(rows) - 1)).encode(),
    "in batches of one in a batch": lambda rows: lines(*(nested([row], 1) for row in rows)),
    "in lists in lists": lambda rows: json.dumps([[rows[:1], [rows[1:]]]]).encode(),
}
KEPT: dict[str, Callable[[list[Row]], bytes]] = BATCHES | {
    "in a list under a name": lambda rows: json.dumps({"run": "x", "rollouts": rows}).encode(),
    "each under a name": lambda rows: json.dumps({f"sample {i}": row for i, row in enumerate(rows)}).encode(),
    "one in each line's object": lambda rows: lines(*({"worker": 1, "data": row} for row in rows)),
    "as a data frame's columns": lambda rows: pd.DataFrame(rows).to_json().encode(),
    "as a data frame's rows": lambda rows: pd.DataFrame(rows).to_json(orient="index").encode(),
    "as columns and data": lambda rows: pd.DataFrame(rows).to_json(orient="split").encode(),
    "as Parquet": parquet,
    "as CSV": cells,
    "as CSV, as Python prints": lambda rows: cells(rows, repr),
    "in batches of one": lambda rows: lines(*({name: [value] for name, value in row.items()} for row in rows)),
}  # fmt: skip


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("framework", ROWS)
def test_rows_are_the_same_however_they_are_kept(framework: str, kept: str) -> None:
    rows = ROWS[framework]
    assert numbers(KEPT[kept](rows)) == numbers(lines(*rows))


@pytest.mark.parametrize("kept", [kept for kept in KEPT if kept != "as CSV, as Python prints"])
def test_the_apps_own_sequences_too(kept: str) -> None:
    assert numbers(KEPT[kept](OWN)) == numbers(lines(*OWN))


@pytest.mark.parametrize("kept", BATCHES)
def test_whatever_a_framework_wrote_is_found_in_batches_too(kept: str) -> None:
    """The samples, of which some have a group a row, and lists of their own."""
    for name, rows in written().items():
        found = [read_groups(data) for data in (lines(*rows), BATCHES[kept](rows))]
        assert found[0] == found[1], name


def test_what_a_frameworks_file_lacks_is_said_by_its_name() -> None:
    row = {name: value for name, value in samples.VERL[0].items() if name != "score"}
    with pytest.raises(RolloutError, match=r"x, line 1: score is missing, which a verl rollout dump has beside input"):
        parse_file(lines(row), "x")


@pytest.mark.parametrize("line", [b'{"error": "timeout"}', b"null", b"Traceback (most recent call last)"])
@pytest.mark.parametrize("at", [0, 1])
def test_a_failed_line_between_the_apps_own_sequences_is_left_out_and_said(line: bytes, at: int) -> None:
    good = lines(*OWN).splitlines()
    found = parse_file(b"\n".join([*good[:at], line, *good[at:]]), "x")
    assert isinstance(found, Rollouts) and len(found) == 2
    assert "left out because something in them is wrong: 1" in found.notes[-1]


WRITTEN: dict[str, Callable[[list[float]], str]] = {
    "JSON": json.dumps,
    "numpy": lambda values: str(np.array(values)),
    "torch": lambda values: f"tensor({values}, device='cuda:0')",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_lists_of_numbers_may_be_texts(written: str) -> None:
    spelled = WRITTEN[written]
    rows = [
        {k: spelled(v) if isinstance(v, list) and k != "content" else v for k, v in row.items()}
        for row in ROWS["NeMo-RL"]
    ]
    assert numbers(lines(*rows)) == numbers(lines(*ROWS["NeMo-RL"]))


def test_rewards_of_a_table_may_be_texts_where_no_column_is_of_numbers() -> None:
    rows = [row | {"correct": f"np.float64({row['correct']})"} for row in TRL]
    assert numbers(lines(*rows)) == numbers(lines(*TRL))


@pytest.mark.parametrize("advantage", [True, False])
def test_a_data_frames_index_is_no_reward(advantage: bool) -> None:
    rows = TRL if advantage else [{k: v for k, v in row.items() if k != "advantage"} for row in TRL]
    assert numbers(pd.DataFrame(rows).to_csv().encode()) == numbers(lines(*rows))


def test_an_element_of_a_list_that_is_no_object_is_left_out_and_said() -> None:
    found = parse_file(json.dumps([None, *samples.VERL]).encode(), "x")
    assert isinstance(found, TextDump)
    assert len(found) == 2 and "left out because something in them is wrong: 1" in found.notes[-1]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("np.float64(0.5)", 0.5), ("array([0.5])", 0.5), ("tensor([[1.]], dtype=torch.float64)", 1.0), ("[1.0]", 1.0),
        ("tensor(nan)", None), ("-1e-3", -0.001), ("[1, 2]", "[1, 2]"), ("1_000", "1_000"), ("score(1)", "score(1)"),
    ],
)  # fmt: skip
def test_a_number_as_programs_print_it(text: str, number: Any) -> None:
    assert number_in(text) == number


def test_a_list_as_programs_print_it_and_none_where_its_middle_is_left_out() -> None:
    assert list_in(str(np.array([[-0.5, 1.0], [0.25, -2.0]]))) == [[-0.5, 1.0], [0.25, -2.0]]
    assert list_in("[True None -1.]") == [True, None, -1.0]
    assert list_in(str(np.arange(2000.0))) is None and list_in("[a, b]") is None
    assert value_in("[{'role': 'user', 'content': None}]") == [{"role": "user", "content": None}]
    assert value_in("[" * 5_000) == "[" * 5_000 and value_in("__import__('os')") == "__import__('os')"
