"""Runs that the recorder wrote, as the store, the page's rows and the routes see them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sapo_viz.errors import RunError
from sapo_viz.experiments.records import find_records
from sapo_viz.runs.folder import outside
from sapo_viz.runs.folder.labels import read_label, rename
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.recorded import Recorded
from sapo_viz.runs.workers import launcher
from sapo_viz.ui.serving import run_routes
from sapo_viz.ui.serving.routes import routes
from sapo_viz.ui.training.runs import rows
from tests.recorder.recording import batch, load_recorder, made, record_run
from tests.runs.folder.test_damaged_runs import DAMAGE, write_run

SETTINGS = {"learning_rate": 1e-5, "num_generations": 8, "max_steps": 40, "seed": 3, "loss_type": "sapo"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("SAPO_VIZ_DATA_DIR", str(tmp_path / "data"))
    outside._found.clear()
    run_routes._answers.clear()
    return RunStore()


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=routes()))


def events_of(client: TestClient, run_id: str) -> dict[str, Any]:
    run_routes._answers.clear()
    [told] = client.get("/api/runs/events", params={"from": f"{run_id}:0"}).json()["runs"]
    return dict(told)


def test_a_recorded_run_is_listed_beside_our_own_with_framework_and_version(store: RunStore) -> None:
    write_run(store, "own")
    record_run(store.root / "mine", framework="trl", version="1.16.0", settings=SETTINGS)
    listed = {row["id"]: row for row in rows(store, store.list())}
    assert listed.keys() == {"own", "mine"} and "recorded" not in listed["own"]
    mine = listed["mine"]
    assert (mine["recorded"], mine["title"], mine["status"]) == ("TRL 1.16.0", "mine", "finished")
    assert (mine["objective"], mine["gate"], mine["total"], mine["seed"]) == ("sapo", "token", 40, 3)
    assert mine["settings"]["lr"] == 1e-5 and mine["settings"]["completions"] == 8
    assert mine["reward"] == pytest.approx(0.25) and mine["snapshots"] == [1, 2, 4]
    json.dumps(mine, allow_nan=False)


def test_its_events_come_by_the_route_of_all_runs(store: RunStore, client: TestClient) -> None:
    record_run(store.root / "mine")
    told = events_of(client, "mine")
    assert [event["type"] for event in told["events"]].count("step") == 4
    assert told["status"] == "finished" and told["collapse"] is None


def test_the_data_folder_is_searched_and_what_lies_there_is_left_as_it_is(store: RunStore, client: TestClient) -> None:
    assert store.data is not None
    record_run(store.data / "llama, 8b" / "lr=1e-5")
    (store.data / "model").mkdir()
    (store.data / "model" / "config.json").write_text('{"model_type": "llama"}')
    write_run(RunStore(store.data), "own")  # a folder of somebody's runs is not shown as theirs
    [summary] = store.list()
    assert summary.id == "data:llama%2C%208b/lr%3D1e-5" and summary.status == "finished"
    [row] = rows(store, [summary])
    assert row["title"] == "llama, 8b/lr=1e-5" and row["kept"]
    assert len(events_of(client, summary.id)["events"]) > 4
    for refused in (store.delete, store.request_stop, lambda id: launcher.resume(id, store),
                    lambda id: rename(store, id, "x")):  # fmt: skip
        with pytest.raises(RunError, match="lies in the data folder"):
            refused(summary.id)
    assert not (store.data / "llama, 8b" / "lr=1e-5" / "stop").exists() and not read_label(store, summary.id)


def test_no_name_leads_out_of_the_data_folder(store: RunStore, tmp_path: Path) -> None:
    assert store.data is not None
    store.data.mkdir()
    record_run(tmp_path / "secret")
    os.symlink(tmp_path / "secret", store.data / "link")
    assert store.list() == []
    for name in ("link", "../secret", "%2E%2E/secret", "..%2Fsecret", ".hidden", "", "/", str(tmp_path / "secret"),
                 "a%00b", "x" * 2000):  # fmt: skip
        with pytest.raises(RunError):
            store.folder(f"data:{name}")


def test_in_the_runs_folder_it_can_be_renamed_and_deleted_and_neither_stopped_nor_resumed(store: RunStore) -> None:
    run = record_run(store.root / "mine", end=None)
    assert store.status("mine") == "running"
    with pytest.raises(RunError, match="stop it before deleting"):
        store.delete("mine")
    run.end("stopped", "interrupted")
    for refused in (store.request_stop, lambda id: launcher.resume(id, store)):
        with pytest.raises(RunError, match="trained by another program"):
            refused("mine")
    rename(store, "mine", "a name")
    assert rows(store, store.list())[0]["title"] == "a name"
    store.delete("mine")
    assert store.list() == []


def test_a_process_that_ended_without_a_word_is_killed_on_this_machine(store: RunStore) -> None:
    run = record_run(store.root / "mine", end=None)
    worker = store.root / "mine" / "worker.json"
    worker.write_text(json.dumps(json.loads(worker.read_text()) | {"mark": "another-1"}))
    assert store.status("mine") == "killed" and "without a word" in store.why("mine", "killed").message
    run.end()
    assert store.status("mine") == "finished"  # its last word tells more than its process


def test_on_another_machine_only_the_age_of_the_log_tells(store: RunStore) -> None:
    """Its process id may well be taken here, by something else."""
    run = record_run(store.root / "mine", end=None)
    worker, log = store.root / "mine" / "worker.json", store.root / "mine" / "events.jsonl"
    worker.write_text(json.dumps(json.loads(worker.read_text()) | {"host": "gpu-17", "mark": "another-1"}))
    assert store.status("mine") == "running"
    os.utime(log, (time.time() - 3600,) * 2)
    assert store.status("mine") == "silent"
    assert "gpu-17" in store.why("mine", "silent").message and "60 minutes" in store.why("mine", "silent").message
    run.end()


def test_what_came_after_the_step_that_it_goes_on_from_holds_no_longer(store: RunStore, client: TestClient) -> None:
    recorder = load_recorder()
    record_run(store.root / "mine", steps=6, end=("stopped", "interrupted", ""), rewards=0.3)
    assert store.snapshots("mine") == [1, 2, 4, 6]
    again = made(recorder, store.root / "mine")
    again.begin(2)
    again.add(batch(recorder, 3))
    again.end_step(3)
    assert store.snapshots("mine") == [1, 2]
    again.end()
    assert store.digest("mine").rewards == pytest.approx([0.4, 0.5, 0.45])  # batch's own mean reward at step 3
    assert events_of(client, "mine")["collapse"] is None


def test_a_rank_without_a_file_is_named(store: RunStore) -> None:
    recorder = load_recorder()
    first, second = (made(recorder, store.root / "two", rank=rank, world=2, sequences=8) for rank in (0, 1))
    first.begin()
    second.begin()
    first.add(batch(recorder, 1))
    first.end_step(1)
    second.add(batch(recorder, 2))
    second.end_step(1)
    second.end()
    first.end()
    assert [path.name for path in store.step_tokens("two", 1).files] == [
        "step-00001.rank-0.parquet", "step-00001.rank-1.parquet",
    ]  # fmt: skip
    (store.root / "two" / "tokens" / "step-00001.rank-0.parquet").unlink()
    assert store.step_tokens("two", 1).missing == (0,)


def test_a_new_run_and_one_that_ends_change_the_mark(store: RunStore, client: TestClient) -> None:
    def mark() -> str:
        outside._found.clear()
        run_routes._answers.clear()
        return str(client.get("/api/runs/recorded").json()["mark"])

    assert store.data is not None
    before = mark()
    run = record_run(store.data / "new", end=None)
    begun = mark()
    run.end()
    assert len({before, begun, mark()}) == 3


def test_an_experiment_does_not_take_a_recorded_run_for_its_own(store: RunStore) -> None:
    record_run(store.root / "mine")
    assert find_records(store, {("12345678", 0)}) == {}


@pytest.mark.parametrize("values", [
    {}, {"framework": 3, "objective": ["sapo"], "knobs": "x", "world": True, "settings": [1]},
    {"objective": "no-such", "knobs": {"a": None, "b": True}, "settings": {"max_steps": -1, "seed": 1.5, "x": {}}},
    {"objective": "sapo", "knobs": {"tau_pos": -4, "no": 1}, "world": 10**9, "settings": {"learning_rate": "big"}},
])  # fmt: skip
def test_a_config_that_says_nonsense_is_shown_as_far_as_it_makes_sense(values: dict[str, Any]) -> None:
    run = Recorded.from_dict(values)
    assert (run.steps, run.seed, run.knobs_fit, run.rollout_size) == (None, 0, False, (1, 4))
    assert (
        run.source and run.label and len(run.group) == 8 and 1 <= run.world <= 100_000 and "lr" not in run.settings_here
    )


@pytest.mark.parametrize("file", ["config.json", "events.jsonl", "worker.json", "tokens/step-00001.rank-0.parquet"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_recording_hides_no_other_run(store: RunStore, client: TestClient, file: str, damage: str) -> None:
    record_run(store.root / "good")
    record_run(store.root / "bad")
    DAMAGE[damage](store.root / "bad" / file)
    listed = {row["id"]: row for row in rows(store, store.list())}
    json.dumps(listed, allow_nan=False)
    assert listed["good"]["status"] == "finished" and listed["good"]["snapshots"] == [1, 2, 4]
    run_routes._answers.clear()
    assert client.get("/api/runs/events?from=bad:0&from=good:0").status_code == 200
    assert client.get("/api/runs/recorded").status_code == 200
