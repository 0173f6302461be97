"""Logs in the owner's data folder become runs by themselves: one a training, nothing written beside them."""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sapo_viz.paths import ASSETS
from sapo_viz.rollouts.schema import Limits
from sapo_viz.runs.folder import dumped
from sapo_viz.runs.folder.labels import read_label
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.logged.below import LogsBelow, find_logs, run_id_of
from sapo_viz.ui.serving.routes import routes
from tests.recorder.recording import record_run
from tests.waiting import wait_until

VERL = {"critic/score/mean": 0.25, "actor/ppo_kl": 0.01}


def verl(path: Path, steps: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"step": n, "data": VERL}) + "\n" for n in range(1, steps + 1)))
    return path


def events(folder: Path) -> None:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))
    for step in (1, 2):
        writer.add_scalar("train/reward", step / 10, step)
    writer.close()


def trackio(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("create table metrics (id integer primary key, run_id text, timestamp text, run_name text, "
                   "step integer, metrics text)")  # fmt: skip
        db.execute("insert into metrics (run_name, step, metrics) values ('a', 7, '{\"reward\": 0.5}')")


def state(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True)
    history = [{"step": n, "reward": n / 10} for n in range(1, steps + 1)]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def steps_of(store: RunStore) -> dict[str, int]:
    return {read_label(store, run.id): run.step for run in store.list()}


def test_each_training_is_one_run_whatever_it_writes(data: Path, tmp_path: Path) -> None:
    verl(data / "verl" / "log.jsonl")
    events(data / "trl" / "runs" / "today")
    state(data / "trl" / "checkpoint-2", 2)  # the same training
    state(data / "plain" / "checkpoint-2", 2)
    (data / "swift" / "runs").mkdir(parents=True)
    (data / "swift" / "logging.jsonl").write_text('{"reward": 0.5, "global_step/max_steps": "3/9"}\n')
    events(data / "swift" / "runs")
    trackio(data / "project.db")
    (data / "other.db").write_bytes(b"SQLite format 3\0")
    (data / "tokens.jsonl").write_text('{"step": 1, "tokens": ["a"], "logprobs": [-1.0]}\n')
    record_run(data / "recorded")
    before = sorted(data.rglob("*"))
    store = RunStore(tmp_path / "runs")
    below = LogsBelow(data, store.root)
    assert below.look() == 2 + 1 + 2 + 1 + 1 and below.look() == 0  # an event file's last step may have more to say
    assert steps_of(store) == {
        "verl/log.jsonl": 2, "trl/runs/today": 1, "plain": 2, "swift/logging.jsonl": 3, "project.db": 7
    }  # fmt: skip
    assert sorted(data.rglob("*")) == before


def test_it_goes_on_with_the_log_and_is_as_old_as_it_is(data: Path, tmp_path: Path) -> None:
    log = verl(data / "log.jsonl")
    os.utime(log, (time.time() - 86_400,) * 2)
    store = RunStore(tmp_path / "runs")
    below = LogsBelow(data, store.root)
    below.look()
    [run] = store.list()
    assert run.recorded is not None and run.recorded.source == "verl" and run.status == "silent"
    verl(log, 3)
    assert below.look() == 1 and store.summary(run.id).status == "running"


def test_a_later_checkpoint_and_an_event_file_of_a_restart_go_on_with_the_run(data: Path, tmp_path: Path) -> None:
    state(data / "a" / "checkpoint-2", 2)
    below = LogsBelow(data, tmp_path / "runs")
    assert below.look() == 2
    state(data / "a" / "checkpoint-4", 4)
    later = time.time() + 5
    os.utime(data / "a" / "checkpoint-4" / "trainer_state.json", (later, later))
    below._walked = 0.0
    assert below.look() == 2 and steps_of(RunStore(tmp_path / "runs")) == {"a": 4}


def test_a_run_that_somebody_deleted_is_left_alone(data: Path, tmp_path: Path) -> None:
    log = verl(data / "log.jsonl")
    below = LogsBelow(data, tmp_path / "runs")
    below.look()
    shutil.rmtree(tmp_path / "runs" / run_id_of("log.jsonl"))
    verl(log, 3)
    assert below.look() == below.look() == 0 and not RunStore(tmp_path / "runs").list()
    assert LogsBelow(data, tmp_path / "runs").look() == 0  # the server begun again
    (tmp_path / "runs" / ".followed").unlink()
    assert LogsBelow(data, tmp_path / "runs").look() == 3


def test_a_log_that_cannot_be_read_yet_is_asked_again_when_it_has_grown(data: Path, tmp_path: Path) -> None:
    path = data / "project.db"
    path.write_bytes(b"SQLite format 3\0")  # trackio's, before its table is there
    below = LogsBelow(data, tmp_path / "runs")
    assert below.look() == below.look() == 0
    path.unlink()
    trackio(path)
    below._walked = 0.0
    assert below.look() == 1


def test_a_folder_of_a_frameworks_own_dumps_is_a_run_with_curves_and_the_tokens_of_its_steps(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("SAPO_VIZ_DATA_DIR", str(data))

    def dump(path: str, sample: str) -> None:
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ASSETS / "samples" / "formats" / sample, data / path)
        os.utime(data / path, (time.time() - 60,) * 2)

    for step in (1, 3):
        dump(f"nemo/exp_001/train_data_step{step}.jsonl", "nemo-rl-train_data_step1.jsonl")
        dump(f"trl/completions/completions_0000{step}.parquet", "trl-completions_00005.parquet")  # texts alone
        (data / f"{step}.jsonl").write_text('{"no": "rollout"}')
    store = RunStore()
    below = LogsBelow(data, store.root)
    assert below.look() == 4 and below.look() == 0
    runs = {run.recorded.source: run for run in store.list() if run.recorded}
    assert set(runs) == {"NeMo-RL", "TRL"}
    z = -0.125  # of every token of the sample, as its rewards are 1 and 0
    told = runs["NeMo-RL"].metrics
    assert told["kl_old"] == pytest.approx(math.expm1(z) - z) and told["ratio_p50"] == pytest.approx(math.exp(z))
    assert told["reward"] == 0.5 and "gate_mean" not in told and "kl_old" not in runs["TRL"].metrics
    assert list(store.tokens(runs["NeMo-RL"].id)) == [1, 3] == list(store.tokens(runs["TRL"].id))
    events, _ = store.read_events(runs["NeMo-RL"].id)
    assert [event["step"] for event in events if event["type"] == "sample"] == [1, 3]  # a page that looks on has them
    dump("nemo/exp_001/train_data_step4.jsonl", "nemo-rl-train_data_step1.jsonl")
    again = LogsBelow(data, store.root)  # the server begun again: a step is read once
    wait_until(lambda: again.look() == 1)
    assert store.summary(runs["NeMo-RL"].id).step == 4
    monkeypatch.setattr("sapo_viz.runs.logged.dumps.UPLOAD", Limits(10, 10))
    dump("nemo/exp_001/train_data_step5.jsonl", "nemo-rl-train_data_step1.jsonl")
    os.utime(data / "nemo/exp_001/train_data_step5.jsonl", (1e9, 1e9))  # copied today, with the dates of then
    wait_until(lambda: again.look() == 1)
    assert store.summary(runs["NeMo-RL"].id).step == 4 and store.status(runs["NeMo-RL"].id) == "silent"
    events, _ = store.read_events(runs["NeMo-RL"].id)
    assert [(event["type"], event["step"]) for event in events[-2:]] == [("note", 5), ("sample", 5)]
    shutil.move(data / "nemo", tmp_path / "nemo")
    (data / "nemo").symlink_to(tmp_path / "nemo")
    dumped._found.clear()
    assert not store.tokens(runs["NeMo-RL"].id)  # not through a link


def test_no_link_is_followed(data: Path, tmp_path: Path) -> None:
    verl(tmp_path / "elsewhere" / "log.jsonl")
    (data / "folder").symlink_to(tmp_path / "elsewhere")
    (data / "log.jsonl").symlink_to(tmp_path / "elsewhere" / "log.jsonl")
    assert find_logs(data) == []


def test_asking_for_the_runs_has_them_followed(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verl(data / "log.jsonl")
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("SAPO_VIZ_DATA_DIR", str(data))
    TestClient(Starlette(routes=routes())).get("/api/runs/recorded")
    wait_until(lambda: steps_of(RunStore()) == {"log.jsonl": 2})
