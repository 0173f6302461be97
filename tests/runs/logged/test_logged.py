"""Logs that training writes anyway, followed into a run folder: our names, no step twice, half lines left for later.

The event file is tensorboardX's own. trackio's table is made here as 0.43 makes it; verl's and TRL's lines likewise.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sapo_viz.cli import main
from sapo_viz.errors import RunError
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.logged.follow import Followed
from sapo_viz.runs.logged.names import NAMES, framework_of, ours
from sapo_viz.runs.logged.sources import open_log
from sapo_viz.runs.metrics import RUN_METRICS

VERL = {"critic/rewards/mean": 0.25, "actor/ppo_kl": 0.01, "actor/entropy": 1.5, "response_length/mean": 80, "x": "y"}
TRL = {"reward": 0.5, "kl": 0.02, "entropy": 1.0, "completions/mean_length": 64.0, "frac_reward_zero_std": 0.25}


def steps(folder: Path) -> list[tuple[int, dict[str, Any]]]:
    events, _ = RunStore(folder.parent).read_events(folder.name)
    return [(event["step"], event["metrics"]) for event in events if event["type"] == "step"]


def test_names_are_ours_and_known() -> None:
    assert ours(VERL) == {"reward": 0.25, "kl_old_k1": 0.01, "entropy": 1.5, "length": 80.0}
    assert ours(TRL) == {"reward": 0.5, "kl_start": 0.02, "entropy": 1.0, "length": 64.0, "dead_groups": 0.25}
    assert ours({"train/reward": 1.0, "loss": float("nan"), "grad_norm": True}) == {"reward": 1.0}
    assert all(set(names.values()) <= set(RUN_METRICS) for names in NAMES.values())
    assert (framework_of(VERL), framework_of(TRL), framework_of({"reward": 1})) == ("verl", "TRL", "")


# What the frameworks' own trainers hand to their loggers, by their sources; left out is what means something else here.
LOGS: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "verl": (
        {"critic/score/mean": 0.5, "critic/rewards/mean": 0.4, "actor/ppo_kl": -0.01, "actor/pg_clipfrac": 0.02},
        {"reward": 0.5, "kl_old_k1": -0.01, "clip_fraction": 0.02},  # rewards have the KL penalty in them
    ),
    "OpenRLHF": (
        {"train/actor_lr": 1e-6, "train/reward": 0.5, "train/kl": 0.3, "train/ppo_kl": 0.01, "train/entropy_loss": 9.0},
        {"lr": 1e-6, "reward": 0.5, "kl_old_k1": 0.01},
    ),
    "slime": (
        {"train/ppo_kl": 0.01, "train/pg_clipfrac": 0.02, "train/kl_loss": 0.3, "train/entropy_loss": 0.7},
        {"kl_old_k1": 0.01, "clip_fraction": 0.02, "entropy": 0.7},
    ),
    "SkyRL": (
        {
            "policy/policy_kl": 0.3,
            "policy/response_length": 512,
            "generate/avg_num_tokens": 80,
            "policy/policy_lr": 1e-6,
        },
        {"kl_start": 0.3, "length": 80.0, "lr": 1e-6},
    ),
    "ms-swift": (
        {"reward": 0.5, "entropy/mean": 0.7, "kl": 0.3, "frac_reward_zero_std": 0.25, "completions/mean_length": 80},
        {"reward": 0.5, "entropy": 0.7, "kl_start": 0.3, "dead_groups": 0.25, "length": 80.0},
    ),
    "TRL": (
        {"reward": 0.5, "reward_std": 0.1, "num_tokens": 9000, "kl": 0.3, "cispo_clip_ratio": 0.2},
        {"reward": 0.5, "kl_start": 0.3},  # num_tokens counts prompts too
    ),
}


@pytest.mark.parametrize("framework", LOGS)
def test_a_framework_is_told_and_its_numbers_get_no_name_that_is_not_theirs(framework: str) -> None:
    values, named = LOGS[framework]
    assert framework_of(values) == framework and ours(values) == named


def test_a_line_without_marks_belongs_to_the_framework_of_those_before(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    rows = [{"train/pg_clipfrac": 0.0}, {"train/ppo_kl": 0.5}]
    log.write_text("".join(json.dumps({"step": step, "data": row}) + "\n" for step, row in enumerate(rows, 1)))
    Followed(open_log(log), tmp_path / "run").look()
    assert steps(tmp_path / "run") == [(1, {"clip_fraction": 0.0}), (2, {"kl_old_k1": 0.5})]


def test_ms_swifts_own_log_is_followed(tmp_path: Path) -> None:
    log = tmp_path / "logging.jsonl"
    log.write_text('{"reward": 0.5, "global_step/max_steps": "3/100"}\n{"train_runtime": 9.0}\n')
    Followed(open_log(log), tmp_path / "run").look()
    assert steps(tmp_path / "run") == [(3, {"reward": 0.5})]
    [run] = RunStore(tmp_path).list()
    assert run.recorded is not None and run.recorded.source == "ms-swift"


def test_verls_file_is_followed_by_offset_and_half_a_line_waits(tmp_path: Path) -> None:
    log = tmp_path / "verl.jsonl"
    log.write_text(json.dumps({"step": 1, "data": VERL}) + "\n" + json.dumps({"step": 2, "data": VERL})[:30])
    followed = Followed(open_log(log), tmp_path / "run")
    assert followed.look() == 1 and followed.look() == 0
    with open(log, "a") as file:
        file.write(
            json.dumps({"step": 2, "data": VERL})[30:] + "\n{broken\n" + json.dumps({"step": 3, "data": VERL}) + "\n"
        )
    assert followed.look() == 2
    assert [step for step, _ in steps(tmp_path / "run")] == [1, 2, 3]
    again = Followed(open_log(log), tmp_path / "run")  # from its beginning: nothing is written twice
    assert again.look() == 0 and len(steps(tmp_path / "run")) == 3
    [run] = RunStore(tmp_path).list()
    assert run.recorded is not None and run.recorded.source == "verl" and run.step == 3 and run.status == "running"


def test_tensorboards_own_file_is_read_as_it_grows(tmp_path: Path) -> None:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(tmp_path / "written"))
    for step in (1, 2, 3):
        for name, value in TRL.items():
            writer.add_scalar(f"train/{name}", value * step, step)
    writer.close()
    data = next((tmp_path / "written").iterdir()).read_bytes()
    log = tmp_path / "tb" / "events.out.tfevents.1"
    log.parent.mkdir()
    log.write_bytes(data[: len(data) // 2])  # in the middle of the second step, and of a record
    followed = Followed(open_log(tmp_path / "tb"), tmp_path / "run")
    assert followed.look() == 1  # the second may have more to say
    log.write_bytes(data)
    assert followed.look() == 1 and followed.look(last=True) == 1
    found = steps(tmp_path / "run")
    assert [step for step, _ in found] == [1, 2, 3]
    assert found[1][1] == pytest.approx({name: value * 2 for name, value in ours(TRL).items()})


def test_trainer_state_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint-2" / "trainer_state.json"
    path.parent.mkdir()
    history = [TRL | {"step": 1}, TRL | {"step": 2}]
    path.write_text(json.dumps({"log_history": history}))
    followed = Followed(open_log(tmp_path), tmp_path / "run")
    assert followed.look() == 2 and followed.look() == 0
    history += [TRL | {"step": 3}, {"step": 3, "train_runtime": 9.0, "loss": 0.1}]
    path.write_text(json.dumps({"log_history": history}))
    assert followed.look() == 1


def test_trackios_database_is_followed_by_id(tmp_path: Path) -> None:
    path = tmp_path / "project.db"
    with sqlite3.connect(path) as db:
        db.execute("pragma journal_mode=wal")
        db.execute("create table metrics (id integer primary key, run_id text, timestamp text, run_name text, "
                   "step integer, metrics text)")  # fmt: skip
        add = "insert into metrics (run_name, step, metrics) values (?, ?, ?)"
        db.execute(add, ("old", 1, json.dumps(TRL)))
        db.execute(add, ("new", 1, json.dumps(TRL)))
    followed = Followed(open_log(path), tmp_path / "run")
    assert followed.look() == 1
    with sqlite3.connect(path) as db:
        db.execute(add, ("new", 2, json.dumps(TRL)))
        db.execute(add, ("old", 2, json.dumps(TRL)))
    assert followed.look() == 1 and [step for step, _ in steps(tmp_path / "run")] == [1, 2]
    with pytest.raises(RunError, match="it has new, old"):
        open_log(path, "other")


def test_the_command_takes_what_is_there_and_refuses_what_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "verl.jsonl"
    log.write_text(json.dumps({"step": 1, "data": VERL}) + "\n")
    assert main(["follow", str(log), str(tmp_path / "run"), "--once"]) == 0
    assert "1 steps from a file of lines" in capsys.readouterr().out
    (tmp_path / "run" / "config.json").write_text("{}")
    for words in (
        [str(log), str(tmp_path / "run")],
        [str(tmp_path / "none.jsonl"), str(tmp_path / "x")],
        [str(tmp_path), str(tmp_path / "x")],
    ):
        assert main(["follow", *words, "--once"]) == 2
    (tmp_path / "bad.db").write_text("no database")
    assert main(["follow", str(tmp_path / "bad.db"), str(tmp_path / "x"), "--once"]) == 2
    assert "no database of trackio's" in capsys.readouterr().err
    (tmp_path / "tfevents.1").write_bytes(b"\xff" * 40)
    assert main(["follow", str(tmp_path / "tfevents.1"), str(tmp_path / "x"), "--once"]) == 2
