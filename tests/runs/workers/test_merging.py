"""An adapter and its start, added up, answer as they did apart."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from sapo_viz.cli import main
from sapo_viz.errors import RunError
from sapo_viz.models.policy import Policy, load_policy, load_source
from sapo_viz.models.source import locate
from sapo_viz.models.tasks import TASKS
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.workers.merging import merge_run
from sapo_viz.runs.workers.worker import work
from tests.runs.small_runs import small


def finished(store: RunStore, **settings: Any) -> str:
    run_id = store.create(small(steps=2, validate_every=0, **settings))
    assert work(store.path(run_id)).type == "finished"
    return run_id


def logits(policy: Policy, text: str = "^864+394=1258") -> torch.Tensor:
    with torch.no_grad():
        return policy.model(torch.tensor([policy.encode(text)])).logits.float()


def test_merged_weights_give_the_logits_of_start_and_adapter(store: RunStore, tmp_path: Path) -> None:
    run_id = finished(store, lora_rank=4, lr=1e-2)
    apart = load_source(locate("addition-start", str(store.policy_path(run_id))))
    merge_run(store, run_id, tmp_path / "merged")
    merged = load_policy(str(tmp_path / "merged"))
    assert not any(".lora_" in name for name, _ in merged.model.named_parameters())
    # Logits of about 10 in float32: two orders of summation are 1e-5 apart on some processors.
    torch.testing.assert_close(logits(merged), logits(apart), atol=1e-4, rtol=0)
    assert (logits(merged) - logits(load_policy("addition-start"))).abs().max() > 1e-2  # it has learnt something


def test_a_start_in_other_spellings_is_merged_in_them(store: RunStore, tmp_path: Path) -> None:
    run_id = finished(store, task="synonyms", lora_rank=2, lr=1e-2)
    merged = merge_run(store, run_id, tmp_path / "merged")
    again, prompt = load_policy(str(tmp_path / "merged")), TASKS["synonyms"].prompt(random.Random(0))
    assert len(again.tokenizer) == again.model.get_input_embeddings().weight.shape[0] > 9000
    torch.testing.assert_close(logits(again, prompt), logits(merged, prompt), atol=1e-5, rtol=0)


def test_the_command_writes_a_whole_model_with_its_card(
    store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id, out = finished(store, lora_rank=4), tmp_path / "merged"
    command = ["merge", str(store.path(run_id)), "--out", str(out), "--dtype", "bfloat16"]
    assert main(command) == 0
    assert "75,776 parameters in bfloat16" in capsys.readouterr().out
    with safe_open(out / "model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.bfloat16}  # noqa: SIM118
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "library_name: transformers" in card and "LoRA, rank 4, merged into the policy's own, in bfloat16" in card
    assert "library_name: peft" in (store.path(run_id) / "policy" / "README.md").read_text(encoding="utf-8")
    assert main(command) == 2
    assert "is not empty; choose another folder with --out" in capsys.readouterr().err


def test_what_has_no_adapter_is_said_in_a_sentence(store: RunStore, tmp_path: Path) -> None:
    whole, waiting = finished(store), store.create(small(lora_rank=4))
    with pytest.raises(RunError, match="trained all weights .* its policy is whole as it is, in "):
        merge_run(store, whole, tmp_path / "merged")
    with pytest.raises(RunError, match="its adapter is there once it is finished"):
        merge_run(store, waiting, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
