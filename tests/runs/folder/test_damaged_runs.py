"""Whatever lies in a run's folder, the run is listed with what can still be shown, and all others are as they were."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sapo_viz.errors import RunError
from sapo_viz.experiments.records import find_records
from sapo_viz.rollouts.apart.folder import list_files
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.folder import log
from sapo_viz.runs.folder.event_lines import event_from
from sapo_viz.runs.folder.labels import read_label
from sapo_viz.runs.folder.log import append_event, mend_events
from sapo_viz.runs.folder.store import RunStore, RunSummary
from sapo_viz.runs.folder.tensorboard import EventFile
from sapo_viz.runs.groups import group_key
from sapo_viz.runs.workers import launcher
from sapo_viz.runs.workers.schedule import turns
from sapo_viz.ui import address
from sapo_viz.ui.serving import run_routes
from sapo_viz.ui.serving.routes import routes
from sapo_viz.ui.serving.verdicts import collapse_of
from sapo_viz.ui.training import runs as run_rows
from sapo_viz.ui.training.runs import estimate, rows

CONFIG = RunConfig(steps=3)
ROW = {
    "tokens": ["a", "b"],
    "logprobs": [-1.0, -2.0],
    "old_logprobs": [-1.1, -1.9],
    "advantage": 1.0,
    "reward": 1.0,
    "prompt": "1+1=",
}
FILES = ("config.json", "events.jsonl", "worker.json", "label", "tokens/step-00001.jsonl", "worker.log", "stop",
         "checkpoint.pt", "events.out.tfevents.0.sapo-viz", ".lock", ".reserve", ".label.part")  # fmt: skip


def write_run(store: RunStore, name: str) -> Path:
    """A finished run of three steps with a snapshot, as a worker leaves it."""
    folder = store.folder(store.create(CONFIG, name))
    start = {"config": CONFIG.to_dict(), "device": "cpu", "parameters": 75776, "resumed": False}
    append_event(folder, RunEvent("start", 0, start))
    for step in (1, 2, 3):
        metrics = {"reward": step / 4, "entropy": 0.2, "grad_norm": 1.0, "seconds": 0.1 * step, "tokens": 10.0 * step}
        append_event(folder, RunEvent("step", step, {"metrics": metrics}))
        if step == 1:
            (folder / "tokens").mkdir()
            (folder / "tokens" / "step-00001.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf-8")
            probe = {"prompt": "p", "tokens": ["a"], "logprobs": [-1.0], "start_logprobs": [-2.0], "reward": 1.0}
            append_event(folder, RunEvent("sample", 1, {"file": "tokens/step-00001.jsonl", "probes": [probe]}))
    append_event(folder, RunEvent("finished", 3, {"seconds": 0.3}))
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "runs"))
    return RunStore()


def strict(text: str) -> Any:
    """As a browser reads JSON: there is no NaN."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in the answer")

    return json.loads(text, parse_constant=refuse)


def look_at_everything(store: RunStore) -> dict[str, RunSummary]:
    """All that pages, routes and commands ask of the runs; whatever the one is like, the other is as it was."""
    listed = {summary.id: summary for summary in store.list()}
    good = listed["good"]
    assert (good.status, good.step, good.metrics["reward"], good.message) == ("finished", 3, 0.75, "")
    shown = {row["id"]: row for row in rows(store, list(listed.values()))}
    json.dumps(shown, allow_nan=False).encode("utf-8")
    assert shown["good"]["reward"] == 0.5 and shown["good"]["snapshots"] == [1]
    record = find_records(store, {(group_key(CONFIG), 0)})[group_key(CONFIG), 0]
    assert len(record.rewards) == 3 and record.final < 1e100
    estimate([CONFIG], list(listed.values()))
    turns(store)
    run_routes._answers.clear()  # states are kept for a tenth of a second, in which this test damages several files
    client = TestClient(Starlette(routes=routes()))
    answer = client.get("/api/runs/events?from=bad:0&from=good:0")
    assert answer.status_code == 200
    [bad, told] = strict(answer.text)["runs"]
    assert [event["type"] for event in told["events"]] == ["start", "step", "sample", "step", "step", "finished"]
    assert told["status"] == "finished" and not told["message"]
    if "bad" in listed:
        assert bad["status"] == listed["bad"].status and "\n" not in bad["message"]
    snapshots = strict(client.get("/api/runs/snapshots?run=good&step=1").text)["snapshots"]
    assert [row["step"] for row in snapshots] == [1] and snapshots[0]["sequences"][0]["tokens"] == ["a", "b"]
    assert client.get("/api/runs/snapshots?run=bad&step=1").status_code in (200, 404)
    read_label(store, "bad")
    store.log("bad")
    return listed


