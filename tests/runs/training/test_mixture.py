"""A mixture of experts that is none of ours: random weights, a tokenizer of bytes, questions of one's own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from sapo_viz.models import rollout as rollouts
from sapo_viz.models.policy import load_policy
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.training.engine import train
from tests.models.tiny import byte_level
from tests.runs.small_runs import small

QUESTIONS = TextTable("animals", ("question",), (tuple(f"the cat sat {n}+{n}=" for n in range(20)),))


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, tokenizer = tmp_path_factory.mktemp("mixture"), byte_level()
    torch.manual_seed(0)
    model = Qwen3MoeForCausalLM(
        Qwen3MoeConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            moe_intermediate_size=16,
            num_experts=4,
            num_experts_per_tok=2,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=128,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "settings",
    [{}, {"routing_replay": "r2", "old_logprobs": "recomputed"}, {"lora_rank": 2, "lora_targets": "attention"}],
    ids=["all weights", "R2", "LoRA"],
)
@pytest.mark.parametrize("logits", [2**25, 2**12], ids=["whole", "chunks"])
def test_a_qwen3_mixture_trains_three_steps(
    mixture: Path, settings: dict[str, Any], logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In chunks too: a real one's vocabulary has too many logits to be held at once."""
    monkeypatch.setattr(rollouts, "LOGITS", logits)
    config = small(
        task="questions", policy=str(mixture), reward="format([aeiou])", chat="off", max_tokens=8, steps=3, lr=1e-2,
        minibatches=2, validate_every=0, **settings,
    )  # fmt: skip
    events = list(train(config, table=QUESTIONS))
    steps = [event.metrics for event in events if event.type == "step"]
    assert events[-1].type == "finished" and len(steps) == 3
    assert all(math.isfinite(step[name]) for step in steps for name in ("loss", "grad_norm", "changed_routes"))
    now = dict(events[-1].payload.model.named_parameters())
    moved = {
        name
        for name, before in load_policy(str(mixture)).model.named_parameters()
        if name in now and not torch.equal(before, now[name])
    }
    assert moved if not config.lora_rank else any(".lora_B" in name and p.any() for name, p in now.items())
