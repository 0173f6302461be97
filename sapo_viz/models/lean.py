"""A small Qwen3's forward pass on a CPU, written out: the same numbers as the library's in four fifths of the time.

For a policy of 75,000 parameters most of a step is not arithmetic: masks made anew for each token, caches
joined, norms of five kernels, attention kernels meant for long sequences. Here a pass reads as the formula

    x ← x + Attention(Norm x),   x ← x + MLP(Norm x),   logits = W·Norm x

over the library model's own weights. Mixtures of experts keep their block, and so its hooks. Whatever this does
not cover (padding, other architectures, adapters, a GPU, bfloat16, long sequences, where the scores of all pairs
would not stay in the cache) goes through the library. Tests hold values and gradients to the library's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

_LONGEST = 512  # tokens
_WIDEST = 512  # hidden size; above it a step is arithmetic, and the library's kernels do that as well


@dataclass(frozen=True)
class Block:
    """One layer's weights as a pass uses them: the norms' weights folded into the matrices behind them."""

    qkv: Tensor  # [(H + 2·H_kv)·D, C]
    turn: tuple[Tensor, Tensor]  # cosines and sines of the rotary embedding times the heads' norm: [S, (H + H_kv)·D]
    # The rows for queries and keys stand as [2, H + H_kv, D/2]: first all the heads' first halves, then the second
    # ones, which the rotary embedding exchanges: long rows are moved faster than eight numbers at a time.
    out: Tensor
    mlp: tuple[Tensor, Tensor, Tensor] | None  # gate, up, down; None in a mixture of experts
    module: Any  # the library's layer


@dataclass(frozen=True)
class Prepared:
    """A model made ready for passes over up to S tokens, with the graph back to its parameters."""

    blocks: list[Block]
    embedding: Tensor  # [V, C]
    head: Tensor  # [V, C]
    dim: int  # D, of a head
    queries: int  # H
    keys: int  # H_kv
    eps: float
    scaling: float  # 1/√D


class LeanCache:
    """Keys and values of what has been read: for each layer [B·H_kv, S, D], filled up to `length`."""

    def __init__(self, model: Any, sequences: int, longest: int) -> None:
        self.model = prepare(model, longest)
        shape = (sequences * self.model.keys, longest, self.model.dim)
        self.layers = [(torch.empty(shape), torch.empty(shape)) for _ in self.model.blocks]
        self.sequences, self.length = sequences, 0

    def repeat(self, times: int) -> None:
        """Each sequence `times` times, side by side."""

        def repeated(kept: Tensor) -> Tensor:
            return kept.view(self.sequences, -1, *kept.shape[1:]).repeat_interleave(times, 0).flatten(0, 1)

        self.layers = [(repeated(keys), repeated(values)) for keys, values in self.layers]
        self.sequences *= times


def covers(model: Any, tokens: int) -> bool:
    """Whether `logits` computes this model on so many tokens a sequence, none of them padding."""
    config = model.config
    return (
        type(model).__name__ in ("Qwen3ForCausalLM", "Qwen3MoeForCausalLM")
        and model.device.type == "cpu"
        and model.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and tokens <= _LONGEST
        and config.hidden_size <= _WIDEST
        and config.hidden_act == "silu"
        and not config.attention_bias
        and not config.attention_dropout
        and not getattr(config, "use_sliding_window", False)
        and model.model.rotary_emb.rope_type == "default"
        and all(type(part) is torch.nn.Linear for part in _matrices(model))  # an adapter's layers would be passed over
    )


def _matrices(model: Any) -> Iterator[Any]:
    """The modules whose weights are used here without calling them."""
    yield model.lm_head
    for layer in model.model.layers:
        at = layer.self_attn
        yield from (at.q_proj, at.k_proj, at.v_proj, at.o_proj)
        if hasattr(layer.mlp, "gate_proj"):
            yield from (layer.mlp.gate_proj, layer.mlp.up_proj, layer.mlp.down_proj)


def logits(model: Any, ids: Tensor, *, keep: int, cache: LeanCache | None = None) -> Tensor:
    """Logits after the last `keep` of `ids`, which are added to the cache. [B, n] -> [B, keep, V]"""
    ready = prepare(model, ids.shape[1]) if cache is None else cache.model
    begin = 0 if cache is None else cache.length
    x = torch.nn.functional.embedding(ids, ready.embedding)
    for index, block in enumerate(ready.blocks):
        kept = None if cache is None else cache.layers[index]
        x = x + _attention(ready, block, _norm(x, ready.eps), kept, begin)
        x = x + _mlp(block, _norm(x, ready.eps))
    if cache is not None:
        cache.length += ids.shape[1]
    return torch.nn.functional.linear(_norm(x[:, -keep:], ready.eps), ready.head)


def prepare(model: Any, longest: int) -> Prepared:
    """Fold the norms' weights into the next matrix (W·(n ⊙ w) = (W ⊙ w)·n): a few thousand numbers, once a pass."""
    body, config = model.model, model.config
    dim, queries, keys = config.head_dim, config.num_attention_heads, config.num_key_value_heads
    angles = torch.arange(longest)[:, None] * body.rotary_emb.inv_freq
    cos, sin = (wave * body.rotary_emb.attention_scaling for wave in (angles.cos(), angles.sin()))
    cos, sin = torch.stack([cos, cos], 1)[:, :, None], torch.stack([-sin, sin], 1)[:, :, None]  # [S, 2, 1, D/2]
    blocks = []
    for layer in body.layers:
        at, before, between = layer.self_attn, layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        norms = torch.cat([at.q_norm.weight.expand(queries, dim), at.k_norm.weight.expand(keys, dim)])
        norms = norms.view(-1, 2, dim // 2).transpose(0, 1)  # [2, H + H_kv, D/2]
        turn = (cos * norms).flatten(1), (sin * norms.flip(0)).flatten(1)  # y = n·w·cos + other half of (n·w)·sin
        mlp = None
        if hasattr(layer.mlp, "gate_proj"):
            mlp = (layer.mlp.gate_proj.weight * between, layer.mlp.up_proj.weight * between, layer.mlp.down_proj.weight)
        qk = torch.cat([at.q_proj.weight, at.k_proj.weight]).view(-1, 2, dim // 2, len(before)).transpose(0, 1)
        qkv = torch.cat([qk.reshape(-1, len(before)), at.v_proj.weight]) * before
        blocks.append(Block(qkv, turn, at.o_proj.weight, mlp, layer))
    head = model.lm_head.weight * body.norm.weight
    return Prepared(
        blocks,
        body.embed_tokens.weight,
        head,
        dim,
        queries,
        keys,
        config.rms_norm_eps,
        body.layers[0].self_attn.scaling,
    )


def _attention(ready: Prepared, block: Block, x: Tensor, kept: tuple[Tensor, Tensor] | None, begin: int) -> Tensor:
    """Causal attention; the query heads of a key head stand together as rows of one product. [B, n, C] twice"""
    batch, n, _ = x.shape
    dim, keys, groups = ready.dim, ready.keys, ready.queries // ready.keys
    heads = torch.nn.functional.linear(x, block.qkv)
    turned = (ready.queries + keys) * dim
    cos, sin = (each[begin : begin + n] for each in block.turn)
    qk = _turn(heads[..., :turned], cos, sin, dim, ready.eps).view(batch, n, 2, -1, dim // 2)
    q = qk[:, :, :, : ready.queries].unflatten(3, (keys, groups))
    q = q.permute(0, 3, 4, 1, 2, 5).reshape(-1, groups * n, dim)
    k = qk[:, :, :, ready.queries :].permute(0, 3, 1, 2, 4).reshape(-1, n, dim)
    v = heads[..., turned:].view(batch, n, keys, dim).transpose(1, 2).reshape(-1, n, dim)
    if kept is not None:
        end = begin + n
        kept[0][:, begin:end], kept[1][:, begin:end] = k, v
        k, v = kept[0][:, :end], kept[1][:, :end]
    if n == 1:
        scores = torch.bmm(q, k.transpose(1, 2)) * ready.scaling
    else:
        future = torch.full((n, k.shape[1]), -torch.inf).triu(1 + begin).repeat(groups, 1)
        scores = torch.baddbmm(future, q, k.transpose(1, 2), alpha=ready.scaling)
    out = torch.bmm(scores.softmax(-1), v).view(batch, keys, groups, n, dim)
    return torch.nn.functional.linear(out.permute(0, 3, 1, 2, 4).reshape(batch, n, -1), block.out)


def _mlp(block: Block, x: Tensor) -> Tensor:
    """W_down(silu(W_gate x) · W_up x), or the mixture's block as the library has it."""
    if block.mlp is None:
        mixed: Tensor = block.module.mlp(x * block.module.post_attention_layernorm.weight)
        return mixed
    gate, up, down = block.mlp
    linear = torch.nn.functional.linear
    return linear(torch.nn.functional.silu(linear(x, gate)) * linear(x, up), down)


# -- two functions with their derivative written out: a third of the kernels that autograd would call -----------------


def _norm(x: Tensor, eps: float) -> Tensor:
    """n = x·ρ with ρ = 1/√(mean x² + ε), over the last dimension."""
    normed: Tensor = _functions()[0].apply(x, eps)
    return normed


def _turn(x: Tensor, cos: Tensor, sin: Tensor, dim: int, eps: float) -> Tensor:
    """Norm of each head, then the rotary embedding. [B, n, H·D] with cos, sin [n, H·D] -> [B, n, H·D]"""
    turned: Tensor = _functions()[1].apply(x, cos, sin, dim, eps)
    return turned


@cache
def _functions() -> tuple[Any, Any]:
    """Made on first use: torch is imported late."""

    class Norm(torch.autograd.Function):
        """∂x = ρ·(g − n·mean(g·n))"""

        @staticmethod
        def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
            mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_() / x.shape[-1]
            scale = mean_square.add_(eps).rsqrt_()
            normed = x * scale
            ctx.save_for_backward(normed, scale)
            return normed

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
            normed, scale = ctx.saved_tensors
            along = (gradients[0] * normed).mean(-1, keepdim=True)
            return torch.addcmul(gradients[0], normed, along, value=-1).mul_(scale), None

    class Turn(torch.autograd.Function):
        """y = n·cos + (n, halves exchanged)·sin with n the heads' norm. Means over a head are products with a matrix
        of 0 and 1/D: sixteen numbers are too few for a reduction kernel."""

        @staticmethod
        def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, dim: int, eps: float) -> Tensor:
            spread = torch.eye(x.shape[-1] // dim).repeat_interleave(dim // 2, 1).repeat(1, 2)  # [H, 2·H·D/2]
            scale = ((x * x) @ (spread.T / dim)).add_(eps).rsqrt_() @ spread
            normed = x * scale
            rolled = _exchanged(normed)
            ctx.save_for_backward(normed, rolled, scale, cos, sin, spread)
            return torch.addcmul(normed * cos, rolled, sin)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
            (g,) = gradients
            normed, rolled, scale, cos, sin, spread = ctx.saved_tensors
            dim = spread.shape[1] // spread.shape[0]
            inner = torch.addcmul(_exchanged(g * sin), g, cos)
            along = ((inner * normed) @ (spread.T / dim)) @ spread
            for_x = torch.addcmul(inner, normed, along, value=-1).mul_(scale)
            return for_x, (g * normed).sum(0), (g * rolled).sum(0), None, None

    return Norm, Turn


def _exchanged(x: Tensor) -> Tensor:
    """The second half of the last dimension before the first."""
    return torch.cat(x.chunk(2, -1)[::-1], -1)