def deep(text: str = "[") -> bytes:
    return b'{"a":' + text.encode() * 100_000


def damage_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def damage_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def damage_socket(path: Path) -> None:
    path.unlink()
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's whole path has a hundred characters at most
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)
    finally:
        os.chdir(here)


def damage_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def damage_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def damage_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def written(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def line(**values: Any) -> bytes:
    return json.dumps({"type": "step", "step": 4, "time": 1.0, "metrics": {}} | values).encode() + b"\n"


DAMAGE: dict[str, Callable[[Path], None]] = {
    "pipe": damage_pipe,
    "folder": damage_folder,
    "socket": damage_socket,
    "link": damage_link,
    "link to a device": damage_device,
    "link to itself": damage_loop,
    "empty": written(b""),
    "nothing but line ends": written(b"\n" * (1 << 20)),
    "binary": written(bytes(range(256)) * 100),
    "latin-1": written('{"objective": "säpo"}\n'.encode("latin-1")),
    "deep lists": written(deep("[") + b"\n"),
    "deep objects": written(deep('{"a":') + b"\n"),
    "an integer of 10,000 digits": written(b'{"seed": 1' + b"0" * 10_000 + b', "step": 1' + b"0" * 4000 + b"}\n"),
    "no metrics": written(b'{"type": "step", "step": 1, "time": 1.0}\n'),
    "metrics of a wrong kind": written(line(metrics=[1, 2]) + line(metrics={"reward": "x", "seconds": [1]})),
    "NaN": written(b'{"type":"step","step":1,"time":NaN,"metrics":{"seconds":NaN,"reward":Infinity,"tokens":1e999}}\n'),
    "huge numbers": written(
        line(time=1e300, metrics={"reward": 1.7e308, "seconds": 10**400, "entropy": -1.7e308}) * 12
    ),
    "a step of a wrong kind": written(line(step="1") + line(step=True) + line(step=1e300) + line(step=-1)),
    "half characters": written(b'{"type":"failed","step":1,"time":1,"message":"\\ud800","kind":"\\udfff"}\n'),
    "wrong kinds": written(
        line(type="start", step=0, config={"prompts": 0, "completions": "x"})
        + line(type="sample", probes=[{"tokens": 3}, 5, None], file=3)
        + line(type="failed", message={"a": 1}, kind=[])
    ),
    "an object of lists": written(b'{"objective": [], "knobs": [], "pid": [], "state": {}, "tokens": 5}\n'),
    "carriage returns": written(b"x\r" * (1 << 20) + b"\n"),
    "a line of brackets": written(b'{"a":[' + b"[]," * 300_000 + b"[]]}\n"),
    "a line of numbers": written(b'{"a":[' + b"1," * 500_000 + b"1]}\n"),
    "keys that stand twice": written(
        b'{"type":"step","type":5,"step":1,"step":"x","objective":"sapo","objective":[]}\n'
    ),
    "numbers beyond floats": written(
        b'{"type":"step","step":1e999,"steps":1e999,"seed":-1e999,"pid":1e999,"since":1e999}\n'
    ),
    "many short events": written(b'{"type":"sample","step":1}\n' * 50_000),
    "many short steps": written(b'{"type":"step","step":1,"metrics":{}}\n' * 50_000),
    "many resumes": written(b'{"type":"start","step":1,"resumed":true,"framework":"x"}\n' * 50_000),
    "many lines of nothing": written(b"x\n" * 500_000),
    "huge knob": written(b'{"objective": "sapo", "knobs": {"tau_neg": 1' + b"0" * 400 + b"}}\n"),
}


@pytest.mark.parametrize("name", ["config.json", "events.jsonl", "worker.json", "label", "tokens/step-00001.jsonl"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_one_damaged_file_hides_neither_its_run_nor_the_others(store: RunStore, name: str, damage: str) -> None:
    folder, _good = write_run(store, "bad"), write_run(store, "good")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).touch()
    DAMAGE[damage](folder / name)
    bad = look_at_everything(store)["bad"]
    if name == "config.json":
        assert bad.status == "damaged" and bad.message.startswith("run bad: config.json") and bad.step == 3
    store.delete("bad")
    assert [summary.id for summary in store.list()] == ["good"]


def test_what_is_damaged_is_said_and_the_rest_shown(store: RunStore) -> None:
    folder, _good = write_run(store, "bad"), write_run(store, "good")
    with open(folder / "events.jsonl", "ab") as file:
        file.write(b'{"type": "step", "step": 4}\nno json\n' + line(step=5, metrics={"reward": 1.0}))
    [row] = [row for row in rows(store, store.list()) if row["id"] == "bad"]
    assert row["message"].endswith(
        "2 lines of events.jsonl hold no event and are left out (line 7: it is a step without metrics)."
    )
    assert row["step"] == 5


@pytest.mark.parametrize("ends", [b"\n", b""])
def test_a_line_of_200_mb_costs_neither_the_other_lines_nor_the_memory(store: RunStore, ends: bytes) -> None:
    folder, _good = write_run(store, "bad"), write_run(store, "good")
    with open(folder / "events.jsonl", "r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b'{"type":"step","x":"')
        file.seek(200 << 20, os.SEEK_CUR)  # zeros, which take no room on the disk
        file.write(b'"}' + ends + (line(step=4, metrics={"reward": 1.0}) if ends else b""))
    bad = look_at_everything(store)["bad"]
    assert [e["step"] for e in store.read_events("bad")[0] if e["type"] == "step"] == (
        [1, 2, 3, 4] if ends else [1, 2, 3]
    )
    assert store.digest("bad").damage.startswith("1 line of events.jsonl holds no event and is left out (line 7: it is")
    assert bad.step == (4 if ends else 0)  # whether its last 4 MB hold an event


SHORT = (
    '{"type":"sample","step":%d}',
    '{"type":"start","step":1,"resumed":true,"framework":"x"}',
    '{"type":"step","step":%d,"metrics":{}}',
    "x",
)


@pytest.mark.parametrize("short", SHORT)
def test_a_log_of_very_many_short_lines_is_looked_at_up_to_a_bound(
    store: RunStore, short: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of runs looks at its end, a digest at its beginning, an answer at one chunk; none at it all."""
    folder, lines = write_run(store, "bad"), 60_000
    with open(folder / "events.jsonl", "ab") as file:
        file.writelines((short % i if "%d" in short else short).encode() + b"\n" for i in range(lines))
    looked_at = 0

    def counted(text: bytes) -> dict[str, Any]:
        nonlocal looked_at
        looked_at += 1
        return event_from(text)

    monkeypatch.setattr(log, "event_from", counted)
    store.list()
    assert looked_at <= 5 * log._TAIL_LINES * 4  # status, summary and digest; a tail is read in four sizes
    read, following = log.read_lines(folder)
    assert read.count(b"\n") == log.MOST_LINES and following < (folder / "events.jsonl").stat().st_size
    looked_at = 0
    store.digest("bad")
    assert looked_at <= log._DIGESTED + 4 * log._TAIL_LINES
    looked_at = 0
    collapse_of(folder)
    assert looked_at <= 2 * log.MOST_LINES
    answer = TestClient(Starlette(routes=routes())).get("/api/runs/events?from=bad:0").json()["runs"][0]
    assert answer["more"] and len(answer["events"]) <= log.MOST_LINES


def test_a_log_of_many_short_lines_comes_whole_in_several_answers(store: RunStore) -> None:
    folder = write_run(store, "bad")
    with open(folder / "events.jsonl", "ab") as file:
        file.write(line(step=4) * 25_000)
    assert len(store.read_events("bad")[0]) == 25_006
    assert mend_events(folder).step == 4
    client, got, offset, more = TestClient(Starlette(routes=routes())), 0, 0, True
    while more:
        answer = client.get(f"/api/runs/events?from=bad:{offset}").json()["runs"][0]
        got, offset, more = got + len(answer["events"]), answer["next"], answer["more"]
    assert got == 25_006


def test_a_folder_in_another_encoding_hides_no_run(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk keeps bytes: the name can be said in no page and no JSON."""
    monkeypatch.setenv("SAPO_VIZ_DATA_DIR", str(tmp_path / "data"))
    there = os.fsencode(tmp_path / "data") + b"/\xff"
    os.makedirs(there)
    with open(there + b"/config.json", "wb") as file:
        file.write(b'{"kind": "recorded"}')
    write_run(store, "good")
    assert [run.id for run in RunStore().list()] == ["good"]
    assert list_files(tmp_path / "data") == []


def test_questions_of_a_run_that_unpack_to_gigabytes_are_refused(store: RunStore) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 90_000, pa.int32()), ["q" * 40_000])
    folder = store.folder(store.create(replace(CONFIG, task="questions", data="x.jsonl"), "bad"))
    pq.write_table(pa.table({"question": texts, "answer": texts}), folder / "questions.jsonl", store_schema=False)
    answer = TestClient(Starlette(routes=routes())).get("/api/runs/export?run=bad&to=trl")
    assert answer.status_code == 404 and "takes more than" in answer.json()["error"]


def test_a_half_written_line_is_cut_off_and_a_long_log_kept(store: RunStore) -> None:
    folder = write_run(store, "bad")
    with open(folder / "events.jsonl", "ab") as file:
        file.write(line(step=4) * 25_000)
    whole = (folder / "events.jsonl").read_bytes()
    with open(folder / "events.jsonl", "ab") as file:
        file.write(b'{"type":"st')
    mend_events(folder)
    assert (folder / "events.jsonl").read_bytes() == whole


def test_a_damaged_run_is_not_gone_on_with_and_says_why(store: RunStore) -> None:
    for name in ("config.json", "events.jsonl"):
        folder = write_run(store, "bad")
        (folder / "events.jsonl").write_bytes(b"")
        damage_pipe(folder / name)
        with pytest.raises(RunError, match=f"run bad: {name} cannot be read: it is no regular file"):
            launcher.resume("bad", store)
        store.delete("bad")


def test_a_run_that_another_visitor_deletes_between_two_looks_is_said_to_be_gone(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(store, "bad")
    monkeypatch.setattr(store, "folder", lambda run_id: folder)  # it was there a moment ago
    shutil.rmtree(folder)
    for look in (store.config, store.status, lambda run_id: launcher.resume(run_id, store)):
        with pytest.raises(RunError, match="there is no run 'bad' any more"):
            look("bad")


@pytest.mark.parametrize("ahead", [-1e6, 100.0, 1e6, 2e9])
def test_a_run_from_another_time_is_not_starting_for_ever(store: RunStore, ahead: float) -> None:
    """Its worker was never made, or is gone; the clock that its config was written by was another one."""
    import time

    folder = store.folder(store.create(CONFIG, "bad"))
    when = time.time() + ahead
    os.utime(folder / "config.json", (when, when))
    assert store.status("bad") == "killed"
    store.delete("bad")
    assert store.list() == []


def test_a_finished_run_without_all_of_its_steps_counts_for_no_experiment(store: RunStore) -> None:
    folder = write_run(store, "bad")
    assert find_records(store, {(group_key(CONFIG), 0)})
    store.delete("bad")
    folder = write_run(store, "bad2")
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "events.jsonl").write_bytes(b"".join(lines[:-2] + lines[-1:]))
    assert not find_records(store, {(group_key(CONFIG), 0)})


@pytest.fixture(scope="module")
def two_runs() -> Iterator[RunStore]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAPO_VIZ_RUNS_DIR", folder)
        store = RunStore()
        write_run(store, "bad"), write_run(store, "good")
        shutil.copytree(store.folder("bad"), Path(folder) / ".whole")
        yield store


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
_names = st.sampled_from(
    ["type", "step", "time", "metrics", "config", "probes", "answers", "message", "kind", "file", "pid", "mark",
     "state", "since", "objective", "knobs", "seed", "steps", "prompts", "label", "tokens", "logprobs", "old_logprobs",
     "advantage"]
)  # fmt: skip
_types = st.sampled_from(["start", "step", "sample", "checkpoint", "failed", "stopped", "finished"])
_objects = st.builds(lambda kind, rest: {"type": kind, "step": 1} | rest, _types, st.dictionaries(_names, _json))
_lines = st.lists(_objects | _json, max_size=4).map(
    lambda values: b"".join(json.dumps(value).encode("utf-8", "surrogatepass") + b"\n" for value in values)
)


@given(name=st.sampled_from(FILES), data=st.binary(max_size=200) | _lines, cut=st.integers(0, 600), keep=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_in_any_file_of_a_run_leave_all_others_as_they_were(
    two_runs: RunStore, name: str, data: bytes, cut: int, keep: bool
) -> None:
    """The file's first `cut` bytes, then anything; or anything alone."""
    folder = two_runs.root / "bad"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(two_runs.root / ".whole", folder)
    before = (folder / name).read_bytes()[:cut] if keep and (folder / name).exists() else b""
    (folder / name).write_bytes(before + data)
    assert "bad" in look_at_everything(two_runs)
    mend_events(folder)
    EventFile(folder)
    look_at_everything(two_runs)


def test_a_run_that_a_link_names_is_listed_however_many_are_newer(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("good", "new", "newest"):
        os.utime(write_run(store, name) / "config.json", (1e9 + len(name), 1e9 + len(name)))
    monkeypatch.setattr(run_rows, "MOST_LISTED", 1)
    monkeypatch.setattr(address.st, "query_params", {"runs": "good,gone"})
    summaries = store.list()
    assert [run.id for run in run_rows.listed(summaries)] == ["newest", "good"]
    assert run_rows.shown_ids(summaries) == (["good"], ["gone"])
