"""Matrix products by the library that is faster on the processor.

torch hands float32 products to MKL, which takes its AVX-512 kernels on Intel's processors only; on others oneDNN,
which torch brings as well, is twice as fast on products of this size (default run, AMD EPYC, one thread, 2026-11-25:
2,595 completions a second in place of 2,191, medians of 3 seeds in turns). The choice follows from the processor: on
one machine a seed gives the same run again. None of these has a gradient.
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
    operator = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
    if operator is None or torch.backends.cpu.get_cpu_capability() != "AVX512" or "GenuineIntel" in _processor():
        return None
    return lambda a, b: operator(a, b, None, "none", [], "")


def _processor() -> str:
    """What Linux says of it; other systems say nothing, and keep torch's own product."""
    about = Path("/proc/cpuinfo")
    return about.read_text() if about.exists() else "GenuineIntel"


def spare_columns(columns: int) -> int:
    """How many more to compute, so that passes have few different widths: oneDNN makes a kernel for each, in 0.3 ms."""
    return -columns % 128 if onednn() is not None else 0


def product(a: Tensor, b: Tensor) -> Tensor:
    """a·b. [M, K], [K, N] -> [M, N]"""
    if onednn() is None or a.dtype != torch.float32:
        return a @ b
    multiplied: Tensor = onednn()(a, b.T)
    return multiplied


def plus_product(base: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """base + a·b. [M, N], [M, K], [K, N] -> [M, N]"""
    if onednn() is None or a.dtype != torch.float32:
        return torch.addmm(base, a, b)
    return product(a, b).add_(base)
