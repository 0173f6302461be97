"""Tables of questions: three formats give one table, and what is none gets a sentence."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.apart.asking import Given, reading_table
from sapo_viz.rollouts.steps import finish
from sapo_viz.rollouts.table import parse_table, read_table

ROWS = [{"question": "2 + 3?", "answer": "5"}, {"question": 'say "a, b"', "answer": "–"}]


def parquet(columns: dict[str, list[object]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


FILES = {
    "a.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
    "a.json": json.dumps(ROWS).encode(),
    "a.csv": b'question,answer\n2 + 3?,5\n"say ""a, b""","\xe2\x80\x93"\n',
    "a.tsv": b'question\tanswer\n2 + 3?\t5\n"say ""a, b"""\t\xe2\x80\x93\n',
    "a.parquet": parquet({"question": [r["question"] for r in ROWS], "answer": [r["answer"] for r in ROWS]}),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_table(name: str) -> None:
    table = parse_table(FILES[name], name)
    assert [table.row(index) for index in range(len(table))] == ROWS
    assert parse_table(table.jsonl().encode(), "again.jsonl").digest == table.digest


def test_cells_that_are_no_text_become_json() -> None:
    table = parse_table(b'{"answer": 5, "choices": ["a", "b"], "none": null}', "x.jsonl")
    assert table.row(0) == {"answer": "5", "choices": '["a", "b"]', "none": ""}


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"", "x.csv", "the file is empty"),
        (b"question,answer\n", "x.csv", "there is no row"),
        (b"question,answer\n1,2,3\n", "x.csv", "line 2: the row has 3 cells and the header 2"),
        (b"a,a\n1,2\n", "x.csv", "'a' twice"),
        (b'{"a": 1}\n[1]\n', "x.jsonl", "row 2: it is [1]"),
        (b'{"a": 1}\n{"a": \n', "x.jsonl", "line 2: this is not JSON"),
        (b"\xff\xfe\x00", "x.csv", "is not UTF-8"),
        (b"PAR1" + bytes(40), "x.parquet", "no Parquet file"),
        (parquet({"question": pa.array([2**62], pa.timestamp("us"))}), "x.parquet", "no Parquet file"),
        (json.dumps({str(n): n for n in range(101)}).encode(), "x.jsonl", "100 columns"),
        (json.dumps({"a": "x" * 50_001}).encode(), "x.jsonl", "row 1: a has 50,001 characters"),
    ],
)
def test_what_is_no_table_gets_a_sentence(data: bytes, name: str, says: str) -> None:
    with pytest.raises(RolloutError) as error:
        parse_table(data, name)
    assert says in str(error.value) and str(error.value).startswith(name)


def test_a_table_is_read_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(FILES["a.csv"])
    table = finish(reading_table(Given.of_path(path, "a.csv")))
    assert table == read_table(path)


def test_a_parquet_file_that_unpacks_to_twice_what_it_may_take_ends_its_own_reading() -> None:
    bomb = parquet({"question": ["x" * 40_000] * 14_000})  # 560 MB; 256 MB and a little are allowed
    assert len(bomb) < 1_000_000
    with pytest.raises(RolloutError, match="takes more than"):
        finish(reading_table(Given.of_bytes(bomb, "bomb.parquet")))


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(RolloutError, match="this is no file"):
        read_table(tmp_path / "pipe.csv")
