"""checkpoint.pt: what a run needs to go on exactly. Randomness follows from (seed, step), so it is not in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sapo_viz.core.lazy import torch
from sapo_viz.errors import RunError
from sapo_viz.runs.files import part_of, put_in_place

NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, state: Mapping[str, Any]) -> str:
    """Written beside its place and renamed: no half checkpoint is ever taken for a whole one."""
    part = part_of(folder / NAME)
    torch.save(dict(state), part)
    put_in_place(part, folder / NAME)
    return NAME


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint, or None if there is none. Only tensors and numbers are read, never code."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # junk raises whatever the unpickler stumbles over
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise RunError(f"{path.name} cannot be read ({reason}); delete it to start over.") from None
    if not isinstance(state, dict) or not isinstance(state.get("step"), int):
        raise RunError(f"{path.name} is no checkpoint of a run, which has a step; delete it to start over.")
    return state
