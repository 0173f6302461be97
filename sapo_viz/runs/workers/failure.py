"""Why a run could not continue, in one sentence that says what to change."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from sapo_viz.core.lazy import torch
from sapo_viz.errors import SapoVizError, reason_of
from sapo_viz.models.memory import free_bytes
from sapo_viz.models.shape import shape_of
from sapo_viz.models.source import local_folder, visitors_root
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import Failure
from sapo_viz.runs.need import changed, lengths_of, need_of, smallest_change

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
# safetensors and torch write files in Rust and C++, and say so in words alone.
_FULL_WORDS = re.compile(
    r"No space left|[Qq]uota exceeded|File too large|os error (28|122|27)\b|PytorchStreamWriter failed|inline_container"
)
_LONGEST = 300  # characters of a question, to reckon with
_MEMORY_WORDS = re.compile(r"out of memory|allocate memory|alloc_cpu", re.IGNORECASE)


def explain(error: Exception, folder: Path, config: RunConfig | None = None) -> Failure:
    """Kind and sentence for whatever stopped a worker; for what nobody foresaw, its class and where to read on.

    Args:
        folder: the run's folder.
        config: its settings, as far as they could be read.
    """
    if isinstance(error, SapoVizError):
        return Failure("refused", str(error))
    if is_out_of_memory(error):
        return Failure("memory", _out_of_memory(error, config))
    if is_disk_full(error):
        return Failure(
            "disk",
            f"The disk of {folder.parent} is full, or the limit on a file's size is reached: delete runs or other "
            "files, or keep tokens and checkpoints less often, then resume; nothing that was logged is lost.",
        )
    if isinstance(error, OSError) and error.errno in _FORBIDDEN:
        return Failure(
            "rights",
            f"{error.filename or folder} cannot be written ({error.strerror}): give the server's user the right to "
            "write there, or name another folder with SAPO_VIZ_RUNS_DIR, then resume.",
        )
    sentence = f"The worker failed with {type(error).__name__}: {reason_of(error)}; worker.log has the details."
    return Failure("unforeseen", sentence)


def over_time(seconds: float) -> Failure:
    """Of a run that has had the time that the server's owner gives to one."""
    return Failure(
        "limit",
        f"It has trained for {seconds / 60:g} min, which is what a run has on this server (SAPO_VIZ_RUN_MINUTES): take "
        "fewer steps, prompts or completions, or train on the command line.",
    )


def is_disk_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return bool(_FULL_WORDS.search(str(error)))


def is_out_of_memory(error: Exception) -> bool:
    """CUDA has a kind of its own; torch on a processor raises a RuntimeError whose text tells."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and bool(_MEMORY_WORDS.search(str(error)))
    )


def _would_have_fitted(config: RunConfig) -> str:
    """The smallest change of settings that would have; empty if none is known: the run's own memory is free by now, so
    what is free is what it had."""
    folder = local_folder(config.policy, None) or local_folder(config.policy, visitors_root())
    room = free_bytes("cpu")
    if folder is None or room is None:
        return ""
    try:
        shape = shape_of(folder)
    except SapoVizError:
        return ""
    # It has just shown that this much is too much, whatever the estimate says.
    now = need_of(shape, config, *lengths_of(config, _LONGEST))
    fitting = smallest_change(shape, config, *lengths_of(config, _LONGEST), min(float(room), 0.9 * now.total))
    return changed(config, fitting) if fitting else ""


def _out_of_memory(error: Exception, config: RunConfig | None) -> str:
    gpu = isinstance(error, torch.OutOfMemoryError) or "CUDA" in str(error)
    where = "The GPU's memory" if gpu else "The machine's memory"
    other = ", or device cpu" if gpu else ""
    if config is None:
        return f"{where} is not enough: end other work on it, then resume."
    fitting = None if gpu else _would_have_fitted(config)
    if fitting:
        return (
            f"{where} is not enough for {config.prompts} × {config.completions} completions of policy {config.policy}: "
            f"duplicate the run with {fitting}, which would have fitted; or end other work there and resume."
        )
    return (
        f"{where} is not enough for {config.prompts} × {config.completions} completions in {config.minibatches} "
        f"mini-batches: duplicate the run with fewer prompts or completions, more mini-batches, a smaller "
        f"policy{other}; or end other work there and resume."
    )
