"""A small Qwen3's forward pass on a CPU, written out: the same numbers as the library's in two thirds of the time.

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
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch
from sapo_viz.models.lean_functions import gate, norm, plus_product, product, spare_columns, turn

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

    def joined(self, columns: list[Tensor]) -> Tensor:
        """Side by side, and spare columns of zeros at the end, unless a router would see them. k × [C, ·] -> [C, N]"""
        dense = all(block.mlp is not None for block in self.blocks)
        spare = spare_columns(sum(each.shape[1] for each in columns)) if dense else 0
        if spare:
            columns = [*columns, columns[0].new_zeros(len(columns[0]), spare)]
        return columns[0] if len(columns) == 1 else torch.cat(columns, 1)


@dataclass(frozen=True)
class Part:
    """B sequences of n tokens each; the columns of a pass are those of its parts, one after the other."""

    batch: int
    n: int
    keep: int  # the last tokens of each sequence, whose logits are wanted
    begin: int = 0  # position of the first token
    after: Tensor | None = None  # [B], the sequence of the part before that each one goes on with; None: with none


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


def logits(model: Any, ids: Tensor, *, keep: int) -> Tensor:
    """Logits after the last `keep` of `ids`. [B, n] -> [B, keep, V]"""
    ready, part = prepare(model, ids.shape[1]), Part(len(ids), ids.shape[1], keep)
    return through(ready, ids.flatten(), [part])[0].view(len(ids), keep, -1)


def continued(model: Any, prompts: Tensor, ids: Tensor) -> Tensor:
    """Logits after each sequence's prompt and after each of its `ids`. [B, P], [B, n] -> [B, n + 1, V]

    Equal prompts are computed once. A mixture's routers want to see each sequence whole.
    """
    (batch, n), length = ids.shape, prompts.shape[1]
    if n == 0 or any(not hasattr(layer.mlp, "gate_proj") for layer in model.model.layers):
        return logits(model, torch.cat([prompts, ids], 1), keep=n + 1)
    once, which = prompts.unique(dim=0, return_inverse=True)
    parts = [Part(len(once), length, 1), Part(batch, n, n, length, which)]
    first, rest = through(prepare(model, length + n), torch.cat([once.flatten(), ids.flatten()]), parts)
    return torch.cat([first.index_select(0, which)[:, None], rest.view(batch, n, -1)], 1)


def through(
    ready: Prepared, ids: Tensor, parts: list[Part], kept: list[tuple[Tensor, Tensor]] | None = None
) -> list[Tensor]:
    """Logits of each part's kept tokens; `kept` gets the first part's keys and values of each layer. [N] -> [·, V]"""
    positions = ready.joined([torch.arange(p.begin, p.begin + p.n).repeat(p.batch)[None] for p in parts])[0]
    waves = ready.waves[0][:, positions], ready.waves[1][:, positions]
    ids = torch.nn.functional.pad(ids, (0, len(positions) - len(ids)))
    x = torch.nn.functional.embedding(ids, ready.embedding).T.contiguous()
    for index, block in enumerate(ready.blocks):
        # What follows the last layer's keys and values is wanted of some tokens only. (A router wants to see all.)
        last = index == len(ready.blocks) - 1 and block.mlp is not None
        attended = _attention(ready, block, norm(x, ready.eps), waves, parts, last, kept)
        x = plus_product(_kept(ready, x, parts) if last else x, block.out, attended)
        x = _mlp(block, x, norm(x, ready.eps))
    x = x if last else _kept(ready, x, parts)
    rows = product(ready.head, norm(x, ready.eps)).T
    return _split(rows, [part.batch * part.keep for part in parts], 0)


def _kept(ready: Prepared, x: Tensor, parts: list[Part]) -> Tensor:
    """The columns of the tokens whose logits are wanted. [C, N] -> [C, ·]"""
    if all(part.keep == part.n for part in parts):
        return x
    columns = _split(x, [part.batch * part.n for part in parts], 1)
    return ready.joined(
        [
            each if part.keep == part.n else each.unflatten(1, (part.batch, part.n))[:, :, -part.keep :].flatten(1)
            for each, part in zip(columns, parts, strict=True)
        ]
    )


def _split(x: Tensor, sizes: list[int], dim: int) -> list[Tensor]:
    """Pieces of these sizes; what is behind them are spare columns."""
    spare = x.shape[dim] - sum(sizes)
    return list(x.split([*sizes, spare] if spare else sizes, dim)[: len(sizes)])


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
    ready: Prepared,
    block: Block,
    x: Tensor,
    waves: tuple[Tensor, Tensor],
    parts: list[Part],
    last: bool,
    kept: list[tuple[Tensor, Tensor]] | None,
) -> Tensor:
    """Causal attention; in the last layer, of the kept tokens to all. [C, N] -> [H·D, ·]

    The query heads of a key head stand together in one product.
    """
    dim, keys, groups = ready.dim, ready.keys, ready.groups
    queries_keys, values = product(block.qkv, x).split([len(block.turn), keys * dim])
    turned = turn(queries_keys, block.turn, *waves, ready.eps)
    sizes = [part.batch * part.n for part in parts]
    out: list[Tensor] = []
    before: tuple[Tensor, Tensor] | None = None  # keys and values of the part before, [H_kv, B, D, S] each
    for part, each, v in zip(parts, _split(turned, sizes, 1), _split(values, sizes, 1), strict=True):
        batch, n, rows = part.batch, part.n, part.keep if last else part.n
        together = each.view(keys, groups + 1, dim, batch, n).permute(0, 3, 2, 1, 4).reshape(keys, batch, dim, -1)
        q, k = together.split([groups * n, n], -1)
        if rows < n:
            q = q.unflatten(-1, (groups, n))[..., -rows:].flatten(3)
        v = v.view(keys, dim, batch, n).transpose(1, 2)
        if part.after is not None and before is not None:
            k = torch.cat([before[0].index_select(1, part.after), k], -1)
            v = torch.cat([before[1].index_select(1, part.after), v], -1)
        before = k, v
        q, k, v = (one.reshape(keys * batch, dim, -1) for one in (q, k, v))
        out.append(_attended(q, k, v, rows, ready.scaling).view(keys, batch, groups, rows, dim).permute(0, 2, 4, 1, 3))
        if kept is not None and part is parts[0]:
            kept.append(before)
    return ready.joined([each.reshape(keys * groups * dim, -1) for each in out])


def _attended(q: Tensor, k: Tensor, v: Tensor, rows: int, scaling: float) -> Tensor:
    """softmax(qᵀk/√D)·vᵀ of the last `rows` of S tokens. [Z, D, G·rows], 2 × [Z, D, S] -> [Z, G·rows, D]"""
    length, groups = k.shape[2], q.shape[2] // rows
    scores = torch.baddbmm(_future(rows, length, groups), q.transpose(1, 2), k, alpha=scaling)
    return torch.bmm(scores.softmax(-1), v.transpose(1, 2))


@lru_cache(maxsize=16)
def _future(rows: int, length: int, groups: int) -> Tensor:
    """−∞ at what the last `rows` of `length` tokens must not see, for each head. [G·rows, S]"""
    return torch.full((rows, length), -torch.inf).triu(1 + length - rows).repeat(groups, 1)


def _mlp(block: Block, x: Tensor, normed: Tensor) -> Tensor:
    """x + W_down(silu(W_gate n) · W_up n), or x + the mixture's block as the library has it. [C, N] -> [C, N]"""
    if block.mlp is None:
        weighted = normed.T * block.module.post_attention_layernorm.weight
        mixed: Tensor = block.module.mlp(weighted[None])
        return x + mixed[0].T
    gate_up, down = block.mlp
    return plus_product(x, down, gate(product(gate_up, normed)))
