"""A folder of steps is one run: by the names of each framework's files, with what is missing named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sapo_viz.cli import main
from sapo_viz.errors import RolloutError
from sapo_viz.paths import ASSETS
from sapo_viz.rollouts.readers.step_folder import find_run, read_step_folder
from sapo_viz.rollouts.step_files import step_folders
from tests.rollouts.audit.test_audit import RECORDED

FORMATS = ASSETS / "samples" / "formats"


@pytest.mark.parametrize(
    ("framework", "paths", "steps"),
    [
        ("prime-rl", ["token_exports/step_4/rank_0.jsonl", "token_exports/step_4/rank_1.jsonl"], [4]),
        ("verl", ["dumps/1.jsonl", "dumps/2.jsonl", "dumps/10.jsonl"], [1, 2, 10]),
        ("TRL", ["completions/completions_00010.parquet", "completions/completions_00020.parquet"], [10, 20]),
        ("slime", ["debug/0_0.pt", "debug/0_1.pt", "debug/1_0.pt", "debug/1_1.pt"], [0, 1]),
        ("NeMo-RL", ["logs/exp_001/train_data_step1.jsonl", "logs/exp_001/train_data_step2.jsonl"], [1, 2]),
        ("a recorder", ["x/tokens/step-00010.rank-0.parquet", "x/tokens/step-00010.rank-1.parquet"], [10]),
    ],
)
def test_the_names_of_each_framework_are_a_run(framework: str, paths: list[str], steps: list[int]) -> None:
    (run,) = step_folders([*paths, "x/README.md", "x/tokens/step-00010.done", "a/model.pt"])
    assert run.framework == framework and list(run.steps) == steps and run.name.endswith("/")
    assert [path for files in run.steps.values() for path in files.files] == paths
    assert not run.missing_steps or framework == "verl"


def test_two_folders_are_two_runs_and_a_single_file_is_none() -> None:
    runs = step_folders(["a/1.jsonl", "a/2.jsonl", "b/1.jsonl", "b/2.jsonl", "c/1.jsonl", "7.jsonl", "8.jsonl"])
    assert [run.name for run in runs] == ["a/", "b/", "./"]


def test_missing_steps_and_ranks_are_named() -> None:
    paths = [f"t/step_{step}/rank_{rank}.jsonl" for step in (0, 10, 20, 50) for rank in (0, 1, 2)]
    paths.remove("t/step_10/rank_1.jsonl")
    (run,) = step_folders(paths)
    assert run.missing_steps == (30, 40) and run.steps[10].missing_ranks == (1,)
    assert run.notes == ("Steps that are not in the folder: 30, 40.", "Ranks without a file: 1 at step 10.")


def test_a_number_that_is_no_step_does_not_become_a_billion_missing_steps() -> None:
    (run,) = step_folders(["1.jsonl", "2.jsonl", "3.jsonl", "1764417600000000.jsonl"])
    assert run.missing_steps == tuple(range(4, 10_004)) and "and over 9,992 more" in run.notes[0]


def test_a_folder_is_read_as_one_with_every_sequences_step(tmp_path: Path) -> None:
    for step in (1, 3):
        folder = tmp_path / "token_exports" / f"step_{step}"
        folder.mkdir(parents=True)
        for rank in (0, 1):
            shutil.copy(next(FORMATS.glob("prime-rl-rank_0.jsonl")), folder / f"rank_{rank}.jsonl")
    whole = read_step_folder(tmp_path)
    one = read_step_folder(tmp_path, 3)
    assert len(whole) == 2 * len(one) and find_run(tmp_path).framework == "prime-rl"
    with pytest.raises(RolloutError, match="has the steps 1, 3"):
        read_step_folder(tmp_path, 2)
    (tmp_path / "token_exports" / "step_3" / "rank_1.jsonl").write_text("{\n")
    damaged = read_step_folder(tmp_path)
    assert any("left out" in note and "rank_1.jsonl" in note for note in damaged.notes)


def test_a_run_that_has_just_begun_has_one_step() -> None:
    assert list(find_run(RECORDED / "verl-sapo").steps) == [7]


def test_the_step_of_a_files_name_is_taken_where_the_file_has_none(tmp_path: Path) -> None:
    from sapo_viz.rollouts.readers.read import read_rollouts
    from sapo_viz.rollouts.write import write_rollouts

    rollouts = read_rollouts(next((RECORDED / "healthy" / "tokens").glob("*2.rank-0.parquet")))
    bare = replace(rollouts, steps=(None,) * len(rollouts))
    for step in (5, 6):
        (tmp_path / f"step-{step:05d}.jsonl").write_bytes(write_rollouts(bare, "jsonl"))
    assert set(read_step_folder(tmp_path).steps) == {5, 6}


def test_inspect_takes_a_folder_and_says_what_it_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(RECORDED / "healthy"), "--quick"]) == 0
    said = capsys.readouterr().out
    assert "healthy: 16 sequences" in said and "matches TRL's `sapo`" in said
    assert main(["inspect", str(tmp_path)]) == 2
    assert "holds no steps of a run" in capsys.readouterr().err
    assert main(["inspect", str(RECORDED)]) == 2
    assert "holds 4 runs" in capsys.readouterr().err
    other = str(RECORDED / "healthy" / "tokens" / "step-00004.rank-0.parquet")
    assert main(["inspect", str(RECORDED / "healthy"), "--old", other]) == 2
    assert "Is a directory" in capsys.readouterr().err
    assert main(["inspect", str(RECORDED / "healthy"), "--old", other, "--step", "4"]) == 2
    assert "takes no second file" in capsys.readouterr().err
