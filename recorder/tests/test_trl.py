"""With TRL itself, on a processor: training is not changed, what is written is what the loss saw, nothing stops it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="TRL is not installed here; `make test-recorder` runs these tests in .venv-trl")

import small
import torch

import sapo_recorder
from sapo_recorder import record

HERE = Path(__file__).parent


def run(folder: Any, weights: Path, ranks: int = 1, expect: int = 0, **settings: Any) -> str:
    """A run in a process of its own; what it said on stderr."""
    words = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    launch = ["-m", "torch.distributed.run", f"--nproc_per_node={ranks}", "--standalone"] if ranks > 1 else []
    command = [sys.executable, *launch, str(HERE / "run_one.py"), str(folder), str(weights), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == expect, done.stderr[-3000:]
    return done.stderr


def events(folder: Path, type: str = "") -> list[dict[str, Any]]:
    parsed = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [event for event in parsed if not type or event["type"] == type]


def same_weights(one: Path, other: Path) -> bool:
    a, b = torch.load(one), torch.load(other)
    assert a.keys() == b.keys() and len(a) > 5
    return all(torch.equal(a[name], b[name]) for name in a)


SETTINGS: dict[str, dict[str, Any]] = {
    "SAPO": {},
    "GRPO at sequence level with a reference": {
        "loss_type": "grpo", "importance_sampling_level": "sequence", "beta": 0.05, "num_iterations": 2,
    },
    "LoRA with a reference": {"lora": True, "beta": 0.05},
    "two ranks": {"ranks": 2, "per_device_train_batch_size": 4},
    "accumulated": {"loss_type": "dapo", "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2,
                    "steps_per_generation": 4},
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_weights_are_bit_identical_with_and_without_the_recorder(name: str, tmp_path: Path) -> None:
    run("none", tmp_path / "without.pt", **SETTINGS[name])
    run(tmp_path / "run", tmp_path / "with.pt", every=2, **SETTINGS[name])
    assert same_weights(tmp_path / "without.pt", tmp_path / "with.pt")
    assert [event["step"] for event in events(tmp_path / "run", "step")] == [1, 2, 3, 4]
    assert events(tmp_path / "run")[-1]["kind"] == "trained"


def test_the_weights_would_tell_a_difference(tmp_path: Path) -> None:
    run("none", tmp_path / "one.pt")
    run("none", tmp_path / "other.pt", sapo_temperature_neg=3.0)
    assert not same_weights(tmp_path / "one.pt", tmp_path / "other.pt")


def rows(folder: Path, step: int) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = []
    for file in sorted((folder / "tokens").glob(f"step-{step:05d}.rank-*.parquet")):
        found += pq.read_table(file).to_pylist()
    return found


def test_two_ranks_write_their_own_files_and_one_log(tmp_path: Path) -> None:
    run(tmp_path / "run", tmp_path / "w.pt", ranks=2, every=2, sequences=8, per_device_train_batch_size=4)
    tokens = tmp_path / "run" / "tokens"
    for step in (1, 2, 4):
        files = sorted(path.name for path in tokens.glob(f"step-{step:05d}*"))
        assert files == [f"step-{step:05d}.done", *(f"step-{step:05d}.rank-{rank}.parquet" for rank in (0, 1))]
        marker = json.loads((tokens / files[0]).read_text())
        assert marker["sequences"] == 8 and len(rows(tmp_path / "run", step)) == 8
    step = events(tmp_path / "run", "step")[1]
    assert "missing_ranks" not in step and step["metrics"]["tokens"] == 2 * 8 * 12
    both = rows(tmp_path / "run", 2)
    assert {row["rank"] for row in both} == {0, 1} and len({row["id"] for row in both}) == 8
    assert step["metrics"]["reward"] == pytest.approx(sum(row["reward"] for row in both) / 8, abs=1e-6)
    log_ratios = [a - b for row in both for a, b in zip(row["logprobs"], row["old_logprobs"])]
    assert step["metrics"]["log_ratio_max"] == pytest.approx(max(map(abs, log_ratios)), abs=1e-6)


def test_the_loss_recomputed_from_the_tokens_is_the_loss_that_trl_had(tmp_path: Path) -> None:
    """SAPO written out here again, over whole micro-batches: 8 sequences per step, all of them recorded."""
    trainer = small.trainer(tmp_path / "out", sapo_temperature_pos=2.0, sapo_temperature_neg=3.0)
    record(trainer, tmp_path / "run", every=1, sequences=8)
    trainer.train()
    for event in events(tmp_path / "run", "step"):
        losses = []
        for row in rows(tmp_path / "run", event["step"]):
            z = torch.tensor(row["logprobs"], dtype=torch.float64) - torch.tensor(row["old_logprobs"])
            tau = 2.0 if row["advantage"] > 0 else 3.0
            losses.append(float((-4 / tau * torch.sigmoid(tau * (z.exp() - 1)) * row["advantage"]).mean()))
        assert len(losses) == 8
        assert event["metrics"]["loss"] == pytest.approx(sum(losses) / 8, abs=1e-6)


def test_rewards_and_groups_stay_with_their_sequences(tmp_path: Path) -> None:
    """TRL shuffles a rollout before it splits it: the reward is counted again from each row's ids."""
    trainer = small.trainer(tmp_path / "out")
    record(trainer, tmp_path / "run", every=1, sequences=8)
    trainer.train()
    prompts: dict[str, set[str]] = {}
    members: dict[str, int] = {}
    for step in (1, 2):  # the two updates of the first rollout, of four prompts
        for row in rows(tmp_path / "run", step):
            assert row["reward"] == pytest.approx(small.reward([row["token_ids"]])[0], abs=1e-6)
            assert row["minibatch"] == step - 1
            prompts.setdefault(row["group"], set()).add(row["prompt"])
            members[row["group"]] = members.get(row["group"], 0) + 1
    assert set(members.values()) == {4} and len(members) == 4
    assert all(len(texts) == 1 for texts in prompts.values())
    for row in rows(tmp_path / "run", 1):
        assert row["prompt"] in small.PROMPTS and len(row["tokens"]) == len(row["token_ids"])


