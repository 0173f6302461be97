"""The forward pass written out is the library's: values, gradients, and token by token over a cache."""

from __future__ import annotations

import pytest
import torch

from sapo_viz.models import lean
from sapo_viz.models.policy import Policy, load_policy, new_policy
from sapo_viz.models.tasks import CHAIN

IDS = torch.randint(1, 17, (6, 40), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=["addition-rl", "addition-moe-start", "a new one"])
def policy(request: pytest.FixtureRequest) -> Policy:
    return new_policy(CHAIN, seed=5) if request.param == "a new one" else load_policy(request.param)


def gradients(policy: Policy, logits: torch.Tensor) -> dict[str, torch.Tensor]:
    policy.model.zero_grad()
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    (torch.log_softmax(logits, -1) * weights).mean().backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}


def test_logits_and_gradients_are_the_librarys(policy: Policy) -> None:
    assert lean.covers(policy.model, 40)
    own, theirs = lean.logits(policy.model, IDS, keep=32), policy.model(IDS, logits_to_keep=32).logits
    torch.testing.assert_close(own, theirs, atol=1e-4, rtol=0)
    ours, library = gradients(policy, own), gradients(policy, theirs)
    assert ours.keys() == library.keys()
    for name in library:
        torch.testing.assert_close(ours[name], library[name], atol=1e-6, rtol=1e-4)


def test_token_by_token_over_a_cache_gives_the_same(policy: Policy) -> None:
    """Three prompts of nine tokens, each repeated twice, then one token at a time."""
    prompts = IDS[::2, :9]
    rest = IDS[:, 9:20]
    whole = torch.cat([prompts.repeat_interleave(2, 0), rest], 1)
    with torch.no_grad():
        expected = policy.model(whole).logits[:, 8:]
        cache = lean.LeanCache(policy.model, 3, 20)
        got = [lean.logits(policy.model, prompts, keep=1, cache=cache).repeat_interleave(2, 0)]
        cache.repeat(2)
        got += [lean.logits(policy.model, rest[:, i : i + 1], keep=1, cache=cache) for i in range(11)]
    torch.testing.assert_close(torch.cat(got, 1), expected, atol=1e-4, rtol=0)


def test_what_it_does_not_cover_it_leaves_to_the_library(policy: Policy) -> None:
    assert not lean.covers(policy.model, 513)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not lean.covers(policy.model, 40)


def test_an_adapters_layers_are_not_passed_over() -> None:
    class Adapted(torch.nn.Linear):
        """Stands for a LoRA layer, which has the old weight and adds to its product."""

    model = load_policy("addition-start").model
    old = model.model.layers[1].self_attn.q_proj
    model.model.layers[1].self_attn.q_proj = Adapted(old.in_features, old.out_features, bias=False)
    assert not lean.covers(model, 40)


def test_the_derivatives_that_are_written_out_are_those_of_the_values() -> None:
    """Against finite differences in float64; 2 key heads with 2 query heads each, of 6 features, 3 × 5 tokens."""
    keys, rows, dim, batch, n = shape = (2, 3, 6, 3, 5)
    generator = torch.Generator().manual_seed(2)

    def random(*size: int) -> torch.Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_()

    cos, sin = random(dim, n).detach(), random(dim, n).detach()
    assert torch.autograd.gradcheck(lambda x: lean._norm(x, 1e-2), random(6, 7))
    assert torch.autograd.gradcheck(lean._gate, random(6, 7))
    x, weight = random(keys * rows * dim, batch * n), random(keys * rows * dim)
    assert torch.autograd.gradcheck(lambda x, weight: lean._turn(x, weight, cos, sin, shape, 1e-2), (x, weight))
