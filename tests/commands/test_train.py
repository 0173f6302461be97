"""`train` on the command line with questions: what it says before it loads anything, and what it refuses to run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sapo_viz.cli import main
from sapo_viz.runs.folder.store import RunStore

TINY = [
    "--steps",
    "1",
    "--prompts",
    "2",
    "--completions",
    "2",
    "--minibatches",
    "1",
    "--device",
    "cpu",
    "--held-out",
    "2",
]


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    path = tmp_path / "sums.csv"
    rows = [f"^{100 + n}+{200 + n}=,{300 + 2 * n}" for n in range(12)]
    path.write_text("\n".join(["question,answer", *rows]))
    return path


def test_questions_are_trained_on_and_kept(sums: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    asked = ["--task", "questions", "--data", str(sums), "--policy", "addition-start", "--reward", "numeric"]
    assert main(["train", *asked, *TINY, "--max-tokens", "32", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "10 questions to train on, 2 held out; reward: numeric" in said and "itself earns 1" in said
    assert "held out before the first step" in said
    config = RunStore(tmp_path).config("run")
    assert config.data.startswith(str(sums) + "@")
    assert len((out / "questions.jsonl").read_text().splitlines()) == 12


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--data", "nothing.csv"], "there is no such file"),
        ([], "name one with --data"),
        (["--data", "SUMS", "--answer-column", "solution"], "answer_column is 'solution'"),
        (["--data", "SUMS", "--reward", "exakt"], "there is no 'exakt'"),
        (["--data", "SUMS", "--reward", "nothing.py"], "there is no file"),
    ],
)
def test_what_is_wrong_is_said_before_there_is_a_run(
    flags: list[str], says: str, sums: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [str(sums) if flag == "SUMS" else flag for flag in flags]
    assert main(["train", "--task", "questions", *flags, "--out", str(tmp_path / "run")]) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_python_that_a_config_names_runs_only_with_permission(
    sums: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = tmp_path / "mine.py"
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\ndef reward(prompt, completion, row):\n    return 1.0\n")
    settings = {"task": "questions", "data": str(sums), "policy": "addition-start", "reward": str(code)}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    start = ["train", "--config", str(tmp_path / "config.json"), *TINY, "--out", str(tmp_path / "run")]
    assert main(start) == 2
    assert "would run as code" in capsys.readouterr().err and not (tmp_path / "ran").exists()
    assert main([*start, "--allow-code"]) == 0 and (tmp_path / "ran").exists()
    events = tmp_path / "run" / "events.jsonl"
    events.write_text("".join(line for line in events.read_text().splitlines(True) if '"finished"' not in line))
    (tmp_path / "ran").unlink()
    assert main(["train", "--resume", str(tmp_path / "run")]) == 2
    assert "would run as code" in capsys.readouterr().err and not (tmp_path / "ran").exists()
