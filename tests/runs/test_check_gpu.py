"""`make check-gpu` itself, on the processor at tiny sizes: what it would do on a GPU, done once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sapo_viz.models.policy import quiet
from scripts import check_gpu

OWN_PROCESS = "out of memory"  # it bounds the memory of its process


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("check") / "model"
    with quiet():
        check_gpu.make_model(folder, check_gpu.SIZES["cpu"])
    yield folder


def test_without_a_gpu_it_says_so_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = tmp_path / "gpu.md"
    assert check_gpu.main(["--out", str(out)]) == 2
    assert capsys.readouterr().err.count("finds no GPU") == 1 and not out.exists()


@pytest.mark.parametrize("what", [name for name in check_gpu.CHECKS if name != OWN_PROCESS])
def test_each_path_works(what: str, model: Path) -> None:
    found = check_gpu.one(what, "cpu", model)
    assert found.ok, found.said
    assert found.numbers


def test_a_run_without_memory_ends_in_a_sentence_and_the_page_is_written(tmp_path: Path) -> None:
    out = tmp_path / "gpu.md"
    assert check_gpu.main(["--device", "cpu", "--only", OWN_PROCESS, "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# The check for GPUs, on a processor")
    assert "| out of memory | yes | The machine's memory is not enough for 256 × 32 completions" in text


def test_what_does_not_end_in_time_is_said_and_leaves_the_rest_alone(model: Path) -> None:
    found = check_gpu._in_own_process("scoring, float32", "cpu", model, 0.05)
    assert not found.ok and found.said == "it did not end within 0 s"
