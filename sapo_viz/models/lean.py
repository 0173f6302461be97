"""A small Qwen3's forward pass on a CPU, written out: the same numbers as the library's in four fifths of the time.

For a policy of 75,000 parameters most of a step is not arithmetic: masks made anew for each token, caches
joined, norms of five kernels, attention kernels meant for long sequences. Here a pass reads as the formula

    x ← x + Attention(Norm x),   x ← x + MLP(Norm x),   logits = W·Norm x

over the library model's own weights. Activations stand as [C, B·n], a row for each feature and in it the tokens
of one sequence after another: norms, rotary embedding and gates then run along thousands of numbers and not along
the sixteen of a head, and the heads need no transposing. Mixtures of experts keep their block, and so its hooks.
Whatever this does not cover (padding, other architectures, adapters, a GPU, bfloat16, long sequences, where the
scores of all pairs would not stay in the cache) goes through the library. Tests hold values and gradients to the
library's.
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

    qkv: Tensor  # [(H + 2·H_kv)·D, C]; for each key head its G query heads and then the key; behind all, the values
    turn: Tensor  # [(H + H_kv)·D], the weights of the heads' norms in the same order
    out: Tensor
    mlp: tuple[Tensor, Tensor] | None  # gate over up, down; None in a mixture of experts
    module: Any  # the library's layer


@dataclass(frozen=True)
class Prepared:
    """A model made ready for passes over up to S tokens, with the graph back to its parameters."""

    blocks: list[Block]
    embedding: Tensor  # [V, C]
    head: Tensor  # [V, C]
    waves: tuple[Tensor, Tensor]  # cosines and signed sines of the rotary embedding, [D, S]
    dim: int  # D, of a head
    groups: int  # G, query heads of a key head
    keys: int  # H_kv
    eps: float
    scaling: float  # 1/√D


class LeanCache:
    """Keys [H_kv·B, D, S] and values [H_kv·B, S, D] of what has been read, for each layer; filled up to `length`."""

    def __init__(self, model: Any, sequences: int, longest: int) -> None:
        self.model = prepare(model, longest)
        heads, dim = self.model.keys * sequences, self.model.dim
        self.layers = [(torch.empty(heads, dim, longest), torch.empty(heads, longest, dim)) for _ in self.model.blocks]
        self.sequences, self.length = sequences, 0

    def repeat(self, times: int) -> None:
        """Each sequence `times` times, side by side."""
        self.layers = [
            (keys.repeat_interleave(times, 0), values.repeat_interleave(times, 0)) for keys, values in self.layers
        ]
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
    batch, n = ids.shape
    begin = 0 if cache is None else cache.length
    x = torch.nn.functional.embedding(ids.flatten(), ready.embedding).T.contiguous()
    for index, block in enumerate(ready.blocks):
        kept = None if cache is None else cache.layers[index]
        # What follows the last layer's keys and values is wanted of `keep` tokens only. (A router wants to see all.)
        rows = keep if index == len(ready.blocks) - 1 and block.mlp else n
        attended = _attention(ready, block, _norm(x, ready.eps), batch, kept, begin, rows)
        x = torch.addmm(_last(x, batch, rows), block.out, attended)
        x = _mlp(block, x, _norm(x, ready.eps), batch)
    if cache is not None:
        cache.length += n
    normed = _norm(_last(x, batch, keep), ready.eps)
    return torch.nn.functional.linear(normed.T, ready.head).view(batch, keep, -1)


def _last(x: Tensor, batch: int, keep: int) -> Tensor:
    """Each sequence's last tokens. [C, B·n] -> [C, B·keep]"""
    each = x.view(len(x), batch, -1)
    return x if each.shape[2] == keep else each[:, :, -keep:].reshape(len(x), -1)


