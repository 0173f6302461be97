"""The shape of ms-swift's trainer without ms-swift: its class is wrapped, its batch translated. Not its own code."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import pytest
import torch

import sapo_recorder_swift as plugin
from sapo_recorder import Recorder


class Trainer:
    """As far as the plugin reaches: the two methods that it wraps, and the names that it reads."""

    loss_type, importance_sampling_level, epsilon_low, epsilon_high, tau_pos, tau_neg = (
        "sapo",
        "token",
        0.2,
        0.2,
        1.0,
        1.05,
    )

    def __init__(self) -> None:
        self.model = torch.nn.Linear(1, 1)

    def _get_per_token_logps_and_entropies(self, model: Any, inputs: Any, batch: Any) -> Any:
        return inputs["logps"], torch.ones_like(inputs["logps"])

    def _compute_loss_and_metrics(self, model: Any, model_inputs: Any, grpo_batch: Any) -> Any:
        logps, _ = self._get_per_token_logps_and_entropies(model, model_inputs, grpo_batch)
        return logps.sum(), {"kl": 0}


def test_a_batch_of_the_trainer_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        plugin, "start", lambda trainer: made.append(Recorder(
            tmp_path / "run", framework="ms-swift", version="?", loss=plugin.loss_of(trainer), every=1
        )) or made[0].begin() or made[0],
    )  # fmt: skip
    made: list[Recorder] = []
    plugin.patch(types.SimpleNamespace(GRPOTrainer=Trainer))
    batch = types.SimpleNamespace(
        completion_mask=torch.tensor([[1, 1, 1], [1, 0, 0]]), advantages=torch.tensor([[1.0] * 3, [-1.0] * 3]),
        old_per_token_logps=torch.full((2, 3), -1.0), rollout_per_token_logps=None, ref_per_token_logps=None,
    )  # fmt: skip
    inputs = {"logps": torch.full((2, 3), -0.9), "input_ids": torch.arange(12).view(2, 6)}
    assert Trainer()._compute_loss_and_metrics(None, inputs, batch)[1] == {"kl": 0}
    made[0].end_step(1)
    made[0].end()
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    (step,) = [event["metrics"] for event in events if event["type"] == "step"]
    assert step["ratio_p50"] == pytest.approx(1.105171, abs=1e-5) and step["entropy"] == 1.0 and step["tokens"] == 4
    rows = (
        pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "run/tokens/step-00001.rank-0.parquet").to_pylist()
    )
    assert [row["token_ids"] for row in rows] == [[3, 4, 5], [9]]


def test_its_source_has_what_is_wrapped() -> None:
    """Where the package lies unpacked: the names and parameters that the plugin relies on."""
    import ast
    import importlib.util

    if importlib.util.find_spec("swift") is None:
        pytest.skip("ms-swift is not installed here; pip install --no-deps ms-swift==4.6.0 to run this")
    (folder,) = importlib.util.find_spec("swift").submodule_search_locations  # type: ignore[union-attr]
    tree = ast.parse((Path(folder) / "rlhf_trainers" / "grpo_trainer.py").read_text(encoding="utf-8"))
    methods = {
        node.name: [a.arg for a in node.args.args] for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    }
    assert methods["_compute_loss_and_metrics"] == ["self", "model", "model_inputs", "grpo_batch"]
    assert methods["_get_per_token_logps_and_entropies"][:4] == ["self", "model", "model_inputs", "grpo_batch"]
