"""Sampling with a lean pass: prompts are read once, then all sequences go on token by token.

One token per sequence is little work in many small steps, so this pass has its own order: a row for each sequence,
its heads side by side, and behind each key head's queries the key and the value, so that nothing is transposed. The
features of queries and keys stand in pairs (i, i + D/2), as complex numbers, which the rotary embedding turns by one
product; a score is a sum over features and does not see their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch
from sapo_viz.models.lean.blocks import Part, scale_of
from sapo_viz.models.lean.model import LeanLayer, prepare, through
from sapo_viz.models.lean.products import product

if TYPE_CHECKING:
    from torch import Tensor

_SHORTEST = 16  # keys; over fewer, torch's softmax and MKL's batched products take their slow ways, at 5 times the cost


class LeanCache:
    """Keys [B·H_kv, D, S] and values [B·H_kv, S, D] of what has been read, for each layer; filled up to `length`."""

    def __init__(self, model: Any, longest: int) -> None:
        self.ready = prepare(model, longest)
        self.room = max(longest, _SHORTEST)
        cos, sin = (wave[: self.ready.dim // 2].T.contiguous() for wave in self.ready.waves)
        self.angles = torch.complex(cos, -sin)  # [S, D/2]; `waves` has −sin in its first half
        self.pairs = torch.arange(self.ready.dim).view(2, -1).T.flatten()  # 0, D/2, 1, D/2 + 1, …
        self.steps = [_Step(block, self) for block in self.ready.blocks]
        self.length = 0

    def read(self, prompts: Tensor, times: int) -> Tensor:
        """Logits after each prompt, which from here on stands `times` times, side by side. [U, P] -> [U·times, V]"""
        batch, self.length = prompts.shape
        read: list[tuple[Tensor, Tensor]] = []
        logits = through(self.ready, prompts.flatten(), (Part(batch, self.length, 1),), read)[0]
        heads, dim = batch * times * self.ready.keys, self.ready.dim
        self.layers = []
        for keys, values in read:  # [H_kv, U, D, P]
            keys, values = (each.transpose(0, 1).repeat_interleave(times, 0).flatten(0, 1) for each in (keys, values))
            room = torch.zeros(heads, dim, self.room), torch.zeros(heads, self.room, dim)
            room[0][:, :, : self.length] = keys[:, self.pairs]
            room[1][:, : self.length] = values.transpose(1, 2)
            self.layers.append(room)
        return logits.repeat_interleave(times, 0)

    def step(self, tokens: Tensor) -> Tensor:
        """Logits after one more token of each sequence. [B] -> [B, V]"""
        x = torch.nn.functional.embedding(tokens, self.ready.embedding)
        for step, (keys, values) in zip(self.steps, self.layers, strict=True):
            x = step.mlp(step.attention(x, keys, values))
        self.length += 1
        return torch.nn.functional.linear(_norm(x, self.ready.eps), self.ready.head)


class _Step:
    """One layer's weights in the order that a step wants."""

    def __init__(self, block: LeanLayer, cache: LeanCache) -> None:
        ready = cache.ready
        self.block, self.cache = block, cache
        queries_key, values = block.qkv.split([len(block.turn), ready.keys * ready.dim])
        shape = ready.keys, ready.groups + 1, ready.dim, block.qkv.shape[1]
        together = torch.cat([queries_key.view(shape)[:, :, cache.pairs], values.view(ready.keys, 1, *shape[2:])], 1)
        self.qkv = together.flatten(0, 2)  # [H_kv·(G+2)·D, C]
        self.turn = block.turn.view(ready.keys, ready.groups + 1, ready.dim)[0, :, cache.pairs].clone()  # [G+1, D]
        self.turn[:-1] *= ready.scaling  # of the queries

    def attention(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """x + Attention(Norm x), and the token's key and value go into the cache. [B, C] -> [B, C]"""
        ready, at = self.cache.ready, self.cache.length
        heads = product(_norm(x, ready.eps), self.qkv.T).view(len(keys), ready.groups + 2, ready.dim)
        queries_key = heads[:, :-1]
        weighted = queries_key * self.turn
        torch.view_as_complex(weighted.view(*weighted.shape[:-1], -1, 2)).mul_(self.cache.angles[at])
        turned = weighted.mul_(scale_of(queries_key, -1, ready.eps))
        keys[:, :, at], values[:, at] = turned[:, -1], heads[:, -1]
        wide = max(at + 1, _SHORTEST)
        scores = torch.bmm(turned[:, :-1], keys[:, :, :wide])
        if wide > at + 1:
            scores[:, :, at + 1 :] = -torch.inf
        attended = torch.bmm(scores.softmax(-1), values[:, :wide]).view(len(x), -1)
        return product(attended, self.block.out.T).add_(x)

    def mlp(self, x: Tensor) -> Tensor:
        """x + MLP(Norm x). [B, C] -> [B, C]"""
        normed = _norm(x, self.cache.ready.eps)
        if self.block.mlp is None:
            mixed: Tensor = self.block.module.mlp((normed * self.block.module.post_attention_layernorm.weight)[None])
            return x + mixed[0]
        gate_up, down = self.block.mlp
        opened, up = product(normed, gate_up.T).chunk(2, 1)
        return product(torch.nn.functional.silu(opened).mul_(up), down.T).add_(x)


def _norm(x: Tensor, eps: float) -> Tensor:
    """x/√(mean x² + ε) of each row. [B, C] -> [B, C]"""
    return x * scale_of(x, -1, eps)
