"""A small Qwen3's forward pass on a CPU, written out: the library's numbers, and in less time.

An update takes 0.6 of the library's time and a rollout 0.8 (default sizes, one thread, medians of 12 in turns).
For a policy of 75,000 parameters most of a step is not arithmetic: masks made anew for each token, caches
joined, norms of five kernels, attention kernels meant for long sequences. Here a pass reads as the formula

    x ← x + Attention(Norm x),   x ← x + MLP(Norm x),   logits = W·Norm x

over the library model's own weights. Activations stand as [C, N], a row for each feature and in it the tokens
of one sequence after another: norms, rotary embedding and gates then run along thousands of numbers and not along
the sixteen of a head, and the heads need no transposing. The completions of a prompt are passed together: what
their common prompt's tokens become is computed once (`continued`). Mixtures of experts keep their block, and so its
hooks. Whatever this does not cover (padding, other architectures, adapters, a GPU, bfloat16, long sequences, where
the scores of all pairs would not stay in the cache) goes through the library. Tests hold values and gradients to
the library's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch
from sapo_viz.models.lean import blocks as lean_blocks
from sapo_viz.models.lean.blocks import Heads, Part, attention, kept, mlp, norm
from sapo_viz.models.lean.products import spare_columns

if TYPE_CHECKING:
    from torch import Tensor

_LONGEST = 512  # tokens
_WIDEST = 512  # hidden size; above it a step is arithmetic, and the library's kernels do that as well


@dataclass(frozen=True)
class LeanLayer:
    """One layer's weights as a pass uses them: the norms' weights folded into the matrices behind them."""

    qkv: Tensor  # [(H + 2·H_kv)·D, C]; for each key head its G query heads and then the key; behind all, the values
    turn: Tensor  # [(H + H_kv)·D], the weights of the heads' norms in the same order
    out: Tensor
    mlp: tuple[Tensor, Tensor] | None  # gate over up, down; None in a mixture of experts
    module: Any  # the library's layer


@dataclass(frozen=True)
class Prepared:
    """A model made ready for passes over up to S tokens, with the graph back to its parameters."""

    blocks: list[LeanLayer]
    embedding: Tensor  # [V, C]
    head: Tensor  # [V, C]
    waves: tuple[Tensor, Tensor]  # cosines and signed sines of the rotary embedding, [D, S]
    dim: int  # D, of a head
    groups: int  # G, query heads of a key head
    keys: int  # H_kv
    eps: float
    scaling: float  # 1/√D

    @property
    def dense(self) -> bool:
        return all(block.mlp is not None for block in self.blocks)


def covers(model: Any, tokens: int) -> bool:
    """Whether `continued` computes this model on so many tokens per sequence, none of them padding."""
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


def continued(model: Any, prompts: Tensor, ids: Tensor) -> Tensor:
    """Logits after each sequence's prompt and after each of its `ids`. [B, P], [B, n] -> [B, n + 1, V]

    Equal prompts are computed once. A mixture's routers want to see each sequence whole.
    """
    (batch, n), length = ids.shape, prompts.shape[1]
    ready = prepare(model, length + n)
    if n == 0 or not ready.dense:
        whole = torch.cat([prompts, ids], 1)
        return through(ready, whole.flatten(), (Part(batch, length + n, n + 1),))[0].view(batch, n + 1, -1)
    once, which = prompts.unique(dim=0, return_inverse=True)
    parts = Part(len(once), length, 1), Part(batch, n, n, length, which)
    first, rest = through(ready, torch.cat([once.flatten(), ids.flatten()]), parts)
    return torch.cat([first.index_select(0, which)[:, None], rest.view(batch, n, -1)], 1)


def through(
    ready: Prepared, ids: Tensor, parts: tuple[Part, ...], read: list[tuple[Tensor, Tensor]] | None = None
) -> list[Tensor]:
    """Logits of each part's kept tokens. [N] -> [B·keep, V] of each

    `read` gets the keys and values of the first part's tokens, [H_kv, B, D, S] each, for every layer.
    """
    positions = torch.cat([torch.arange(part.begin, part.begin + part.n).repeat(part.batch) for part in parts])
    sizes = [part.batch * part.keep for part in parts]
    # Spare columns hold any token, and no other sees them; routers would.
    spare = spare_columns(len(ids)) if ready.dense else 0
    ids, positions = (torch.nn.functional.pad(each, (0, spare)) for each in (ids, positions))
    cos, sin = ready.waves[0][:, positions], ready.waves[1][:, positions]
    heads = Heads(
        ready.keys, ready.groups, ready.dim, ready.eps, ready.scaling, cos, sin, parts, last=False, width=len(ids)
    )
    x = torch.nn.functional.embedding(ids, ready.embedding).T.contiguous()
    for index, block in enumerate(ready.blocks):
        # What follows the last layer's keys and values is wanted of some tokens only. (A router wants to see all.)
        if index == len(ready.blocks) - 1 and ready.dense:
            heads = replace(heads, last=True, width=sum(sizes) + spare_columns(sum(sizes)))
        x, keys, values = attention(x, block.qkv, block.turn, block.out, heads)
        x = _mixture(block, x, ready.eps) if block.mlp is None else mlp(x, *block.mlp, ready.eps)
        if read is not None:
            read.append((keys, values))
    if not heads.last:
        x = kept(x, parts, sum(sizes))
    return list(lean_blocks.logits(x, ready.head, ready.eps)[: sum(sizes)].split(sizes))


def _mixture(block: LeanLayer, x: Tensor, eps: float) -> Tensor:
    """x and the block of experts as the library has it. [C, N] -> [C, N]"""
    weighted = norm(x, eps).T * block.module.post_attention_layernorm.weight
    mixed: Tensor = block.module.mlp(weighted[None])
    return x + mixed[0].T


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
        blocks.append(LeanLayer(qkv, torch.cat(norms, 1).flatten(), at.o_proj.weight, mlp, layer))
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
