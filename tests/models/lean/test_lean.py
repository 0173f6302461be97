"""The forward pass written out is the library's: values, gradients, and token by token over a cache."""

from __future__ import annotations

import pytest
import torch

from sapo_viz.models.lean import blocks as lean_blocks
from sapo_viz.models.lean import model as lean
from sapo_viz.models.lean import products as lean_products
from sapo_viz.models.lean.cache import LeanCache
from sapo_viz.models.policy import Policy, load_policy, new_policy
from sapo_viz.models.tasks import CHAIN

DISTINCT = torch.randint(1, 17, (6, 40), generator=torch.Generator().manual_seed(0))
IDS = DISTINCT.clone()
IDS[[1, 4], :9] = IDS[0, :9]


@pytest.fixture(scope="module", params=["addition-rl", "addition-moe-start", "a new one"])
def policy(request: pytest.FixtureRequest) -> Policy:
    return new_policy(CHAIN, seed=5) if request.param == "a new one" else load_policy(request.param)


@pytest.fixture(params=["torch's products", "oneDNN's"])
def products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways, whatever this processor would choose."""
    operator = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if request.param == "torch's products":
        monkeypatch.setattr(lean_products, "onednn", lambda: None)
    elif operator is None or not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    else:
        monkeypatch.setattr(lean_products, "onednn", lambda: lambda a, b: operator(a, b, None, "none", [], ""))


def gradients(policy: Policy, logits: torch.Tensor) -> dict[str, torch.Tensor]:
    policy.model.zero_grad()
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    (torch.log_softmax(logits, -1) * weights).mean().backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("ids", [IDS, DISTINCT], ids=["three of one prompt", "a prompt each"])
def test_logits_and_gradients_are_the_librarys(policy: Policy, products: None, ids: torch.Tensor) -> None:
    """Of 6 sequences of 9 + 31 tokens."""
    assert lean.covers(policy.model, 40)
    theirs = policy.model(ids, logits_to_keep=32).logits
    own = lean.continued(policy.model, ids[:, :9], ids[:, 9:])
    torch.testing.assert_close(own, theirs, atol=1e-4, rtol=0)
    ours, library = gradients(policy, own), gradients(policy, theirs)
    assert ours.keys() == library.keys()
    for name in library:
        torch.testing.assert_close(ours[name], library[name], atol=1e-6, rtol=1e-4)


def test_nothing_but_a_prompt_gives_the_logits_after_it(policy: Policy) -> None:
    with torch.no_grad():
        own, theirs = lean.continued(policy.model, IDS, IDS[:, :0]), policy.model(IDS, logits_to_keep=1).logits
    torch.testing.assert_close(own, theirs, atol=1e-4, rtol=0)


def test_token_by_token_over_a_cache_gives_the_same(policy: Policy, products: None) -> None:
    """Three prompts of nine tokens, each repeated twice, then one token at a time, past the cache's least width."""
    prompts = IDS[::2, :9]
    rest = IDS[:, 9:20]
    whole = torch.cat([prompts.repeat_interleave(2, 0), rest], 1)
    with torch.no_grad():
        expected = policy.model(whole).logits[:, 8:]
        cache = LeanCache(policy.model, 20)
        got = [cache.read(prompts, 2), *(cache.step(rest[:, i]) for i in range(11))]
    torch.testing.assert_close(torch.stack(got, 1), expected, atol=1e-4, rtol=0)


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
    """Against finite differences in float64: prompts of 3 tokens, of which one goes on in two sequences, and a spare
    column; 2 key heads with 2 query heads each, of 4 features; the last layer's way and the others'."""
    keys, groups, dim, features = 2, 2, 4, 5
    generator = torch.Generator().manual_seed(2)

    def random(*size: int) -> torch.Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_()

    parts = lean_blocks.Part(2, 3, 1), lean_blocks.Part(3, 2, 2, 3, torch.tensor([1, 0, 1]))
    cos, sin = random(dim, 13).detach(), random(dim, 13).detach()
    x, turn = random(features, 13), random(keys * (groups + 1) * dim)
    weights = random(keys * (groups + 2) * dim, features), turn, random(features, keys * groups * dim)
    for last, width in ((False, 13), (True, 9)):
        heads = lean_blocks.Heads(keys, groups, dim, 1e-2, 0.7, cos, sin, parts, last=last, width=width)

        def attention(*tensors: torch.Tensor, heads: lean_blocks.Heads = heads) -> torch.Tensor:
            return lean_blocks.attention(*tensors, heads)[0]  # type: ignore[arg-type]

        assert torch.autograd.gradcheck(attention, (x, *weights))
    assert torch.autograd.gradcheck(lambda x: lean_blocks.norm(x, 1e-2), x)
    assert torch.autograd.gradcheck(lambda *t: lean_blocks.logits(*t, 1e-2), (x, random(3, features)))
    assert torch.autograd.gradcheck(lambda *t: lean_blocks.mlp(*t, 1e-2), (x, random(6, features), random(features, 3)))
