"""Logs below the data folder may be a stranger's: one that is damaged or has no end leaves the others followed."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.logged import sources
from sapo_viz.runs.logged.below import LogsBelow
from sapo_viz.runs.logged.follow import Followed
from sapo_viz.runs.logged.sources import EventRecords, open_log

STEP = b'{"step":1,"reward":0.5}\n'


def written(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data) and None


def sparse(folder: Path) -> None:
    with open(folder / "logging.jsonl", "wb") as file:
        file.truncate(1 << 34)


def linked(folder: Path) -> None:
    (folder.parent.parent / "elsewhere.jsonl").write_bytes(STEP)
    (folder / "logging.jsonl").symlink_to(folder.parent.parent / "elsewhere.jsonl")


def database(*statements: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with sqlite3.connect(folder / "x.db") as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    return make


TABLE = "create table metrics(id, step, metrics, run_name)"
HOSTILE: dict[str, Callable[[Path], None]] = {
    "a line of 16 GB": sparse,
    "a link": linked,
    "a pipe": lambda folder: os.mkfifo(folder / "logging.jsonl"),
    "a folder in another encoding": lambda folder: os.mkdir(os.fsencode(folder) + b"/\xff"),
    "deep lines": written("logging.jsonl", b'{"a":' * 100_000 + b"\n"),
    "a line of lists": written("logging.jsonl", b'{"step":1,"a":[' + b"[]," * 300_000 + b"[]]}\n"),
    "numbers beyond floats": written("logging.jsonl", b'{"step":1,"reward":1' + b"0" * 400 + b"}\n"),
    "steps beyond all": written("logging.jsonl", b'{"step":1' + b"0" * 30 + b',"reward":1}\n'),
    "a deep state": written("trainer_state.json", b"[" * 100_000),
    "a state of lists": written("trainer_state.json", b'{"log_history":[' + b"[]," * 1_000_000 + b"[]]}"),
    "a record of another kind": written("x.tfevents", struct.pack("<Q", 4) + b"0000" + b"\xff" * 8),
    "a record that claims 2^63 bytes": written("x.tfevents", b"\xff" * 12),
    "rows with words for numbers": database(TABLE, "insert into metrics values('x', 1, '{}', 'r')"),
    "a deep row": database(TABLE, f"insert into metrics values(1, 1, '{'[' * 100_000}', 'r')"),
    "a row of 20 MB": database(TABLE, "insert into metrics values(1, 1, zeroblob(20000000), 'r')"),
    "a formula for a table": database(
        "create view metrics as select 1 as id, 1 as step, 'r' as run_name, "
        f"(replace(hex(zeroblob(499990)), '0', 'a') like '%{'a' * 40_000}b') as metrics"
    ),
    "a formula for a column": database(
        "create table metrics(id, step, run_name, metrics as "
        f"(instr(replace(hex(zeroblob(499990)), '0', 'a'), '{'a' * 300_000}b')))",
        "insert into metrics(id, step, run_name) values(1, 1, 'r')",
    ),
    "a pipe for a journal": lambda folder: (
        database(TABLE, "insert into metrics values(1, 1, '{\"reward\": 1}', 'r')")(folder),
        os.mkfifo(folder / "x.db-journal"),
    )[-1],
    "a table without end": database(
        "create view metrics as with recursive t(id) as (select 1 union all select id + 1 from t) "
        "select id, id as step, '{}' as metrics, 'r' || id as run_name from t"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_log_leaves_the_others_followed(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_SECONDS", 0.05)
    data = tmp_path / "data"
    for folder in ("bad", "good"):
        (data / folder).mkdir(parents=True)
    HOSTILE[name](data / "bad")
    (data / "good" / "logging.jsonl").write_bytes(STEP)
    assert LogsBelow(data, tmp_path / "runs").look() == 1
    [run] = [run for run in RunStore(tmp_path / "runs").list() if "good" in run.id]
    assert run.step == 1 and run.metrics["reward"] == 0.5


def test_a_folder_of_very_many_files_hides_no_log(tmp_path: Path) -> None:
    for number in range(21_000):
        (tmp_path / "data" / "many" / str(number)).parent.mkdir(parents=True, exist_ok=True)
        os.mknod(tmp_path / "data" / "many" / str(number))
    (tmp_path / "data" / "run").mkdir()
    (tmp_path / "data" / "run" / "logging.jsonl").write_bytes(STEP)
    assert LogsBelow(tmp_path / "data", tmp_path / "runs").look() == 1


def test_a_long_log_comes_a_part_at_a_time_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_ROWS", 10)
    log = tmp_path / "log.jsonl"
    lines = [json.dumps({"step": step, "reward": 1.0}) for step in range(25)]
    log.write_text("x" * (3 << 20) + "\n" + "\n".join(lines) + "\n", encoding="utf-8")  # its first line is passed over
    followed, steps = Followed(open_log(log), tmp_path / "run"), []
    while not steps or followed.source.behind:
        steps.append(followed.look())
    assert sum(steps) == 25 and len(steps) == 3


def test_tags_without_end_in_one_step_do_not_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboardX.proto.event_pb2 import Event

    monkeypatch.setattr(sources, "_TAGS", 100)
    log = tmp_path / "x.tfevents"
    with open(log, "wb") as file:
        for part in range(30):
            event = Event(step=1)
            for number in range(50):
                event.summary.value.add(tag=f"{part}/{number}", simple_value=1.0)
            body = event.SerializeToString()
            file.write(struct.pack("<Q", len(body)) + b"0000" + body + b"0000")
    source = EventRecords(log)
    assert list(source.news()) == []
    row = source.last()
    assert row is not None and len(row[1]) == 100


def test_a_database_that_nobody_writes_gets_no_files_beside_it(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as connection:
        for statement in (TABLE, "insert into metrics values(1, 1, '{\"reward\": 1}', 'r')"):
            connection.execute(statement)
    connection.execute("pragma journal_mode = wal")
    connection.close()
    assert list(open_log(tmp_path / "x.db").news()) == [(1, {"reward": 1})]
    assert os.listdir(tmp_path) == ["x.db"]
