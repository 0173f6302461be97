"""checkpoint.pt: what a run needs to go on exactly. Randomness follows from (seed, step), so it is not in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sapo_viz.core.lazy import torch
from sapo_viz.errors import RunError, reason_of
from sapo_viz.runs.folder.files import part_of, put_in_place
from sapo_viz.runs.folder.reading import open_regular

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
    try:
        with open_regular(path) as file:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception as error:  # junk raises whatever the unpickler stumbles over
        raise RunError(f"{path.name} cannot be read ({reason_of(error)}); delete it to start over.") from None
    if not isinstance(state, dict) or not isinstance(state.get("step"), int):
        raise RunError(f"{path.name} is no checkpoint of a run, which has a step; delete it to start over.")
    return state