def test_one_update_a_rollout_is_said_loudly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = small.trainer(tmp_path / "out", steps_per_generation=1)
    record(trainer, tmp_path / "run", every=1)
    trainer.train()
    (note,) = events(tmp_path / "run", "note")
    assert note["kind"] == "on-policy" and "every ratio is 1" in note["message"]
    assert "every ratio is 1" in capsys.readouterr().err
    assert events(tmp_path / "run", "step")[-1]["metrics"]["ratio_max"] == 1.0
    assert all(row["logprobs"] == row["old_logprobs"] for row in rows(tmp_path / "run", 4))


def test_the_samplers_log_probs_are_kept_beside_the_trainers(tmp_path: Path) -> None:
    """A rollout function brings its own, as vLLM does."""
    from trl import GRPOTrainer

    class Behaved(GRPOTrainer):
        def _generate(self, prompts: Any) -> Any:
            out = list(super()._generate(prompts))
            out[4] = [[-0.5] * len(ids) for ids in out[1]]
            return tuple(out)

    trainer = small.trainer(tmp_path / "out", kind=Behaved)
    record(trainer, tmp_path / "run", every=1, sequences=8)
    trainer.train()
    found = rows(tmp_path / "run", 2)
    assert all(set(row["sampler_logprobs"]) == {-0.5} for row in found)
    old = torch.tensor([value for row in found for value in row["old_logprobs"]], dtype=torch.float64)
    mismatch = events(tmp_path / "run", "step")[1]["metrics"]["sampler_ratio_max"]
    assert mismatch == pytest.approx(float((old + 0.5).exp().max()), rel=1e-5)


