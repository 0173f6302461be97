"""Running out of memory: reported beforehand if the numbers are known, otherwise in one sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sapo_viz.core.lazy import torch
from sapo_viz.errors import ModelError
from sapo_viz.models.source import ModelSource, small_json

REMEDY = "take a smaller model, shorter texts, or a machine with more memory"


def check_memory(source: ModelSource, device: str, dtype: str) -> None:
    """A ModelError when the weights alone are larger than the memory that is free now.

    Without it Linux would end some process of the machine, which need not be this one.
    """
    free = free_bytes(device)
    # Files hold bfloat16 as a rule; float32 takes twice as much. Files in float32 that are read as bfloat16 take less.
    factor = {"float32": 2, "float64": 4}.get(dtype, 1) if _half_precision(source) else 1
    need = source.base.bytes * factor
    if free is not None and need > free:
        narrower = " in bfloat16" if factor > 1 else ""
        raise ModelError(
            f"model {source.name!r} needs {need / 1e9:,.1f} GB for its weights in {dtype}, and {free / 1e9:,.1f} GB of "
            f"memory are free on {device}; {f'score{narrower} (--dtype bfloat16), ' if narrower else ''}{REMEDY}."
        )


def free_bytes(device: str) -> int | None:
    """Memory available now on the device; None where the system does not tell."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    return None


@contextlib.contextmanager
def out_of_memory(name: str, device: str) -> Iterator[None]:
    """What allocators raise, as a ModelError that says what to change."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise ModelError(f"the memory of {device} is not enough for {name!r}; {REMEDY}.") from None


def is_out_of_memory(error: Exception) -> bool:
    """CUDA has a kind of its own; torch on a processor raises a RuntimeError whose text tells."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )


def _half_precision(source: ModelSource) -> bool:
    """Whether the configuration says that the files hold 16-bit numbers."""
    with contextlib.suppress(ModelError):
        config = small_json(Path(source.base.folder) / "config.json")
        return str(config.get("dtype") or config.get("torch_dtype")) in ("bfloat16", "float16")
    return True
