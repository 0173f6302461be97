"""The recorder beside the app: what it writes can be read here, its numbers are the core's, and it stands alone.

Tests that need a training framework lie in recorder/tests and run by `make test-recorder`.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from sapo_viz import CATALOG, policy_loss
from sapo_viz.core.metrics import batch_metrics
from tests.recorder.recording import ROOT, batch, load_recorder, made

MODULES = sorted((ROOT / "recorder").glob("sapo_recorder*.py"))


@pytest.fixture(scope="module")
def recorder() -> ModuleType:
    return load_recorder()


def events(folder: Path, type: str = "") -> list[dict[str, Any]]:
    parsed = [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    return [event for event in parsed if not type or event["type"] == type]


def test_it_imports_the_standard_library_and_torch_and_nothing_of_the_app() -> None:
    """At the top of each module; a framework's own packages only where its hook is called for."""
    allowed = {*sys.stdlib_module_names, "torch", "sapo_recorder"}
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
        top |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert {name.split(".")[0] for name in top} <= allowed, path.name
        assert "sapo_viz" not in {name.split(".")[0] for name in _imports(tree)}, path.name


def _imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_its_syntax_is_that_of_python_3_9() -> None:
    assert MODULES
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        assert "annotations" in {
            alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module == "__future__"
            for alias in node.names
        }, f"{path.name} needs postponed annotations: X | None is no type in 3.9"
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            given = {keyword.arg for keyword in call.keywords}
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            assert not (name == "zip" and "strict" in given), f"{path.name}:{call.lineno}: zip(strict=) came with 3.10"
            assert not (name == "dataclass" and given & {"slots", "kw_only"}), f"{path.name}:{call.lineno}: 3.10"


def test_one_copied_file_is_enough(tmp_path: Path) -> None:
    copied = tmp_path / "sapo_recorder.py"
    copied.write_bytes((ROOT / "recorder" / "sapo_recorder.py").read_bytes())
    code = "import sapo_recorder; print(sapo_recorder.__file__, callable(sapo_recorder.record))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(copied), "True"]


@pytest.mark.parametrize("name", ["sapo", "grpo", "dapo", "dr_grpo", "gspo", "luspo", "dual_clip", "cispo"])
def test_its_metrics_are_the_cores(recorder: ModuleType, name: str) -> None:
    """To 1e-6: log-probs come as float32. The recorder states gates a second time, as it may import nothing."""
    objective = CATALOG[name](**({"eps_high": 0.3} if name == "cispo" else {}))  # its usual cap is met by no ratio here
    knobs = {knob: getattr(objective, knob) for knob in objective.knobs()}
    level = "sequence" if name in ("gspo", "luspo") else "token"
    one = batch(recorder)
    said = recorder.merge([recorder.measure([one], recorder.Loss(name, level, name, knobs))])
    logprobs, old = one.logprobs.double().requires_grad_(), one.old_logprobs.double()
    out = policy_loss(objective, logprobs, old, one.advantages.double(), one.mask.bool())
    ours = batch_metrics(out.tokens, logprobs, old)
    assert ours["gate_mean"] < 0.999 and ours["ratio_max"] > 1.5  # far from on-policy: a wrong formula would be seen
    for metric, value in ours.items():
        assert said[metric] == pytest.approx(value, abs=1e-6), metric


def test_two_halves_merge_to_the_whole(recorder: ModuleType) -> None:
    """Means, maxima and counts exactly; quantiles within the spacing of 101 points."""
    loss = recorder.Loss("grpo", "token", "grpo", {"eps_low": 0.2, "eps_high": 0.2})
    one, other = batch(recorder, 1), batch(recorder, 2)
    whole = recorder.merge([recorder.measure([one, other], loss)])
    halves = recorder.merge([recorder.measure([one], loss), recorder.measure([other], loss)])
    assert halves.keys() == whole.keys()
    for name, value in whole.items():
        near = 0.1 if name.startswith(("ratio_p", "sampler_ratio_p")) else 1e-9
        assert halves[name] == pytest.approx(value, rel=near), name


