"""An index names files beside it, and nothing else is opened as weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sapo_viz.errors import ModelError, reason_of
from sapo_viz.models.policy import load_policy
from sapo_viz.models.source import POLICIES, locate


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """A policy in two files with an index, as transformers itself writes it."""
    folder = tmp_path / "models" / "sharded"
    load_policy("addition-start").model.save_pretrained(folder, max_shard_size="150KB")
    for file in (POLICIES / "addition-start").glob("token*"):
        shutil.copy(file, folder)
    assert (folder / "model.safetensors.index.json").is_file() and len(list(folder.glob("*.safetensors"))) > 1
    return folder


def test_a_policy_in_several_files_is_loaded(sharded: Path) -> None:
    assert load_policy(str(sharded)).parameters == load_policy("addition-start").parameters


@pytest.mark.parametrize("index", ["model.safetensors.index.json", "pytorch_model.bin.index.json"])
@pytest.mark.parametrize(
    "file", ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", 5, None, "..\\x"]
)
def test_weights_outside_the_folder_are_refused_by_name(sharded: Path, index: str, file: object) -> None:
    shards = json.loads((sharded / "model.safetensors.index.json").read_text(encoding="utf-8"))
    shards["weight_map"][next(iter(shards["weight_map"]))] = file
    (sharded / index).write_text(json.dumps(shards), encoding="utf-8")
    for name, root in ((str(sharded), None), ("sharded", sharded.parent)):
        with pytest.raises(ModelError, match=f"{index} of .* it takes the names of files beside it"):
            locate(name, root=root)


@pytest.mark.parametrize("text", ["[", "[" * 100_000, "{}", '{"weight_map": []}'])
def test_an_index_that_is_none_is_refused(sharded: Path, text: str) -> None:
    (sharded / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError):
        locate(str(sharded))


def test_advice_to_open_a_file_unsafely_is_not_passed_on(tmp_path: Path) -> None:
    """torch's own words for a pickle that holds more than tensors."""
    import pickle

    import torch

    (tmp_path / "x.pt").write_bytes(pickle.dumps(Path("x")))
    with pytest.raises(Exception, match="weights_only") as refused:
        torch.load(tmp_path / "x.pt", weights_only=True)
    assert reason_of(refused.value) == "it holds more than data, which could run as code"
    assert reason_of(ValueError("no such layer: q_proj.\nmore")) == "no such layer: q_proj"


def test_a_link_in_what_a_run_has_trained_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's folder may be a stranger's; what it links to may be anybody's."""
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path))
    for run in ("whole", "linked", "inside", "circle"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "config.json").write_text("{}")
    shutil.copytree(POLICIES / "addition-start", tmp_path / "whole" / "policy")
    (tmp_path / "linked" / "policy").symlink_to(POLICIES / "addition-start")
    (tmp_path / "inside" / "policy").mkdir()
    for file in (POLICIES / "addition-start").iterdir():
        (tmp_path / "inside" / "policy" / file.name).symlink_to(file)
    (tmp_path / "circle" / "policy").symlink_to("policy")
    assert locate("run:whole").base.bytes
    for run in ("linked", "inside", "circle"):
        with pytest.raises(ModelError, match=f"there is no model 'run:{run}'"):
            locate(f"run:{run}")
