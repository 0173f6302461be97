"""`inspect NEW --old OLD` and `inspect` of a framework's file, as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sapo_viz.cli import main
from tests.rollouts.readers.formats import samples
from tests.rollouts.readers.formats.samples import chat, lines


def test_two_response_files_are_inspected_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new, old = tmp_path / "new.json", tmp_path / "old.json"
    new.write_bytes(lines(chat(-0.5, -1.0, -0.25)))
    old.write_bytes(lines(chat(-0.75, -1.0, -0.5)))
    assert main(["inspect", str(new), "--old", str(old), "--json", "--tokens", "--objective", "unclipped"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["file"]["tokens"] == 3 and out["file"]["name"] == "new.json with old.json"
    assert [row["log_ratio"] for row in out["sequences"][0]["per_token"]] == [0.25, 0.0, 0.25]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new"], "a ratio needs two"),
        (["new", "--old", "none"], "it cannot be opened"),
        (["texts"], "let two models score them"),
    ],
)
def test_what_is_missing_is_one_line_and_status_2(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new").write_bytes(lines(chat(-0.5, -1.0, -0.25)))
    (tmp_path / "texts").write_bytes(samples.trl())
    paths = [a if a.startswith("-") else str(tmp_path / a) for a in arguments]
    assert main(["inspect", *paths]) == 2
    caught = capsys.readouterr()
    assert words in caught.err and caught.err.count("\n") == 1 and not caught.out


def test_a_dump_of_slime_is_inspected_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "train_6.pt"
    path.write_bytes(samples.slime_train())
    assert main(["inspect", str(path)]) == 0
    assert "2 sequences, 4 response tokens" in capsys.readouterr().out
