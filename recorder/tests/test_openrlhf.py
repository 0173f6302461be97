"""With OpenRLHF's own PolicyLoss, read from its package: the package itself imports deepspeed and ray at once."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch

import sapo_recorder_openrlhf as hook
from sapo_recorder import Recorder


def policy_loss() -> Any:
    spec = importlib.util.find_spec("openrlhf")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("OpenRLHF is not installed here; pip install --no-deps openrlhf==0.11.2 to run these")
    models = Path(spec.submodule_search_locations[0]) / "models"
    package = types.ModuleType("openrlhf_models")
    package.__path__ = [str(models)]
    sys.modules["openrlhf_models"] = package
    sys.modules.setdefault(
        "deepspeed", types.ModuleType("deepspeed")
    )  # its utils import it and the loss uses none of it
    return importlib.import_module("openrlhf_models.loss").PolicyLoss


def test_a_policy_loss_is_recorded_as_it_is_called(tmp_path: Path) -> None:
    loss = policy_loss()(clip_eps_low=0.2, clip_eps_high=0.3, token_level_loss=False)
    recorder = Recorder(tmp_path / "run", framework="openrlhf", version="?", loss=hook.loss_of(loss), every=1)
    recorder.begin()
    experience = types.SimpleNamespace(sequences=torch.arange(16).view(2, 8), rewards=torch.tensor([1.0, 0.0]))
    hook.watch_loss(loss, recorder, lambda: experience)
    handle = hook.end_steps_with_updates(recorder)
    weight = torch.nn.Parameter(torch.zeros(2, 5))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    old = torch.full((2, 5), -1.0)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    advantages = torch.tensor([[1.0], [-1.0]]).expand(2, 5)
    plain = policy_loss()(clip_eps_low=0.2, clip_eps_high=0.3, token_level_loss=False)
    try:
        for _ in range(3):
            given = (weight - 1.0, old, advantages)
            value = loss(*given, action_mask=mask, rollout_log_probs=old + 0.5)[0]
            assert torch.equal(value, plain(*given, action_mask=mask, rollout_log_probs=old + 0.5)[0])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        with torch.no_grad():
            loss(weight - 1.0, old, advantages, action_mask=mask)  # no training: not recorded
    finally:
        handle.remove()
    recorder.end()
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    steps = [event["metrics"] for event in events if event["type"] == "step"]
    assert len(steps) == 3 and steps[0]["ratio_max"] == 1.0 and steps[2]["ratio_max"] > 1.0
    assert steps[0]["tokens"] == 8 and steps[0]["reward"] == 0.5 and "sampler_ess" in steps[0]
    rows = (
        pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "run/tokens/step-00002.rank-0.parquet").to_pylist()
    )
    assert [row["token_ids"] for row in rows] == [[3, 4, 5, 6, 7], [11, 12, 13]]
