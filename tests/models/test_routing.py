"""Routing: what is recorded is what the library used, what is replayed is used, and the router learns from it."""

from __future__ import annotations

import pytest
import torch

from sapo_viz.models.policy import Policy, load_policy
from sapo_viz.models.routing import changed_share, recorded, replayed, routers, stacked
from sapo_viz.models.spellings import spelled_out
from sapo_viz.models.tasks import SYNONYMS, meaning


@pytest.fixture(scope="module")
def mixture() -> Policy:
    return load_policy("addition-moe-start")


IDS = torch.tensor([[11, 2, 3, 4, 10, 5, 6, 7, 12], [11, 9, 3, 1, 10, 8, 6, 2, 12]])


def test_a_dense_policy_has_no_routers_and_no_routes(start: Policy) -> None:
    assert routers(start.model) == []
    with recorded(start.model) as used:
        start.model(IDS)
    assert stacked(used, 2) is None


def test_the_recorded_experts_are_those_of_the_librarys_router_logits(mixture: Policy) -> None:
    with torch.no_grad(), recorded(mixture.model) as used:
        logits = mixture.model(IDS, output_router_logits=True).router_logits
    routes = stacked(used, 2)
    assert routes is not None and routes.shape == (2, 9, 2, 2)
    top = torch.stack([each.topk(2).indices.view(2, 9, 2) for each in logits], 2)
    assert torch.equal(routes.sort(-1).values.long(), top.sort(-1).values)


def test_a_replayed_mixture_is_the_one_written_out_by_hand(mixture: Policy) -> None:
    """One layer's block on given experts: Σ_k share_k · expert_k(x), shares the renormalised softmax of its logits."""
    block = mixture.model.model.layers[0].mlp
    x = torch.randn(1, 3, 64, generator=torch.Generator().manual_seed(0))
    chosen = torch.tensor([[[[5, 0], [0, 0]], [[1, 2], [0, 0]], [[7, 3], [0, 0]]]], dtype=torch.int16)
    with torch.no_grad(), replayed(mixture.model, chosen):
        out = block(x)[0]
        probabilities = torch.softmax(x[0] @ block.gate.weight.T, -1)
        for token in range(3):
            experts = chosen[0, token, 0].tolist()
            shares = probabilities[token, experts] / probabilities[token, experts].sum()
            expected = torch.zeros(64)
            for share, expert in zip(shares, experts, strict=True):
                gate, up = (block.experts.gate_up_proj[expert] @ x[0, token]).chunk(2)
                expected += share * (block.experts.down_proj[expert] @ (torch.nn.functional.silu(gate) * up))
            torch.testing.assert_close(out[token], expected, atol=1e-5, rtol=0)


def test_hooks_are_gone_afterwards_even_after_an_error(mixture: Policy) -> None:
    def hooks() -> list[list[int]]:  # the library has some of its own
        return [list(router._forward_hooks) for router in routers(mixture.model)]

    before = hooks()
    routes = torch.zeros(2, 9, 2, 2, dtype=torch.int16)
    with pytest.raises(RuntimeError, match="on purpose"), recorded(mixture.model), replayed(mixture.model, routes):
        assert hooks() != before
        raise RuntimeError("on purpose")
    assert hooks() == before


def test_the_share_of_changed_routes_looks_at_sets_and_under_the_mask() -> None:
    """Of four routes under the mask one is another set; [1, 0] is the same set as [0, 1]."""
    before = torch.tensor([[[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[0, 1], [0, 1]]]])
    after = torch.tensor([[[[1, 0], [2, 3]], [[4, 6], [6, 7]], [[2, 3], [2, 3]]]])
    assert changed_share(before, after, torch.tensor([[True, True, False]])) == 0.25
    assert changed_share(before, after, torch.zeros(1, 3, dtype=torch.bool)) == 0.0


# the other change that a task makes to a policy


def test_a_policy_with_spellings_is_the_same_policy_over_meanings(start: Policy) -> None:
    """π(4) = Σ π of its 600 spellings, whatever the spelling of what went before, and each spelling has 1/600 of it."""
    large = spelled_out(start, SYNONYMS)
    plain, spelled = "^864+394=4+4+", "^864+394=4qz+ab4ux+"
    with torch.no_grad():
        expected = torch.softmax(start.model(torch.tensor([start.encode(plain)])).logits[0, -1], -1)
        got = torch.softmax(large.model(torch.tensor([large.encode(spelled)])).logits[0, -1], -1)
    symbols = start.tokenizer.convert_ids_to_tokens(range(26))
    sums = torch.zeros(26)
    for index, symbol in enumerate(SYNONYMS.vocabulary):
        sums[symbols.index(meaning(symbol))] += got[index]
    live = [symbols.index(symbol) for symbol in "0123456789+=,;$"]
    expected /= expected[live].sum()  # the eleven symbols that no teacher writes stay single, and lose their 6e-5
    torch.testing.assert_close(sums[live], expected[live], atol=3e-5, rtol=0)
    zero = SYNONYMS.vocabulary.index("0")
    assert float(got[zero]) == pytest.approx(float(expected[symbols.index("0")]) / 600, rel=1e-3)
