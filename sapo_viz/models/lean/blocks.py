"""The halves of a layer in a lean pass, each with its derivative written out.

Activations stand as [C, N], a row for each feature and a column for each token. A pass of forty short sequences is
four hundred small steps, and what autograd keeps of each, joins and copies on the way back took as long as the
arithmetic; here the way back is one function per half, which writes each gradient where it is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from sapo_viz.core.lazy import torch
from sapo_viz.models.lean.products import plus_product, product

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Part:
    """B sequences of n tokens each; the columns of a pass are those of its parts, one after the other."""

    batch: int
    n: int
    keep: int  # the last tokens of each sequence, whose logits are wanted
    begin: int = 0  # position of the first token
    after: Tensor | None = None  # [B], the sequence of the part before that each one goes on with; None: with none


@dataclass(frozen=True)
class Heads:
    """How attention is laid out: H_kv key heads of D features, G query heads for each, and where each token stands."""

    keys: int
    groups: int
    dim: int
    eps: float
    scaling: float  # 1/√D
    cos: Tensor  # [D, N], of the rotary embedding at each column's position
    sin: Tensor  # [D, N], signed: −sin in the first half
    parts: tuple[Part, ...]
    last: bool  # the layer's output is wanted of the kept tokens only
    width: int  # columns of the output, spare ones included


class Attended(NamedTuple):
    """What attention of one part leaves for the way back."""

    q: Tensor  # [H_kv·B, D, G·rows]
    k: Tensor  # [H_kv·B, D, S]
    v: Tensor  # [H_kv·B, D, S]
    shares: Tensor  # [H_kv·B, G·rows, S], softmax


def norm(x: Tensor, eps: float) -> Tensor:
    """n = x·ρ with ρ = 1/√(mean x² + ε), over the features. [C, N] -> [C, N]"""
    normed: Tensor = _functions().norm.apply(x, eps)
    return normed


def logits(x: Tensor, head: Tensor, eps: float) -> Tensor:
    """(W·Norm x)ᵀ. [C, N], [V, C] -> [N, V]"""
    rows: Tensor = _functions().logits.apply(x, head, eps).T
    return rows


def attention(x: Tensor, qkv: Tensor, turn: Tensor, out: Tensor, heads: Heads) -> tuple[Tensor, Tensor, Tensor]:
    """x + W_out·Attention(Norm x), and the first part's keys and values, which have no gradient.

    Args:
        x: [C, N]
        qkv: [(H + 2·H_kv)·D, C]; for each key head its G query heads and then the key; behind all, the values.
        turn: [(H + H_kv)·D], the weights of the heads' norms in the same order.
        out: [C, H·D]

    Returns:
        [C, N], or the kept tokens' columns in the last layer; 2 × [H_kv, B, D, S]
    """
    attended: tuple[Tensor, Tensor, Tensor] = _functions().attention.apply(x, qkv, turn, out, heads)
    return attended


def mlp(x: Tensor, gate_up: Tensor, down: Tensor, eps: float) -> Tensor:
    """x + W_down·(silu(W_gate·n) ⊙ W_up·n) with n = Norm x. [C, N], [2·M, C] (gate over up), [C, M] -> [C, N]"""
    added: Tensor = _functions().mlp.apply(x, gate_up, down, eps)
    return added


def scale_of(x: Tensor, dim: int, eps: float) -> Tensor:
    """ρ = 1/√(mean x² + ε) along a dimension, which stays with length 1."""
    return (x * x).mean(dim, keepdim=True).add_(eps).rsqrt_()  # vector_norm is 30 times slower across rows


def kept(x: Tensor, parts: tuple[Part, ...], width: int) -> Tensor:
    """The columns of the tokens whose logits are wanted, and zeros up to `width`. [C, N] -> [C, width]"""
    into = x.new_zeros(len(x), width)
    for one, other in _kept_columns(into, x, parts):
        one.copy_(other)
    return into


def _kept_columns(small: Tensor, large: Tensor, parts: tuple[Part, ...]) -> list[tuple[Tensor, Tensor]]:
    """Views of the same tokens in a tensor of the kept columns and in one of all, part by part. [C, B, keep] twice"""
    pairs, at, begin = [], 0, 0
    for part in parts:
        one = small[:, at : at + part.batch * part.keep].unflatten(1, (part.batch, part.keep))
        all_of_it = large[:, begin : begin + part.batch * part.n].unflatten(1, (part.batch, part.n))
        pairs.append((one, all_of_it[:, :, part.n - part.keep :]))
        at, begin = at + part.batch * part.keep, begin + part.batch * part.n
    return pairs


def _norm_backward(gradient: Tensor, normed: Tensor, scale: Tensor) -> Tensor:
    """∂x = ρ·(g − n·mean(g·n))"""
    along = (gradient * normed).mean(0, keepdim=True)
    return torch.addcmul(gradient, normed, along, value=-1).mul_(scale)


def _exchanged(x: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """x·own + x′·other, x′ being x with the halves of its features exchanged. [R, D, N], 2 × [D, N] -> [R, D, N]"""
    half = x.shape[1] // 2
    out = x * own
    out[:, :half].addcmul_(x[:, half:], other[:half])
    out[:, half:].addcmul_(x[:, :half], other[half:])
    return out


@lru_cache(maxsize=16)
def _future(rows: int, length: int, groups: int, dtype: Any) -> Tensor:
    """−∞ at what the last `rows` of `length` tokens must not see, for each head. [G·rows, S]"""
    return torch.full((rows, length), -torch.inf, dtype=dtype).triu(1 + length - rows).repeat(groups, 1)


def _attend(turned: Tensor, values: Tensor, heads: Heads, into: Tensor) -> list[Attended]:
    """softmax(qᵀk/√D)·vᵀ of each part, written into the columns of `into`. The query heads of a key head stand
    together in one product. [(H + H_kv)·D, N], [H_kv·D, N] -> [H·D, width]"""
    keys, groups, dim = heads.keys, heads.groups, heads.dim
    done: list[Attended] = []
    at = begin = 0
    for part in heads.parts:
        batch, n, rows = part.batch, part.n, part.keep if heads.last else part.n
        columns = slice(begin, begin + batch * n)
        grouped = turned[:, columns].view(keys, groups + 1, dim, batch, n).permute(0, 3, 2, 1, 4)  # [K, B, D, G+1, n]
        q = grouped[:, :, :, :groups, n - rows :].reshape(keys * batch, dim, groups * rows)
        k = grouped[:, :, :, groups]
        v = values[:, columns].view(keys, dim, batch, n).transpose(1, 2)
        if part.after is not None:
            k, v = (
                torch.cat([old.view(keys, -1, *old.shape[1:]).index_select(1, part.after), new], -1)
                for old, new in ((done[-1].k, k), (done[-1].v, v))
            )
        k, v = k.reshape(keys * batch, dim, -1), v.reshape(keys * batch, dim, -1)
        future = _future(rows, k.shape[2], groups, k.dtype)
        shares = torch.baddbmm(future, q.transpose(1, 2), k, alpha=heads.scaling).softmax(-1)
        seen = torch.bmm(shares, v.transpose(1, 2)).view(keys, batch, groups, rows, dim).permute(0, 2, 4, 1, 3)
        into[:, at : at + batch * rows].view(keys, groups, dim, batch, rows).copy_(seen)
        done.append(Attended(q, k, v, shares))
        at, begin = at + batch * rows, begin + batch * n
    return done


def _attend_backward(gradient: Tensor, done: list[Attended], heads: Heads, turned: Tensor, values: Tensor) -> None:
    """Write the gradients of what attention was given into `turned` and `values`, which come as zeros."""
    keys, groups, dim = heads.keys, heads.groups, heads.dim
    at = sum(part.batch * (part.keep if heads.last else part.n) for part in heads.parts)
    begin = sum(part.batch * part.n for part in heads.parts)
    from_next: tuple[Tensor, Tensor] | None = None  # of this part's keys and values, by the one that goes on with it
    for place in reversed(range(len(done))):
        part, of = heads.parts[place], done[place]
        batch, n, rows = part.batch, part.n, part.keep if heads.last else part.n
        at, begin = at - batch * rows, begin - batch * n
        g = gradient[:, at : at + batch * rows].view(keys, groups, dim, batch, rows)
        g = g.permute(0, 3, 1, 4, 2).reshape(keys * batch, groups * rows, dim)
        for_scores = torch._softmax_backward_data(torch.bmm(g, of.v), of.shares, -1, of.shares.dtype)
        for_scores.mul_(heads.scaling)
        for_v, for_k = (
            torch.bmm(a, b).view(keys, batch, dim, -1) for a, b in ((g.transpose(1, 2), of.shares), (of.q, for_scores))
        )
        for_q = torch.bmm(of.k, for_scores.transpose(1, 2)).view(keys, batch, dim, groups, rows)
        if from_next is not None:
            for_k, for_v = for_k + from_next[0], for_v + from_next[1]
        from_next = None
        if part.after is not None:
            before = for_k.shape[3] - n
            parents = heads.parts[place - 1].batch
            from_next = tuple(  # type: ignore[assignment]
                each.new_zeros(keys, parents, dim, before).index_add_(1, part.after, each[..., :before])
                for each in (for_k, for_v)
            )
            for_k, for_v = for_k[..., before:], for_v[..., before:]
        columns = slice(begin, begin + batch * n)
        grouped = turned[:, columns].view(keys, groups + 1, dim, batch, n).permute(0, 3, 2, 1, 4)
        grouped[:, :, :, :groups, n - rows :].copy_(for_q)
        grouped[:, :, :, groups].copy_(for_k)
        values[:, columns].view(keys, dim, batch, n).transpose(1, 2).copy_(for_v)


@cache
def _functions() -> SimpleNamespace:
    """Made on first use, because torch is imported late."""

    class Norm(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
            scale = scale_of(x, 0, eps)
            normed = x * scale
            ctx.save_for_backward(normed, scale)
            return normed

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
            normed, scale = ctx.saved_tensors
            return _norm_backward(gradients[0], normed, scale), None

    class Attention(torch.autograd.Function):
        """Each head's y_i = m_i·cos_i + m_i′·sin_i, with m = w·n, n the norm over its D features and i′ the other
        half's feature, goes into attention."""

        @staticmethod
        def forward(ctx: Any, x: Tensor, qkv: Tensor, turn: Tensor, out: Tensor, heads: Heads) -> tuple[Tensor, ...]:
            scale = scale_of(x, 0, heads.eps)
            normed = x * scale
            made = product(qkv, normed)
            queries_keys, values = made[: len(turn)].view(-1, heads.dim, x.shape[1]), made[len(turn) :]
            head_scale = scale_of(queries_keys, 1, heads.eps)
            head_normed = queries_keys * head_scale
            turned = _exchanged(head_normed * turn.view(-1, heads.dim, 1), heads.cos, heads.sin).flatten(0, 1)
            attended = x.new_zeros(out.shape[1], heads.width)
            done = _attend(turned, values, heads, attended)
            ctx.save_for_backward(
                normed, scale, head_normed, head_scale, attended, qkv, turn, out, *(each for of in done for each in of)
            )
            ctx.heads = heads
            added = plus_product(kept(x, heads.parts, heads.width) if heads.last else x, out, attended)
            first = [each.view(heads.keys, -1, *each.shape[1:]) for each in (done[0].k, done[0].v)]
            ctx.mark_non_differentiable(*first)
            return added, *first

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
            normed, scale, head_normed, head_scale, attended, qkv, turn, out, *rest = ctx.saved_tensors
            done = [Attended(*rest[index : index + 4]) for index in range(0, len(rest), 4)]
            heads, g = ctx.heads, gradients[0]
            made = g.new_zeros(len(qkv), normed.shape[1])
            turned = g.new_zeros(len(turn), normed.shape[1])
            _attend_backward(product(out.T, g), done, heads, turned, made[len(turn) :])
            inner = _exchanged(turned.view_as(head_normed), heads.cos, heads.sin.roll(heads.dim // 2, 0))  # ∂m
            along_w = inner * head_normed
            weight = turn.view(-1, heads.dim, 1)
            along = torch.bmm(weight.transpose(1, 2) / heads.dim, along_w)
            into = made[: len(turn)].view_as(inner)
            torch.mul(inner.mul_(weight).addcmul_(head_normed, along, value=-1), head_scale, out=into)
            for_x = _norm_backward(product(qkv.T, made), normed, scale)
            if heads.last:
                for one, other in _kept_columns(g, for_x, heads.parts):
                    other.add_(one)
            else:
                for_x.add_(g)
            return for_x, product(made, normed.T), along_w.sum(-1).flatten(), product(g, attended.T), None

    class Mlp(torch.autograd.Function):
        """With s = silu(gate) = gate·σ: ∂up = g·s, ∂gate = g·up·(s + σ·(1 − s))"""

        @staticmethod
        def forward(ctx: Any, x: Tensor, gate_up: Tensor, down: Tensor, eps: float) -> Tensor:
            scale = scale_of(x, 0, eps)
            normed = x * scale
            gate, up = product(gate_up, normed).chunk(2)
            share = gate.sigmoid()
            opened = gate * share
            hidden = opened * up
            ctx.save_for_backward(normed, scale, up, share, opened, hidden, gate_up, down)
            return plus_product(x, down, hidden)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
            normed, scale, up, share, opened, hidden, gate_up, down = ctx.saved_tensors
            g = gradients[0]
            for_hidden = product(down.T, g)
            made = g.new_empty(len(gate_up), g.shape[1])
            for_gate, for_up = made.chunk(2)
            torch.mul(for_hidden, opened, out=for_up)
            slope = torch.rsub(opened, 1).mul_(share).add_(opened)
            torch.mul(for_hidden, up, out=for_gate).mul_(slope)
            for_x = _norm_backward(product(gate_up.T, made), normed, scale).add_(g)
            return for_x, product(made, normed.T), product(g, hidden.T), None

    class Logits(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, head: Tensor, eps: float) -> Tensor:
            scale = scale_of(x, 0, eps)
            normed = x * scale
            ctx.save_for_backward(normed, scale, head)
            return product(head, normed)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
            normed, scale, head = ctx.saved_tensors
            for_x = _norm_backward(product(head.T, gradients[0]), normed, scale)
            return for_x, product(gradients[0], normed.T), None

    return SimpleNamespace(norm=Norm, attention=Attention, mlp=Mlp, logits=Logits)