def test_the_mismatch_with_the_sampler_is_measured(recorder: ModuleType) -> None:
    """Old log-probs lie 0.25 nats below the sampler's everywhere: r = e^−0.25, KL = r − 1 + 0.25, all weights equal."""
    said = recorder.merge([recorder.measure([batch(recorder)], recorder.Loss("?", "token"))])
    assert said["sampler_ratio_p50"] == pytest.approx(0.7788008, abs=1e-6)
    assert said["kl_sampler"] == pytest.approx(0.0288008, abs=1e-6)
    assert said["sampler_ess"] == pytest.approx(1.0, abs=1e-6)
    assert "gate_mean" not in said  # an objective that is not known gets no number


def test_the_app_reads_what_it_writes(recorder: ModuleType, tmp_path: Path) -> None:
    from sapo_viz.rollouts.readers.read import read_rollouts

    run = made(recorder, tmp_path / "run")
    run.begin()
    for step in (1, 2, 3):
        run.add(batch(recorder, step))
        run.end_step(step, {"dead_groups": torch.tensor(0.5)})
    run.end("finished", "trained")
    assert run.active, run.reason
    assert [event["type"] for event in events(tmp_path / "run")] == [
        "start", "step", "sample", "step", "sample", "step", "finished",
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "run" / "tokens").iterdir()) == [
        "step-00001.done", "step-00001.rank-0.parquet", "step-00002.done", "step-00002.rank-0.parquet",
    ]  # fmt: skip
    file = tmp_path / "run" / "tokens" / "step-00002.rank-0.parquet"
    rollouts = read_rollouts(file)
    one = batch(recorder, 2)
    assert len(rollouts) == 5  # the sequence without a token is counted, not kept
    assert rollouts[1].logprobs.tolist() == pytest.approx(one.logprobs[1, :4].tolist(), abs=1e-7)
    assert rollouts[1].old_logprobs.tolist() == pytest.approx(one.old_logprobs[1, :4].tolist(), abs=1e-7)
    assert (rollouts[1].prompt, rollouts[1].group, rollouts[1].step) == ("NO", "7-0", 2)
    assert list(rollouts[1].tokens) == ["J", "K", "L", "M"] and rollouts[1].advantages.tolist() == [-1.0] * 4
    assert (rollouts[0].reward, rollouts[4].reward) == (1.0, None)
    assert events(tmp_path / "run", "step")[0]["metrics"]["dead_groups"] == 0.5
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["kind"], config["framework"], config["objective"]) == ("recorded", "test", "sapo")


def test_the_apps_store_understands_its_log_and_its_process(recorder: ModuleType, tmp_path: Path) -> None:
    from sapo_viz.runs.folder.verdict import status_of

    run = made(recorder, tmp_path / "run")
    run.begin()
    assert status_of(tmp_path / "run") == "running"
    run.add(batch(recorder))
    run.end_step(1)
    run.end("failed", "exception", "ValueError: no")
    assert status_of(tmp_path / "run") == "failed"


def test_a_writer_that_is_behind_drops_steps_and_counts_them(recorder: ModuleType, tmp_path: Path) -> None:
    run = made(recorder, tmp_path / "run", every=0)
    run.begin()
    gate, measure = threading.Event(), recorder.measure
    try:
        recorder.measure = lambda *given: (gate.wait(), measure(*given))[1]
        for step in range(1, recorder.WAITING + 5):  # one is in the writer's hands, WAITING wait, 3 are too many
            run.add(batch(recorder))
            run.end_step(step)
            if step == 1:
                while run._queue.qsize():
                    pass
        assert run.dropped == 3
        gate.set()
        run.end()
    finally:
        gate.set()
        recorder.measure = measure
    assert events(tmp_path / "run")[-1]["dropped"] == 3
    assert len(events(tmp_path / "run", "step")) == recorder.WAITING + 1


