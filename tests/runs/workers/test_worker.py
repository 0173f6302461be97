"""Real worker processes: they outlive nothing they should not, and tell the truth when they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sapo_viz.errors import RunError
from sapo_viz.rollouts.readers.read import read_rollouts
from sapo_viz.runs.folder.store import LIVE, RunStore
from sapo_viz.runs.training.engine import train
from sapo_viz.runs.workers.launcher import launch, resume, stop
from sapo_viz.runs.workers.worker import work
from tests.runs.small_runs import small
from tests.runs.workers.killing import fork_workers
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[3]


def logged(store: RunStore, run_id: str) -> list[int]:
    return [event["step"] for event in store.read_events(run_id)[0] if event["type"] == "step"]


def rewards(store: RunStore, run_id: str) -> list[float]:
    return [event["metrics"]["reward"] for event in store.read_events(run_id)[0] if event["type"] == "step"]


def test_a_killed_worker_is_called_killed_and_goes_on_without_a_lost_or_doubled_step(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork_workers(monkeypatch)
    config = small(steps=24, checkpoint_every=3, snapshot_every=5)
    run_id = launch(config, store)
    assert store.status(run_id) in ("starting", "queued", "running")
    wait_until(lambda: store.summary(run_id).step >= 8)
    seen, offset = store.read_events(run_id)
    os.kill(store.worker(run_id)["pid"], signal.SIGKILL)
    wait_until(lambda: store.status(run_id) not in LIVE)
    assert store.status(run_id) == "killed"

    resume(run_id, store)
    with pytest.raises(RunError, match="only a run that has ended"):
        resume(run_id, store)
    wait_until(lambda: store.status(run_id) == "finished")
    assert logged(store, run_id) == list(range(1, 25))
    later, _ = store.read_events(run_id, offset)
    assert store.read_events(run_id)[0] == seen + later  # offsets hold over a resume
    assert any(event["type"] == "start" and event["resumed"] for event in later)
    uninterrupted = [event.metrics["reward"] for event in train(config) if event.type == "step"]
    assert rewards(store, run_id) == uninterrupted
    assert store.snapshots(run_id) == [1, 5, 10, 15, 20, 24]
    assert len(read_rollouts(store.snapshot_path(run_id, 24))) == 16
    assert (store.policy_path(run_id) or Path()).joinpath("model.safetensors").is_file()
    with pytest.raises(RunError, match="is finished"):
        resume(run_id, store)


def test_a_run_stops_when_asked_running_starting_or_waiting(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPO_VIZ_SLOTS", "1")
    fork_workers(monkeypatch)
    running = launch(small(steps=10_000, prompts=16, completions=16), store)
    wait_until(lambda: store.status(running) == "running")
    waiting = launch(small(steps=10_000), store)
    wait_until(lambda: store.status(waiting) == "queued")
    for run_id in (waiting, running):
        assert stop(run_id, store, timeout=PATIENCE)
        assert store.status(run_id) == "stopped"
    assert logged(store, waiting) == []

    starting = launch(small(steps=10_000), store)
    assert store.status(starting) in ("starting", "queued")
    stop(starting, store)
    wait_until(lambda: store.status(starting) == "stopped")
    assert store.read_events(starting)[0][-1]["type"] == "stopped"


def test_a_worker_survives_the_process_that_launched_it(store: RunStore) -> None:
    code = (
        "import sys; from sapo_viz.runs.workers.launcher import launch\n"
        "from sapo_viz.runs.folder.store import RunStore\n"
        "from sapo_viz.runs.config import RunConfig\n"
        "print(launch(RunConfig(steps=2, prompts=2, completions=2, held_out=2, device='cpu'), RunStore(sys.argv[1])))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(store.root)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    run_id = answer.stdout.strip()
    wait_until(lambda: store.status(run_id) == "finished")


def test_a_run_that_cannot_start_says_why(store: RunStore) -> None:
    run_id = store.create(small(policy="no-such-policy"))
    last = work(store.path(run_id))
    assert last.type == "failed" and store.status(run_id) == "failed"
    assert "policy 'no-such-policy' could not be loaded" in store.summary(run_id).message


def test_a_checkpoint_that_is_junk_is_named(store: RunStore) -> None:
    run_id = store.create(small())
    (store.path(run_id) / "checkpoint.pt").write_bytes(b"junk")
    assert work(store.path(run_id)).data["message"].startswith("checkpoint.pt cannot be read")


def test_one_run_is_never_done_by_two_processes(store: RunStore) -> None:
    run_id = store.create(small())
    with pytest.raises(RunError, match="by another process"):
        work(store.path(run_id), echo=lambda event: work(store.path(run_id)) and None)


def test_the_command_trains_reports_each_step_and_stops_cleanly_on_ctrl_c(tmp_path: Path) -> None:
    sizes = ["--steps", "5000", "--prompts", "4", "--completions", "4", "--held-out", "4"]
    flags = [*sizes, "--tau-neg", "1.2", "--device", "cpu"]
    command = [sys.executable, "-m", "sapo_viz", "train", *flags, "--out", str(tmp_path / "x")]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines: list[str] = []
    while not (lines and lines[-1].startswith("step    3/")):
        lines.append(child.stdout.readline())
        assert lines[-1], "it ended before its third step"
    assert "starts on cpu, 75,776 parameters" in lines[0]
    scored, steps = lines[1:-3], lines[-3:]  # five of the start's own answers with what they earn, then the steps
    assert len([line for line in scored if " -> " in line]) == 5
    assert [line.split("/")[0] for line in steps] == ["step    1", "step    2", "step    3"]
    child.send_signal(signal.SIGINT)
    rest, errors = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130 and errors == ""
    assert f"to go on: python -m sapo_viz train --resume {tmp_path / 'x'}" in rest.splitlines()[-1]
    store = RunStore(tmp_path)
    assert store.status("x") == "stopped" and store.config("x").knobs["tau_neg"] == 1.2
    assert logged(store, "x") == list(range(1, store.summary("x").step + 1))
