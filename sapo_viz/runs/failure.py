"""Why a run could not go on, in one sentence that says what to change."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from sapo_viz.core.lazy import torch
from sapo_viz.errors import SapoVizError
from sapo_viz.runs.config import RunConfig

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
# safetensors and torch write files in Rust and C++, and say so in words alone.
_FULL_WORDS = re.compile(
    r"No space left|[Qq]uota exceeded|File too large|os error (28|122|27)\b|PytorchStreamWriter failed|inline_container"
)
_MEMORY_WORDS = re.compile(r"out of memory|allocate memory|alloc_cpu", re.IGNORECASE)


def explain(error: Exception, folder: Path, config: RunConfig | None = None) -> str:
    """The sentence for whatever stopped a worker; for what nobody foresaw, its kind and where to read on.

    Args:
        folder: the run's folder.
        config: its settings, as far as they could be read.
    """
    if isinstance(error, SapoVizError):
        return str(error)
    if is_out_of_memory(error):
        return _out_of_memory(error, config)
    if is_disk_full(error):
        return (
            f"The disk of {folder.parent} is full, or the limit on a file's size is reached: delete runs or other "
            "files, or keep tokens and checkpoints less often, then resume; nothing that was logged is lost."
        )
    if isinstance(error, OSError) and error.errno in _FORBIDDEN:
        return (
            f"{error.filename or folder} cannot be written ({error.strerror}): give the server's user the right to "
            "write there, or name another folder with SAPO_VIZ_RUNS_DIR, then resume."
        )
    text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return f"The worker failed with {type(error).__name__}: {text[:300]}; worker.log has the details."


def is_disk_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return bool(_FULL_WORDS.search(str(error)))


def is_out_of_memory(error: Exception) -> bool:
    """CUDA has a kind of its own; torch on a processor raises a RuntimeError whose text tells."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and bool(_MEMORY_WORDS.search(str(error)))
    )


def _out_of_memory(error: Exception, config: RunConfig | None) -> str:
    gpu = isinstance(error, torch.OutOfMemoryError) or "CUDA" in str(error)
    where = "The GPU's memory" if gpu else "The machine's memory"
    other = ", or device cpu" if gpu else ""
    if config is None:
        return f"{where} is not enough: end other work on it, then resume."
    return (
        f"{where} is not enough for {config.prompts} × {config.completions} completions in {config.minibatches} "
        f"mini-batches: duplicate the run with fewer prompts or completions, more mini-batches, a smaller "
        f"policy{other}; or end other work there and resume."
    )
