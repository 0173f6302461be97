"""The data folder: what is inside opens, and nothing outside it does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.paths import data_dir
from sapo_viz.rollouts.apart.folder import inside, list_files, open_file

SAMPLE = Path(__file__).parents[3] / "assets/samples/outlier.jsonl"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    top = tmp_path / "data"
    (top / "runs").mkdir(parents=True)
    shutil.copy(SAMPLE, top / "runs/a.jsonl")
    shutil.copy(SAMPLE, top / ".hidden.jsonl")
    shutil.copy(SAMPLE, tmp_path / "secret.jsonl")
    os.symlink(tmp_path / "secret.jsonl", top / "link.jsonl")
    os.symlink(tmp_path, top / "up")
    os.symlink(top / "runs/a.jsonl", top / "within.jsonl")
    os.symlink("loop", top / "loop")
    os.mkfifo(top / "pipe")
    return top


def test_files_are_listed_without_links_pipes_and_hidden_ones(root: Path) -> None:
    assert list_files(root) == ["runs/a.jsonl"]


def test_a_file_inside_opens(root: Path) -> None:
    assert len(open_file(root, "runs/a.jsonl")) > 0


@pytest.mark.parametrize(
    "name",
    [
        "../secret.jsonl",
        "runs/../../secret.jsonl",
        "link.jsonl",
        "up/secret.jsonl",
        "within.jsonl",
        "loop",
        "pipe",
        "runs",
        ".",
        "..",
        "",
        "/etc/passwd",
        "a\x00b",
        "runs/none.jsonl",
    ],
)
def test_nothing_outside_opens_and_the_sentence_names_it(root: Path, name: str) -> None:
    with pytest.raises(RolloutError, match="not a file of the data folder"):
        open_file(root, name)


def test_an_absolute_name_does_not_lead_out(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RolloutError):
        inside(root, str(tmp_path / "secret.jsonl"))


def test_a_root_that_is_itself_a_link_works(root: Path, tmp_path: Path) -> None:
    os.symlink(root, tmp_path / "alias")
    assert len(open_file(tmp_path / "alias", "runs/a.jsonl")) > 0


def test_a_changed_file_is_read_again(root: Path) -> None:
    before = open_file(root, "runs/a.jsonl")
    lines = SAMPLE.read_text().splitlines(keepends=True)
    (root / "runs/a.jsonl").write_text(lines[0])
    assert len(before) != 1 and len(open_file(root, "runs/a.jsonl")) == 1


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RolloutError, match="SAPO_VIZ_DATA_DIR"):
        list_files(tmp_path / "none")
    monkeypatch.setenv("SAPO_VIZ_DATA_DIR", " ")
    assert data_dir() is None
