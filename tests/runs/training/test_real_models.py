"""What a real model needs, on tiny ones: adapters, micro-batches, chunks of logits, layers computed again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sapo_viz.errors import RunError
from sapo_viz.models import rollout as rollouts
from sapo_viz.models.policy import Policy, load_policy, load_source
from sapo_viz.models.rollout import completion_logprobs, prepare_recomputing, sample
from sapo_viz.models.source import locate
from sapo_viz.models.trained import add_lora, sharing_copy, trained_parameters, trained_state
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.training.engine import train
from tests.runs.small_runs import small

PROMPTS = ["^864+394=", "^111+222="]


def gradients(policy: Policy, *, seed: int = 0, temperature: float = 0.7) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Log-probs of a fixed rollout, and the gradient of their sum of squares."""
    generator = torch.Generator().manual_seed(seed)
    rolled = sample(policy, PROMPTS, 3, max_length=12, generator=generator)
    assert rolled is not None
    logprobs = completion_logprobs(policy, rolled, temperature=temperature)
    policy.model.zero_grad()
    (logprobs**2).sum().backward()
    return logprobs.detach(), [parameter.grad.clone() for parameter in trained_parameters(policy.model)]


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("way", ["chunks", "recompute", "both"])
def test_less_memory_gives_the_same_logprobs_and_gradients(
    way: str, lora: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = load_policy("addition-start")
    if lora:
        add_lora(policy.model, 4, 8.0, "all-linear", 0, "addition-start")
        for name, parameter in policy.model.named_parameters():
            if ".lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))
    usual = gradients(policy)
    if way != "recompute":
        monkeypatch.setattr(rollouts, "LOGITS", 6 * 26 * 5)  # five places at a time
    if way != "chunks":
        prepare_recomputing(policy)
    sparing = gradients(policy)
    torch.testing.assert_close(sparing[0], usual[0], atol=1e-5, rtol=0)
    for own, wanted in zip(sparing[1], usual[1], strict=True):
        torch.testing.assert_close(own, wanted, atol=1e-3, rtol=1e-4)
    assert not any(module.training for module in policy.model.modules())


@pytest.mark.parametrize("chunks", [False, True])
def test_a_heads_weight_is_read_once_however_many_sequences_there_are(
    chunks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hidden states that are a view make torch copy a frozen head for each sequence: 900 MB for 16 of SmolLM2's."""
    monkeypatch.setattr(rollouts.lean, "covers", lambda model, length: False)  # the library's own forward
    policy, seen = load_policy("addition-moe-start"), []
    head = policy.model.get_output_embeddings()
    head.register_forward_pre_hook(lambda module, given: seen.append(given[0].is_contiguous()))
    if chunks:
        monkeypatch.setattr(rollouts, "LOGITS", 6 * 26 * 5)
    rolled = sample(policy, PROMPTS, 3, max_length=12, generator=torch.Generator().manual_seed(0))
    assert rolled is not None
    completion_logprobs(policy, rolled)
    assert len(seen) > 12 and all(seen)


def weights(**settings: Any) -> dict[str, torch.Tensor]:
    """After two steps of plain gradients, which hide no difference."""
    *_, last = train(small(steps=2, optimizer="sgd", lr=0.05, validate_every=0, **settings))
    assert last.type == "finished"
    return trained_state(last.payload.model)


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "sapo"},
        {"objective": "gspo", "kl_coef": 0.1},
        {"objective": "clip_cov", "aggregation": "token-mean"},
        {"objective": "sapo", "lora_rank": 4, "old_logprobs": "recomputed"},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_micro_batches_change_nothing_whatever_the_objective_makes_of_the_batch(settings: dict[str, Any]) -> None:
    whole, parts = weights(minibatches=2, **settings), weights(minibatches=2, micro_batch=3, **settings)
    for name, wanted in whole.items():
        torch.testing.assert_close(parts[name], wanted, atol=2e-6, rtol=1e-4)


def test_an_adapter_begins_as_nothing_and_its_base_stays_as_it_is() -> None:
    plain = load_policy("addition-start")
    *_, last = train(small(steps=2, lora_rank=4, lr=1e-2))
    own = dict(last.payload.model.named_parameters())
    for name, before in plain.model.named_parameters():
        place = name if name in own else name.replace(".weight", ".base_layer.weight")
        assert torch.equal(own[place], before)
    state = trained_state(last.payload.model)
    assert all(".lora_" in name for name in state) and any(
        value.abs().sum() > 0 for n, value in state.items() if "lora_B" in n
    )


def test_a_copy_shares_what_is_frozen_and_nothing_else() -> None:
    policy = load_policy("addition-start")
    add_lora(policy.model, 2, 4.0, "attention", 0, "addition-start")
    copied = dict(sharing_copy(policy.model).named_parameters())
    for name, parameter in policy.model.named_parameters():
        assert (copied[name] is parameter) == (not parameter.requires_grad)


def test_a_resumed_adapter_equals_one_that_was_never_interrupted() -> None:
    config = small(steps=4, checkpoint_every=2, lora_rank=4, lr=1e-2, staleness=3, validate_every=0)
    whole: list[RunEvent] = []
    state: Any = None
    for event in train(config):
        whole.append(event)
        if event.type == "checkpoint" and event.step == 2:
            file = io.BytesIO()
            torch.save(event.payload, file)
            assert (
                len(file.getvalue()) < 400_000
            )  # of 303 kB of weights and twice as much of optimiser: the adapter alone
            file.seek(0)
            state = torch.load(file, weights_only=True)
    resumed = list(train(config, resume=state))
    last = [trained_state(events[-1].payload.model) for events in (whole, resumed)]
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])
    with pytest.raises(RunError, match="the checkpoint is not one of this run"):
        next(train(small(steps=4, lora_rank=8), resume=state))


def test_a_trained_adapter_is_read_back_on_its_model(tmp_path: Path) -> None:
    *_, last = train(small(steps=1, lora_rank=4, lr=1e-2, validate_every=0))
    last.payload.save(tmp_path / "adapter")
    said = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert said["base_model_name_or_path"] == "addition-start" and said["r"] == 4
    again = load_source(locate("addition-start", str(tmp_path / "adapter")))
    rolled = sample(last.payload, PROMPTS, 2, max_length=12, generator=torch.Generator().manual_seed(0))
    assert rolled is not None
    with torch.no_grad():
        pair = [completion_logprobs(policy, rolled) for policy in (last.payload, again)]
    torch.testing.assert_close(*pair, atol=1e-6, rtol=0)


def test_a_mixture_of_experts_refuses_what_would_lose_its_routes() -> None:
    for settings in ({"micro_batch": 2}, {"recompute": "on"}):
        with pytest.raises(RunError, match="it takes micro_batch 0 and recompute off"):
            next(train(small(policy="addition-moe-start", **settings)))