def prepare(model: Any, longest: int) -> Prepared:
    """Fold the norms' weights into the next matrix (W·(n ⊙ w) = (W ⊙ w)·n): a few thousand numbers, once a pass."""
    body, config = model.model, model.config
    dim, keys = config.head_dim, config.num_key_value_heads
    groups = config.num_attention_heads // keys
    angles = body.rotary_emb.inv_freq[:, None] * torch.arange(longest)
    cos, sin = (wave * body.rotary_emb.attention_scaling for wave in (angles.cos(), angles.sin()))
    blocks = []
    for layer in body.layers:
        at, before, between = layer.self_attn, layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        heads = at.q_proj.weight.view(keys, groups, dim, -1), at.k_proj.weight.view(keys, 1, dim, -1)
        norms = at.q_norm.weight.expand(keys, groups, dim), at.k_norm.weight.expand(keys, 1, dim)
        mlp = None
        if hasattr(layer.mlp, "gate_proj"):
            mlp = (
                torch.cat([layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight]) * between,
                layer.mlp.down_proj.weight,
            )
        qkv = torch.cat([torch.cat(heads, 1).flatten(0, 2), at.v_proj.weight]) * before
        blocks.append(Block(qkv, torch.cat(norms, 1).flatten(), at.o_proj.weight, mlp, layer))
    return Prepared(
        blocks,
        body.embed_tokens.weight,
        model.lm_head.weight * body.norm.weight,
        (torch.cat([cos, cos]), torch.cat([-sin, sin])),
        dim,
        groups,
        keys,
        config.rms_norm_eps,
        body.layers[0].self_attn.scaling,
    )


def _attention(
    ready: Prepared, block: Block, x: Tensor, batch: int, kept: tuple[Tensor, Tensor] | None, begin: int, rows: int
) -> Tensor:
    """Causal attention, of the last `rows` tokens to all. [C, B·n] -> [H·D, B·rows]

    The query heads of a key head stand together in one product.
    """
    dim, keys, groups, n = ready.dim, ready.keys, ready.groups, x.shape[1] // batch
    qk, v = (block.qkv @ x).split([keys * (groups + 1) * dim, keys * dim])
    cos, sin = (wave[:, begin : begin + n] for wave in ready.waves)
    turned = _turn(qk, block.turn, cos, sin, (keys, groups + 1, dim, batch, n), ready.eps)  # [H_kv, B, D, G+1, n]
    q, k = turned.view(keys * batch, dim, -1).split([groups * n, n], -1)
    if rows < n:
        q = q.unflatten(-1, (groups, n))[..., -rows:].flatten(2)
    v = v.view(keys, dim, batch, n).transpose(1, 2).reshape(-1, dim, n).transpose(1, 2)
    if kept is not None:
        end = begin + n
        kept[0][:, :, begin:end], kept[1][:, begin:end] = k, v
        k, v = kept[0][:, :, :end], kept[1][:, :end]
    if rows == 1:
        scores = torch.bmm(q.transpose(1, 2), k) * ready.scaling
    else:
        future = torch.full((rows, k.shape[2]), -torch.inf).triu(1 + begin + n - rows).repeat(groups, 1)
        scores = torch.baddbmm(future, q.transpose(1, 2), k, alpha=ready.scaling)
    out = torch.bmm(scores.softmax(-1), v).view(keys, batch, groups, rows, dim)
    return out.permute(0, 2, 4, 1, 3).reshape(-1, batch * rows)


def _mlp(block: Block, x: Tensor, normed: Tensor, batch: int) -> Tensor:
    """x + W_down(silu(W_gate n) · W_up n), or x + the mixture's block as the library has it. [C, B·n] -> [C, B·n]"""
    if block.mlp is None:
        weighted = normed.T * block.module.post_attention_layernorm.weight
        mixed: Tensor = block.module.mlp(weighted.view(batch, -1, len(x)))
        return x + mixed.flatten(0, 1).T
    gate_up, down = block.mlp
    return torch.addmm(x, down, _gate(gate_up @ normed))


# -- three functions with their derivative written out: a third of the kernels that autograd would call --------------


def _norm(x: Tensor, eps: float) -> Tensor:
    """n = x·ρ with ρ = 1/√(mean x² + ε), over the features. [C, N] -> [C, N]"""
    normed: Tensor = _functions()[0].apply(x, eps)
    return normed


