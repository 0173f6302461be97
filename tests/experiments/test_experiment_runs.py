"""Running an experiment: nothing starts twice, what was halted goes on, and the command line says what it found."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sapo_viz.commands import experiment as experiment_command
from sapo_viz.errors import RunError
from sapo_viz.experiments import runs as experiment_runs
from sapo_viz.experiments.analysis import analyse, keys_of
from sapo_viz.experiments.design import Arm, Preset
from sapo_viz.experiments.measured import from_json, seeds_of, to_json
from sapo_viz.experiments.presets import PRESETS
from sapo_viz.experiments.records import find_records, record_from, record_json, record_of
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import Failure, RunEvent
from sapo_viz.runs.folder.log import append_event
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.groups import group_key
from sapo_viz.runs.training.engine import train
from sapo_viz.runs.workers import launcher
from tests.runs.small_runs import small
from tests.runs.workers.killing import fork_workers

QUICK = Preset(
    "quick", "Quick", "Is it quick?", "Four steps of 16 completions.",
    paper="Nothing.", designed="Nothing.", reason="None.",
    settings={"prompts": 4, "completions": 4, "steps": 4},
    arms=(Arm("sapo", "SAPO", {"objective": "sapo"}), Arm("grpo", "GRPO", {"objective": "grpo"})),
    seeds=2,
)  # fmt: skip


FULL = Failure("disk", "the disk is full.")


def play(store: RunStore, config: RunConfig, last: str | Failure = "finished", reward: float = 0.5) -> str:
    """A run's folder with made-up steps and a last word."""
    run_id = store.create(config)
    steps = config.steps if last == "finished" else 2
    for step in range(1, steps + 1):
        metrics = {"reward": reward, "entropy": 0.1, "grad_norm": 1.0, "seconds": 2.0 * step}
        append_event(store.path(run_id), RunEvent("step", step, {"metrics": metrics}))
    end = last.at(steps) if isinstance(last, Failure) else RunEvent(last, steps)  # type: ignore[arg-type]
    append_event(store.path(run_id), end)
    return run_id


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is launched and resumed; no process is started."""
    calls: list[tuple[str, str]] = []

    def launch(config: RunConfig, store: RunStore | None = None, table: object = None) -> str:
        assert store is not None
        run_id = store.create(config)
        calls.append(("launch", f"{config.objective}-{config.seed}"))
        return run_id

    monkeypatch.setattr(launcher, "launch", launch)
    monkeypatch.setattr(launcher, "resume", lambda run_id, store: calls.append(("resume", run_id)))
    return calls


def test_a_press_starts_what_is_missing_and_a_second_one_nothing(store: RunStore, asked: list) -> None:
    assert len(experiment_runs.start(QUICK, 2, store=store)) == 4
    assert [name for _, name in asked] == ["sapo-0", "grpo-0", "sapo-1", "grpo-1"]
    assert experiment_runs.start(QUICK, 2, store=store) == ()
    assert len(experiment_runs.start(QUICK, 3, store=store)) == 2, "one seed more is two runs more"


def test_two_browsers_that_press_at_once_start_each_run_once(store: RunStore, asked: list) -> None:
    threads = [threading.Thread(target=experiment_runs.start, args=(QUICK, 3, (), store)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == len(set(asked)) == 6


def test_finished_and_diverged_runs_are_kept_halted_and_failed_ones_go_on(store: RunStore, asked: list) -> None:
    configs = QUICK.configs(2)
    play(store, configs["sapo", 0])
    play(store, configs["grpo", 0], Failure("diverged", "At step 3 the loss became nan …"))
    stopped = play(store, configs["sapo", 1], "stopped")
    failed = play(store, configs["grpo", 1], FULL)
    assert experiment_runs.start(QUICK, 2, store=store) == (stopped, failed)
    assert asked == [("resume", stopped), ("resume", failed)]


def test_of_several_runs_with_the_same_settings_the_furthest_counts(store: RunStore) -> None:
    config = QUICK.config("sapo", 0)
    done = play(store, config)
    play(store, config, "stopped")
    [record] = find_records(store, {(group_key(config), 0)}).values()
    assert (record.run_id, record.state, record.final) == (done, "done", 0.5)


def test_a_run_of_someone_else_counts_whatever_its_label(store: RunStore, asked: list) -> None:
    play(store, RunConfig.from_dict(QUICK.config("grpo", 1).to_dict() | {"label": "mine", "snapshot_every": 1}))
    assert len(experiment_runs.start(QUICK, 2, store=store)) == 3


def test_what_the_engine_says_of_weights_that_ran_away_is_known_as_an_outcome(store: RunStore) -> None:
    """A failure of the machine is not: such a run is done again."""
    config = small(lr=10.0, grad_clip=0.0, checkpoint_every=1, steps=1)
    (event,) = [event for event in train(config) if event.type == "checkpoint"]
    state = copy.deepcopy(dict(event.payload))
    for weights in state["model"].values():
        weights.fill_(float("nan"))
    last = list(train(dataclasses.replace(config, steps=2), resume=state))[-1]
    assert (last.type, last.data["kind"]) == ("failed", "diverged")
    run_id = store.create(config)
    append_event(store.path(run_id), last)
    assert record_of(store, store.summary(run_id)).state == "diverged"
    other = play(store, config, FULL)
    assert record_of(store, store.summary(other)).state == "failed"


def test_progress_counts_and_estimates_from_the_pace_that_was_seen(
    store: RunStore, asked: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPO_VIZ_SLOTS", "1")
    play(store, QUICK.config("sapo", 0))  # 4 steps of 2 s
    experiment_runs.start(QUICK, 2, store=store)  # three to do, just asked for
    now = experiment_runs.progress(QUICK, 2, experiment_runs.records(QUICK, 2, store=store))
    assert (now.done, now.wanted, now.live) == (1, 4, 3)
    assert now.seconds_left == pytest.approx(3 * (4 * 2.0 + 6.0)), "three runs of 8 s, and 6 s for each to start"


def test_stopping_asks_all_of_them_and_no_other_run(
    store: RunStore, asked: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(launcher, "stop", lambda run_id, store: stopped.append(run_id))
    other = store.create(RunConfig("sapo", seed=9))
    ids = experiment_runs.start(QUICK, 2, store=store)
    assert experiment_runs.stop(QUICK, 2, store=store) == 4
    assert sorted(stopped) == sorted(ids)
    assert all((store.path(run_id) / "stop").exists() for run_id in ids) and not (store.path(other) / "stop").exists()


def test_what_starts_from_a_model_that_is_not_here_is_refused_with_the_way_to_it(
    store: RunStore, asked: list, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mood = PRESETS["mood"]
    monkeypatch.setenv("SAPO_VIZ_MODELS_DIR", str(tmp_path))
    with pytest.raises(RunError, match=r"start from SmolLM2-135M-Instruct, which is not here\. `make smollm2`"):
        experiment_runs.start(mood, 3, store=store)
    assert asked == [] and experiment_runs.missing_model(QUICK) == ""
    (tmp_path / "SmolLM2-135M-Instruct").mkdir()
    assert experiment_runs.missing_model(mood) == "" and len(experiment_runs.start(mood, 3, store=store)) == 9


def test_a_record_has_the_kl_of_each_step_and_the_answer_at_each_look(store: RunStore) -> None:
    config = RunConfig("grpo", task="mood", policy="a-model", steps=10)
    run_id = store.create(config)
    look = {"prompt": "To me, the moon is", "reward": 0.0}
    append_event(store.path(run_id), RunEvent("start", 0, {"answers": [look | {"completion": "a moon."}]}))
    for step in range(1, 11):
        told = {"answers": [look | {"completion": "great\ngreat"}, look | {"completion": "no"}]} if step == 10 else {}
        metrics = {"reward": -0.125 * step, "entropy": 2.0, "kl_start": 0.25 * step, "seconds": 1.0}
        append_event(store.path(run_id), RunEvent("step", step, {"metrics": metrics} | told))
    append_event(store.path(run_id), RunEvent("finished", 10, {}))
    record = record_of(store, store.summary(run_id))
    assert record is not None and record.kls == tuple(0.25 * step for step in range(1, 11))
    assert (record.final, record.final_kl) == (-1.1875, 2.375), "of steps 9 and 10"
    assert (record.asked, record.said) == ("To me, the moon is", ((0, "a moon."), (10, "great\ngreat")))
    assert record_from(json.loads(json.dumps(record_json(record))), config) == dataclasses.replace(
        record, run_id="", ended=0.0
    )


# -- what is shipped ------------------------------------------------------------------------------------


def shipped_text(store: RunStore, seeds: int = 2) -> str:
    runs = []
    for config in QUICK.configs(seeds).values():
        run_id = play(store, config, reward=0.25)
        runs.append((config, record_of(store, store.summary(run_id))))
    return to_json("2026-01-02", "a test", runs)


def test_shipped_runs_come_back_and_give_the_same_result(store: RunStore) -> None:
    kept = from_json(shipped_text(store))
    assert (kept.date, seeds_of(QUICK, kept)) == ("2026-01-02", 2)
    assert set(kept.records) == set(keys_of(QUICK, 2).values())
    assert analyse(QUICK, 2, kept.records).arm("grpo").finals == {0: 0.25, 1: 0.25}


def test_shipped_runs_whose_settings_are_not_the_presets_any_more_are_not_shown(store: RunStore) -> None:
    edited = json.loads(shipped_text(store))
    for config in edited["configs"].values():
        config["lr"] = 0.123
    assert seeds_of(QUICK, from_json(json.dumps(edited))) == 0
    for config in edited["configs"].values():
        config["no_such_setting_any_more"] = 1
    assert seeds_of(QUICK, from_json(json.dumps(edited))) == 0


def test_a_setting_declared_since_and_at_its_default_makes_nothing_stale(store: RunStore) -> None:
    edited = json.loads(shipped_text(store))
    for number, (key, config) in enumerate(list(edited["configs"].items())):
        del config["staleness"]
        edited["configs"][f"old{number}"] = edited["configs"].pop(key)  # their key was made without it
        for run in edited["runs"]:
            run["key"] = f"old{number}" if run["key"] == key else run["key"]
    assert seeds_of(QUICK, from_json(json.dumps(edited))) == 2


# -- the command line -----------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Preset:
    monkeypatch.setitem(PRESETS, "quick", QUICK)
    return QUICK


def command(*arguments: str) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    experiment_command.add_arguments(parser)
    return experiment_command.run(parser.parse_args(arguments))


def test_the_command_runs_all_and_a_second_time_none(
    quick: Preset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fork_workers(monkeypatch)
    assert command("quick", "--seeds", "1", "--out", str(tmp_path / "runs"), "--json") == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert "2 runs to do" in said.err and "2 of 2 runs done" in said.err
    assert told["runs"] == {"wanted": 2, "done": 2, "failed": 0}
    assert told["sentence"].startswith("Too few seeds to tell a difference from seed noise: 1 of each")
    assert all(0 <= arm["seeds"]["0"] <= 1 for arm in told["arms"])

    assert command("quick", "--seeds", "1", "--out", str(tmp_path / "runs")) == 0
    said = capsys.readouterr()
    assert "0 runs to do" in said.err
    assert "Paired difference" in said.out and "The paper (arXiv 2511.20347): Nothing." in said.out
    assert len(RunStore(tmp_path / "runs").list()) == 2


def test_failed_runs_are_an_error_that_says_why(quick: Preset, store: RunStore, asked: list) -> None:
    for config in quick.configs(1).values():
        play(store, config, FULL)
    with pytest.raises(RunError, match="2 of 2 runs failed; the first says: the disk is full."):
        command("quick", "--seeds", "1", "--out", str(store.root))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nope"], "the experiment is 'nope'; it takes calm or outlier"),
        (["calm", "--seeds", "many"], "seeds is 'many'; it takes whole numbers from 1 to 24."),
        (["calm", "--switch", "nope"], "calm has no switch 'nope'; it has lower-off"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_starts(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "sapo_viz", "experiment", *arguments],
        capture_output=True, text=True, env=os.environ | {"SAPO_VIZ_RUNS_DIR": str(tmp_path / "runs")},
    )  # fmt: skip
    assert answer.returncode == 2 and answer.stdout == ""
    assert sentence in answer.stderr and answer.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
