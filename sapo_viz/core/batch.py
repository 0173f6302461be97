"""A batch of sequences, checked once on entry: [B, T] log-probs, [B] or [B, T] advantages, [B, T] mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapo_viz.core.lazy import torch
from sapo_viz.errors import TensorError

if TYPE_CHECKING:
    from torch import Tensor


def working_dtype(logprobs: Tensor) -> torch.dtype:
    """float64 stays; everything else is worked in float32, because bf16 loses log-probs at exp."""
    return torch.float64 if logprobs.dtype == torch.float64 else torch.float32


def check_batch(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four tensors, all [B, T] and the mask bool, or a TensorError that names what does not fit."""
    for name, value in (("logprobs", logprobs), ("old_logprobs", old_logprobs), ("advantages", advantages)):
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            kind = str(value.dtype) if isinstance(value, torch.Tensor) else type(value).__name__
            raise TensorError(f"{name} is {kind}; it takes a floating-point tensor.")
    if logprobs.dim() != 2:
        raise TensorError(f"logprobs has shape {list(logprobs.shape)}; it takes [B, T].")
    if old_logprobs.shape != logprobs.shape:
        raise TensorError(
            f"old_logprobs has shape {list(old_logprobs.shape)}; it takes that of logprobs, {list(logprobs.shape)}."
        )
    batch, _ = logprobs.shape
    if advantages.shape == (batch,):
        advantages = advantages[:, None].expand_as(logprobs)
    if advantages.shape != logprobs.shape:
        raise TensorError(
            f"advantages has shape {list(advantages.shape)}; it takes [{batch}] or {list(logprobs.shape)}."
        )
    if mask is None:
        mask = torch.ones_like(logprobs, dtype=torch.bool)
    if not isinstance(mask, torch.Tensor) or mask.shape != logprobs.shape:
        shape = list(mask.shape) if isinstance(mask, torch.Tensor) else type(mask).__name__
        raise TensorError(f"mask has shape {shape}; it takes that of logprobs, {list(logprobs.shape)}.")
    if mask.dtype != torch.bool:
        if not bool(((mask == 0) | (mask == 1)).all()):
            worst = mask[(mask != 0) & (mask != 1)].flatten()[0].item()
            raise TensorError(f"mask holds {worst}; it takes 0 and 1 only.")
        mask = mask.bool()
    for name, value in (("logprobs", logprobs), ("old_logprobs", old_logprobs), ("advantages", advantages)):
        bad = mask & ~torch.isfinite(value)
        if bool(bad.any()):
            row, column = bad.nonzero()[0].tolist()
            raise TensorError(
                f"{name}[{row}, {column}] is {value[row, column].item()}; it takes finite numbers where the mask is 1."
            )
    return logprobs, old_logprobs, advantages, mask
