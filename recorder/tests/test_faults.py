"""With TRL's own trainer, and the app's audit over what was recorded: the healthy run matches, each fault is named."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="TRL is not installed here; `make test-recorder` runs these tests in .venv-trl")
sys.path.insert(0, str(Path(__file__).parents[2]))

import faulty
from sapo_viz.cli import main


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("healthy", "The loss matches TRL's `sapo` (τ₊ = 1, τ₋ = 2)"),
        ("temperature", "the temperature of positive tokens is used for negative ones"),
        ("advantages", "the advantages are missing"),
        ("mask", "the mask is shifted by one: the first token"),
    ],
)
def test_the_audit_names_what_is_wrong(
    kind: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty.run(kind, tmp_path / "run")
    assert main(["audit", str(tmp_path / "run")]) == (0 if kind == "healthy" else 1)
    assert says in capsys.readouterr().out


ACCUMULATED = {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 4, "steps_per_generation": 4}


@pytest.mark.parametrize(
    "settings",
    [
        {"loss_type": "grpo", "beta": 0.05},
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon": 3e-3},
        {"loss_type": "dapo", **ACCUMULATED},
        {"loss_type": "dr_grpo", **ACCUMULATED},
        {"loss_type": "cispo", "epsilon_high": 2.0},
    ],
    ids=lambda settings: "-".join(map(str, list(settings.values())[:2])),
)
def test_other_losses_of_trl_match_too(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty.run("healthy", tmp_path / "run", **settings)
    done = main(["audit", str(tmp_path / "run")])
    said = capsys.readouterr().out
    assert done == 0 and "The loss matches" in said, said