def test_a_step_is_marked_when_every_rank_has_written(recorder: ModuleType, tmp_path: Path) -> None:
    first, second = (made(recorder, tmp_path / "run", rank=rank, world=2, sequences=8) for rank in (0, 1))
    first.begin()
    second.begin()
    for run, seed in ((first, 1), (second, 2)):
        run.add(batch(recorder, seed))
        run.end_step(1)
        if run is first:
            assert not (tmp_path / "run" / "tokens" / "step-00001.done").exists()
    second.end()
    first.end()
    marker = json.loads((tmp_path / "run" / "tokens" / "step-00001.done").read_text())
    assert marker["files"] == ["tokens/step-00001.rank-0.parquet", "tokens/step-00001.rank-1.parquet"]
    assert marker["sequences"] == 6  # the first 4 of each rank, of which one has no token
    (step,) = events(tmp_path / "run", "step")
    assert step["metrics"]["tokens"] == 60 and "missing_ranks" not in step


def test_a_rank_that_went_on_is_not_waited_for(recorder: ModuleType, tmp_path: Path) -> None:
    first, second = (made(recorder, tmp_path / "run", rank=rank, world=2, every=1) for rank in (0, 1))
    first.begin()
    second.begin()
    for step in (1, 2):
        first.add(batch(recorder))
        first.end_step(step)
    second.add(batch(recorder))
    second.end_step(2)  # its step 1 was dropped
    second.end()
    first.end()
    one, two = events(tmp_path / "run", "step")
    assert one["missing_ranks"] == [1] and "missing_ranks" not in two
    names = {path.name for path in (tmp_path / "run" / "tokens").glob("*.done")}
    assert names == {"step-00002.done"}


def test_two_recorders_of_one_rank_do_not_mix(recorder: ModuleType, tmp_path: Path) -> None:
    first, second = made(recorder, tmp_path / "run"), made(recorder, tmp_path / "run")
    first.begin()
    second.begin()
    assert first.active and "another process records rank 0" in second.reason
    first.end()
    assert len(events(tmp_path / "run", "start")) == 1


def test_a_folder_that_no_recorder_made_is_left_alone(recorder: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"objective": "sapo"}')
    run = made(recorder, tmp_path)
    run.begin()
    assert not run.active and (tmp_path / "config.json").read_text() == '{"objective": "sapo"}'
    assert not (tmp_path / "events.jsonl").exists()


def test_half_a_line_of_a_killed_process_is_cut_off(recorder: ModuleType, tmp_path: Path) -> None:
    run = made(recorder, tmp_path / "run")
    run.begin()
    run.add(batch(recorder))
    run.end_step(1)
    run.end("stopped", "interrupted")
    log = tmp_path / "run" / "events.jsonl"
    log.write_bytes(log.read_bytes() + b'{"type": "st')
    (tmp_path / "run" / "tokens" / ".step-00002.rank-0.parquet.part").write_bytes(b"PAR1")
    again = made(recorder, tmp_path / "run")
    again.begin(1)
    again.add(batch(recorder))
    again.end_step(2)
    again.end()
    assert [event.get("resumed") for event in events(tmp_path / "run", "start")] == [False, True]
    assert [event["step"] for event in events(tmp_path / "run", "step")] == [1, 2]
    assert not list((tmp_path / "run" / "tokens").glob(".*"))


def test_an_error_of_its_own_ends_the_recording_and_nothing_else(
    recorder: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(recorder, tmp_path / "run")
    run.begin()
    run.add(batch(recorder, mask=torch.ones(6, 8)))  # of another shape
    run.end_step(1)
    run.end()
    assert not run.active and "training goes on" in run.reason
    assert run.reason in capsys.readouterr().err
    assert events(tmp_path / "run", "note")[0]["kind"] == "recording-stopped"


def test_a_rank_that_begins_takes_nothing_from_under_rank_0s_hands(tmp_path: Path) -> None:
    """Seen with two ranks: config.json's part was swept away by the other one, and the run was not listed."""
    (tmp_path / "run").mkdir()
    part = tmp_path / "run" / ".config.json.part"
    part.write_text("{")
    other = made(load_recorder(), tmp_path / "run", rank=1, world=2)
    other.begin()
    other.end()
    assert part.exists()