def test_tool_tokens_are_there_and_masked(tmp_path: Path) -> None:
    from trl import GRPOTrainer

    class WithTools(GRPOTrainer):
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            out = super()._generate_and_score_completions(inputs)
            out["tool_mask"] = torch.ones_like(out["completion_mask"])
            out["tool_mask"][:, 3:6] = 0
            return out

    trainer = small.trainer(tmp_path / "out", kind=WithTools)
    record(trainer, tmp_path / "run", every=1, sequences=8)
    trainer.train()
    for row in rows(tmp_path / "run", 2):
        assert row["mask"][:7] == [1, 1, 1, 0, 0, 0, 1] and len(row["token_ids"]) == len(row["mask"]) == 12
    assert events(tmp_path / "run", "step")[1]["metrics"]["length"] == 9


def test_a_failure_of_training_is_the_runs_last_word(tmp_path: Path) -> None:
    def failing(*_: Any, **__: Any) -> list[float]:
        raise ValueError("the judge is asleep")

    trainer = small.trainer(tmp_path / "out")
    trainer.reward_funcs[0] = failing
    record(trainer, tmp_path / "run")
    with pytest.raises(ValueError, match="asleep"):
        trainer.train()
    last = events(tmp_path / "run")[-1]
    assert (last["type"], last["kind"]) == ("failed", "exception") and "the judge is asleep" in last["message"]


def test_a_killed_training_leaves_whole_files(tmp_path: Path) -> None:
    run(tmp_path / "run", tmp_path / "w.pt", expect=-9, every=1, steps=20, die=9)
    assert all(event["type"] in ("start", "step", "sample") for event in events(tmp_path / "run"))
    for marker in (tmp_path / "run" / "tokens").glob("*.done"):
        assert rows(tmp_path / "run", json.loads(marker.read_text())["step"])


def test_a_full_disk_and_a_missing_folder_stop_nothing(tmp_path: Path) -> None:
    run("none", tmp_path / "without.pt")
    said = run(tmp_path / "run", tmp_path / "full.pt", every=1, largest_file=1500)
    assert same_weights(tmp_path / "without.pt", tmp_path / "full.pt")
    assert "cannot be written to" in said
    assert not list((tmp_path / "run" / "tokens").glob("*"))  # no half file, no marker
    for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines():
        json.loads(line)
    (tmp_path / "file").write_text("no folder can be made below a file")
    run(tmp_path / "file" / "run", tmp_path / "missing.pt")
    assert same_weights(tmp_path / "without.pt", tmp_path / "missing.pt")


def test_a_trainer_that_is_not_known_gets_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from trl import GRPOTrainer

    class Other(GRPOTrainer):
        def _compute_loss(self, model: Any, batch: Any, weights: Any) -> Any:
            raise NotImplementedError

    trainer = small.trainer(tmp_path / "out", kind=Other)
    capsys.readouterr()
    recorder = record(trainer, tmp_path / "run")
    assert not recorder.active and "_compute_loss takes (model, batch)" in recorder.reason
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_second_run_in_the_same_folder_keeps_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        trainer = small.trainer(tmp_path / "out")
        record(trainer, tmp_path / "run", every=2)
        trainer.train()
    assert len(events(tmp_path / "run", "step")) == len(events(tmp_path / "run-1", "step")) == 4
    assert (tmp_path / "run-1" / "tokens" / "step-00002.done").exists()


def test_without_pyarrow_tokens_are_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = small.trainer(tmp_path / "out")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)  # the data set itself needs pyarrow
    recorder = record(trainer, tmp_path / "run", every=2)
    trainer.train()
    assert recorder.active, recorder.reason
    lines = (tmp_path / "run" / "tokens" / "step-00002.rank-0.jsonl").read_text().splitlines()
    assert len(lines) == 8 and set(json.loads(lines[0])) >= {"tokens", "logprobs", "old_logprobs", "advantage"}
    assert sapo_recorder.__version__