def _turn(x: Tensor, weight: Tensor, cos: Tensor, sin: Tensor, shape: tuple[int, ...], eps: float) -> Tensor:
    """Norm of each head, then the rotary embedding; `shape` is (K, R, D, B, n). [K·R·D, B·n] -> [K, B, D, R, n]"""
    turned: Tensor = _functions()[1].apply(x, weight, cos, sin, shape, eps)
    return turned


def _gate(x: Tensor) -> Tensor:
    """silu(g)·u of g over u. [2·M, N] -> [M, N]"""
    gated: Tensor = _functions()[2].apply(x)
    return gated


@cache
def _functions() -> tuple[Any, Any, Any]:
    """Made on first use: torch is imported late."""

    def scale_of(x: Tensor, dim: int, eps: float) -> Tensor:
        return (x * x).mean(dim, keepdim=True).add_(eps).rsqrt_()  # vector_norm is 30 times slower across rows

    class Norm(torch.autograd.Function):
        """∂x = ρ·(g − n·mean(g·n))"""

        @staticmethod
        def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
            scale = scale_of(x, 0, eps)
            normed = x * scale
            ctx.save_for_backward(normed, scale)
            return normed

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
            normed, scale = ctx.saved_tensors
            along = (gradients[0] * normed).mean(0, keepdim=True)
            return torch.addcmul(gradients[0], normed, along, value=-1).mul_(scale), None

    class Turn(torch.autograd.Function):
        """y_i = m_i·cos_i + m_i′·sin_i with m = w·n, n the norm over a head's D features and i′ the other half's
        feature. It comes out in the order in which attention wants it."""

        @staticmethod
        def forward(ctx: Any, x: Tensor, weight: Tensor, cos: Tensor, sin: Tensor, shape: Any, eps: float) -> Tensor:
            keys, rows, dim, batch, n = shape
            heads = x.view(keys * rows, dim, -1)
            scale = scale_of(heads, 1, eps)
            normed = heads * scale
            ctx.save_for_backward(normed, scale, weight, cos, sin)
            ctx.shape = shape
            for_own = (weight.view(-1, dim, 1) * cos).view(keys, rows, dim, 1, n)
            for_other = (weight.view(-1, dim, 1).roll(dim // 2, 1) * sin).view(keys, rows, dim, 1, n)
            return _exchanged(normed.view(shape), for_own, for_other).permute(0, 3, 2, 1, 4).contiguous()

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
            normed, scale, weight, cos, sin = ctx.saved_tensors
            keys, rows, dim, batch, n = ctx.shape
            g = gradients[0].permute(0, 3, 2, 1, 4).contiguous()
            cos, sin = cos.view(dim, 1, n), sin.view(dim, 1, n)
            inner = _exchanged(g, cos, sin.roll(dim // 2, 0)).view(keys * rows, dim, -1)  # ∂m
            product = inner * normed
            along = torch.bmm(weight.view(-1, 1, dim) / dim, product)
            for_x = inner.mul_(weight.view(-1, dim, 1)).addcmul_(normed, along, value=-1).mul_(scale)
            return for_x.view(-1, batch * n), product.sum(-1).flatten(), None, None, None, None

    class Gate(torch.autograd.Function):
        """∂u = g·silu(gate), ∂gate = g·u·silu′(gate)"""

        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            gate, up = x.chunk(2)
            opened = torch.nn.functional.silu(gate)
            ctx.save_for_backward(x, opened)
            return opened * up

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            x, opened = ctx.saved_tensors
            gate, up = x.chunk(2)
            for_x = torch.empty_like(x)
            for_gate, for_up = for_x.chunk(2)
            torch.mul(gradients[0], opened, out=for_up)
            torch.ops.aten.silu_backward.grad_input(gradients[0] * up, gate, grad_input=for_gate)
            return for_x

    return Norm, Turn, Gate


def _exchanged(x: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """x·own + x′·other, x′ being x with the halves of its features exchanged. [K, R, D, B, n] each"""
    half = x.shape[-3] // 2
    out = x * own
    first, second = x.split(half, -3)
    for part, exchanged, factor in zip(out.split(half, -3), (second, first), other.split(half, -3), strict=True):
        part.addcmul_(exchanged, factor)
    return out
