"""The run folder: whole lines only, truthful states, and no way out of the root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sapo_viz.errors import RunError
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.folder.log import append_event, mend_events
from sapo_viz.runs.folder.process import is_alive, start_mark
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.folder.worker_file import write_worker


def step(number: int) -> RunEvent:
    return RunEvent("step", number, {"metrics": {"reward": number / 10}})


def test_events_come_back_from_an_offset_on(store: RunStore) -> None:
    run_id = store.create(RunConfig())
    assert store.read_events(run_id) == ([], 0)
    append_event(store.path(run_id), step(1))
    first, offset = store.read_events(run_id)
    append_event(store.path(run_id), step(2))
    second, end = store.read_events(run_id, offset)
    assert [event["step"] for event in first + second] == [1, 2]
    assert store.read_events(run_id, end) == ([], end)


def test_half_a_line_is_never_returned_at_any_byte(store: RunStore) -> None:
    """The file is cut at every length; what is read is always a prefix of the whole events."""
    run_id = store.create(RunConfig(label="τ"))
    events = [RunEvent("start", 0, {"text": "τ₋ „quoted“ \n 你"}), step(1), step(2)]
    text = "".join(event.to_json() + "\n" for event in events).encode()
    whole = [json.loads(line) for line in text.decode().splitlines()]
    path = store.path(run_id) / "events.jsonl"
    for length in range(len(text) + 1):
        path.write_bytes(text[:length])
        got, offset = store.read_events(run_id)
        assert got == whole[: len(got)] and text[:offset].endswith(b"\n" if got else b"")
        assert len(got) == text[:length].count(b"\n")


def test_a_number_that_json_does_not_have_becomes_null() -> None:
    line = RunEvent("step", 1, {"metrics": {"a": float("nan"), "b": float("inf"), "c": 1.0}}).to_json()
    assert json.loads(line)["metrics"] == {"a": None, "b": None, "c": 1.0}


def test_mending_cuts_off_what_a_killed_worker_left_half_written(store: RunStore) -> None:
    folder = store.path(store.create(RunConfig()))
    append_event(folder, step(1))
    whole = (folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(whole + b'{"type": "step", "st')
    assert mend_events(folder).step == 1
    assert (folder / "events.jsonl").read_bytes() == whole


@pytest.mark.parametrize("run_id", ["..", "../x", "a/b", "/etc", "", ".hidden", "a\0b", "x" * 101, "a b", None])
def test_an_id_cannot_lead_out_of_the_root(store: RunStore, run_id: str) -> None:
    for ask in (store.path, store.read_events, store.status, store.delete, store.request_stop, store.snapshots):
        with pytest.raises(RunError, match="the run id is"):
            ask(run_id)


def test_ids_are_unique_and_the_newest_run_comes_first(store: RunStore) -> None:
    ids = [store.create(RunConfig(seed=seed)) for seed in (1, 1, 2)]
    assert len(set(ids)) == 3 and all("sapo-s" in run_id for run_id in ids)
    for age, run_id in enumerate(reversed(ids)):
        os.utime(store.path(run_id) / "config.json", (1e9 - age, 1e9 - age))
    assert [summary.id for summary in store.list()] == ids[::-1]
    assert store.list()[0].config.seed == 2


def test_an_unreadable_run_does_not_hide_the_others(store: RunStore) -> None:
    good, bad = store.create(RunConfig()), store.create(RunConfig())
    (store.path(bad) / "config.json").write_bytes(b"\xff\xfe junk")
    (store.root / "not a run").mkdir()
    listed = {summary.id: summary for summary in store.list()}
    assert listed.keys() == {good, bad} and listed[good].config == RunConfig()
    assert listed[bad].config is None and "config.json cannot be read: it is not UTF-8" in listed[bad].message


def test_an_existing_folder_that_is_not_empty_is_refused(store: RunStore) -> None:
    store.create(RunConfig(), "x")
    with pytest.raises(RunError, match="exists and is not empty"):
        store.create(RunConfig(), "x")


def test_states_follow_the_last_word_and_the_process(store: RunStore) -> None:
    run_id = store.create(RunConfig())
    folder = store.path(run_id)
    assert store.status(run_id) == "starting"  # its process is being made
    os.utime(folder / "config.json", (1e9, 1e9))
    assert store.status(run_id) == "killed"  # there never was one
    for state in ("queued", "starting"):
        write_worker(folder, state)  # this very process, which lives
        assert store.status(run_id) == state
    append_event(folder, RunEvent("start", 0))
    write_worker(folder, "running")
    assert store.status(run_id) == "running"
    for last in ("finished", "stopped", "failed"):
        append_event(folder, RunEvent(last, 3, {"message": "why"}))
        assert store.status(run_id) == last
    assert store.summary(run_id).message == "why"
    write_worker(folder, "starting")  # resumed
    assert store.status(run_id) == "starting"


def test_an_id_that_the_system_gave_to_another_process_is_not_taken_for_the_worker(store: RunStore) -> None:
    run_id = store.create(RunConfig())
    worker = {"pid": os.getpid(), "mark": "an earlier start", "state": "running", "since": 0}
    (store.path(run_id) / "worker.json").write_text(json.dumps(worker))
    append_event(store.path(run_id), step(1))
    assert store.status(run_id) == "killed"


def test_a_process_is_alive_until_it_ends_and_a_zombie_is_not() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = start_mark(child.pid)
    assert is_alive(child.pid, mark) and not is_alive(child.pid, mark + "0") and not is_alive(child.pid, "")
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and not collected yet
    assert not is_alive(child.pid, mark)
    child.communicate()
    assert not is_alive(child.pid, mark)


def test_a_run_that_is_alive_is_not_deleted(store: RunStore) -> None:
    run_id = store.create(RunConfig())
    write_worker(store.path(run_id), "running")
    with pytest.raises(RunError, match="stop it before"):
        store.delete(run_id)
    append_event(store.path(run_id), RunEvent("stopped", 0))
    store.delete(run_id)
    assert store.list() == [] and not store.path(run_id).exists()


def test_snapshots_are_found_by_step_and_a_missing_one_names_those_there_are(store: RunStore) -> None:
    run_id = store.create(RunConfig())
    tokens = store.path(run_id) / "tokens"
    tokens.mkdir()
    for name in ("step-00010.jsonl", "step-00002.jsonl", ".step-00003.jsonl.part", "notes.txt"):
        (tokens / name).touch()
    assert store.snapshots(run_id) == [2, 10]
    assert store.snapshot_path(run_id, 10) == tokens / "step-00010.jsonl"
    with pytest.raises(RunError, match="no tokens of step 3; it has those of 2, 10"):
        store.snapshot_path(run_id, 3)


def test_the_root_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path))
    assert RunStore().root == tmp_path
    monkeypatch.delenv("SAPO_VIZ_RUNS_DIR")
    assert RunStore().root == Path(__file__).parents[3] / "runs"
