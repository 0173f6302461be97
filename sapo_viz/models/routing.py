"""Which experts a mixture-of-experts policy used, and making it use them again: routing replay.

After an update a router may send a token to other experts than at rollout, and the token's log-prob jumps
although no weight moved far: the ratio then compares two different networks. Routing replay fixes the
*choice* of experts and recomputes their scores from the logits of now, so the router still gets a gradient.
What GRPO-R2 of the SAPO paper (arXiv 2511.20347) means:

    R2  the old policy's routes, as the trainer computes them before the first update ("vanilla"; arXiv 2507.18071)
    R3  the routes that the sampler took, prompt included (arXiv 2510.11370)

They are the same where sampler and trainer compute alike (arXiv 2512.01374 tells them apart). Routes have the
shape [B, S, L, K]: sequences, positions (prompt and all sampled tokens but the last), layers with experts, and
the K experts of each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def routers(model: PreTrainedModel) -> list[Any]:
    """The router modules, in layer order; none in a dense model.

    A router is known by what it returns and by what it has: (logits, scores, experts), `top_k` and
    `num_experts`. So it is in Qwen3Moe and its relatives in transformers 5.
    """
    if not any(getattr(model.config, name, 0) for name in ("num_experts", "num_local_experts", "n_routed_experts")):
        return []  # walking over the modules of a dense model would take as long as a pass of ten tokens
    return [
        module
        for module in model.modules()
        if type(module).__name__.endswith("Router") and hasattr(module, "top_k") and hasattr(module, "num_experts")
    ]


def quick_experts(model: Any) -> Any:
    """The same model, its experts computed each in one matrix product: on a CPU the default is 5 to 10 times slower."""
    if routers(model):
        model.set_experts_implementation("grouped_mm")
    return model


@contextlib.contextmanager
def recorded(model: PreTrainedModel) -> Iterator[list[Tensor]]:
    """Fills the list with [tokens, K], the experts used, one entry a router and forward pass in order of the calls."""
    used: list[Tensor] = []

    def look(module: Any, inputs: Any, output: tuple[Tensor, Tensor, Tensor]) -> None:
        used.append(output[2].detach())

    handles = [router.register_forward_hook(look) for router in routers(model)]
    try:
        yield used
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def replayed(model: PreTrainedModel, routes: Tensor | None) -> Iterator[None]:
    """Within it each forward pass over the sequences of `routes` goes through those experts; None: as it likes.

    The score of a replayed expert is its share of the softmax of today's logits, normalised over the K
    as the model does it.
    """
    if routes is None:
        yield
        return

    def forced(layer: int) -> Any:
        experts = routes[:, :, layer].flatten(0, 1).long()

        def force(module: Any, inputs: Any, output: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
            logits, scores, _ = output
            share = torch.softmax(logits.float(), -1).gather(-1, experts)
            if getattr(module, "norm_topk_prob", True):
                share = share / share.sum(-1, keepdim=True)
            return logits, share.to(scores.dtype), experts

        return force

    # In front of the hooks of `recorded`, which then see the experts that are used.
    handles = [router.register_forward_hook(forced(i), prepend=True) for i, router in enumerate(routers(model))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def stacked(used: list[Tensor], sequences: int) -> Tensor | None:
    """The entries of one forward pass as routes. L × [B·S, K] -> [B, S, L, K]; None if there are none."""
    if not used:
        return None
    return torch.stack([one.view(sequences, -1, one.shape[-1]) for one in used], 2).to(torch.int16)


def changed_share(before: Tensor, after: Tensor, mask: Tensor) -> float:
    """Share of routes, over tokens and layers, whose set of experts is another. [B, S, L, K] twice, [B, S] -> 0 … 1"""
    other = (before.sort(-1).values != after.sort(-1).values).any(-1)
    return float(other[mask].float().mean()) if bool(mask.any()) else 0.0
