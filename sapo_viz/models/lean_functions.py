"""The functions of a lean pass, their derivatives written out: a third of the kernels that autograd would call.

Activations stand as [C, N], a row for each feature and a column for each token. Without gradients the formulas are
called as they are, without autograd's book-keeping: a sampled token takes some hundred of them, each a few
microseconds long.

Matrix products go to the library that is faster on the processor. torch hands float32 products to MKL, which takes
its AVX-512 kernels on Intel's processors only; on others oneDNN, which torch brings as well, is twice as fast
(docs/benchmarks-trl.md). The choice follows from the processor: on one machine a seed gives the same run again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


@cache
def onednn() -> Any:
    """oneDNN's y = a·bᵀ as a function of [M, K] and [N, K], of any strides; None where torch's own product is as fast.

    It is the operator that torch's compiler calls; there is no public name for it.
    """
    product = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
    if product is None or torch.backends.cpu.get_cpu_capability() != "AVX512" or "GenuineIntel" in _processor():
        return None
    return lambda a, b: product(a, b, None, "none", [], "")


def _processor() -> str:
    """What Linux says of it; other systems say nothing, and keep torch's own product."""
    about = Path("/proc/cpuinfo")
    return about.read_text() if about.exists() else "GenuineIntel"


def spare_columns(columns: int) -> int:
    """How many more to compute, so that passes have few different widths: oneDNN makes a kernel for each, in 0.3 ms."""
    return -columns % 128 if onednn() is not None else 0


def product(weight: Tensor, x: Tensor) -> Tensor:
    """W·x. [O, C], [C, N] -> [O, N]"""
    if onednn() is None or x.dtype != torch.float32:
        return weight @ x
    multiplied: Tensor = _functions()[3].apply(weight, x) if torch.is_grad_enabled() else onednn()(weight, x.T)
    return multiplied


def plus_product(base: Tensor, weight: Tensor, x: Tensor) -> Tensor:
    """base + W·x. [O, N], [O, C], [C, N] -> [O, N]"""
    if onednn() is None or x.dtype != torch.float32:
        return torch.addmm(base, weight, x)
    return product(weight, x).add_(base)


def rows_product(x: Tensor, weight: Tensor) -> Tensor:
    """x·Wᵀ, without a gradient. [N, C], [O, C] -> [N, O]"""
    multiplied: Tensor = x @ weight.T if onednn() is None else onednn()(x, weight)
    return multiplied


def norm(x: Tensor, eps: float) -> Tensor:
    """n = x·ρ with ρ = 1/√(mean x² + ε), over the features. [C, N] -> [C, N]"""
    normed: Tensor = _functions()[0].apply(x, eps) if torch.is_grad_enabled() else x * scale_of(x, 0, eps)
    return normed


def turn(x: Tensor, weight: Tensor, cos: Tensor, sin: Tensor, eps: float) -> Tensor:
    """Norm of each head, then the rotary embedding of each column. [R·D, N], [R·D], 2 × [D, N] -> [R·D, N]"""
    turned: Tensor = _functions()[1].apply(x, weight, cos, sin, eps)
    return turned


def gate(x: Tensor) -> Tensor:
    """silu(g)·u of g over u. [2·M, N] -> [M, N]"""
    if torch.is_grad_enabled():
        gated: Tensor = _functions()[2].apply(x)
        return gated
    opened, up = x.chunk(2)
    return torch.nn.functional.silu(opened).mul_(up)


def scale_of(x: Tensor, dim: int, eps: float) -> Tensor:
    """ρ = 1/√(mean x² + ε) along a dimension, which stays with length 1."""
    return (x * x).mean(dim, keepdim=True).add_(eps).rsqrt_()  # vector_norm is 30 times slower across rows


@cache
def _functions() -> tuple[Any, Any, Any, Any]:
    """Norm, turn, gate and product; made on first use, because torch is imported late."""

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
        feature."""

        @staticmethod
        def forward(ctx: Any, x: Tensor, weight: Tensor, cos: Tensor, sin: Tensor, eps: float) -> Tensor:
            heads = x.view(-1, *cos.shape)
            scale = scale_of(heads, 1, eps)
            normed = heads * scale
            ctx.save_for_backward(normed, scale, weight, cos, sin)
            return _exchanged(normed * weight.view(-1, len(cos), 1), cos, sin).view_as(x)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
            normed, scale, weight, cos, sin = ctx.saved_tensors
            dim = len(cos)
            inner = _exchanged(gradients[0].reshape(normed.shape), cos, sin.roll(dim // 2, 0))  # ∂m
            product = inner * normed
            along = torch.bmm(weight.view(-1, 1, dim) / dim, product)
            for_x = inner.mul_(weight.view(-1, dim, 1)).addcmul_(normed, along, value=-1).mul_(scale)
            return for_x.flatten(0, 1), product.sum(-1).flatten(), None, None, None

    class Gate(torch.autograd.Function):
        """∂u = g·silu(gate), ∂gate = g·u·silu′(gate) with silu′ = silu + σ·(1 − silu)"""

        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            gate, up = x.chunk(2)
            share = gate.sigmoid()
            opened = gate * share
            ctx.save_for_backward(up, share, opened)
            return opened * up

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            up, share, opened = ctx.saved_tensors
            for_x = up.new_empty(2 * len(up), up.shape[1])
            for_gate, for_up = for_x.chunk(2)
            torch.mul(gradients[0], opened, out=for_up)
            slope = torch.lerp(opened, torch.ones((), dtype=up.dtype), share)
            torch.mul(gradients[0], up, out=for_gate).mul_(slope)
            return for_x

    class Product(torch.autograd.Function):
        """∂W = g·xᵀ, ∂x = Wᵀ·g"""

        @staticmethod
        def forward(ctx: Any, weight: Tensor, x: Tensor) -> Tensor:
            ctx.save_for_backward(weight, x)
            multiplied: Tensor = onednn()(weight, x.T)
            return multiplied

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
            weight, x = ctx.saved_tensors
            g = gradients[0]
            return onednn()(g, x), onednn()(weight.T, g.T)

    return Norm, Turn, Gate, Product


def _exchanged(x: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """x·own + x′·other, x′ being x with the halves of its features exchanged. [R, D, N], 2 × [D, N] -> [R, D, N]"""
    half = x.shape[1] // 2
    out = x * own
    out[:, :half].addcmul_(x[:, half:], other[:half])
    out[:, half:].addcmul_(x[:, :half], other[half:])
    return out
