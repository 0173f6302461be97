"""A model's size from its files alone: config.json and the headers of its safetensors. Nothing is loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapo_viz.errors import ModelError
from sapo_viz.models.source import small_json

_LONGEST = 16 * 1024**2  # bytes of all headers: 90,000 tensors, as in the largest mixtures, take 10 MB
_LARGEST = 2**32  # of a size: no model has more in one direction
_MOST = 2**50  # parameters
_DIRECTIONS = 8


@dataclass(frozen=True)
class ModelShape:
    """What memory depends on. `matrices` are (out, in) of each layer's linear maps, with their names."""

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    heads: int
    key_heads: int
    head_dim: int
    matrices: tuple[tuple[str, int, int], ...]  # of all layers

    def adapter(self, rank: int, targets: str) -> int:
        """Parameters of low-rank layers beside those of `targets` (models/trained.py)."""
        wanted = ("q_proj", "k_proj", "v_proj", "o_proj") if targets == "attention" else ()
        return sum(rank * (out + into) for name, out, into in self.matrices if not wanted or name in wanted)


def shape_of(folder: Path | str) -> ModelShape:
    """The shape of a model in Hugging Face format.

    Raises:
        ModelError: its files cannot be read.
    """
    folder = Path(folder)
    try:
        config = small_json(folder / "config.json")
        config = config.get("text_config") or config
        shapes = _shapes(sorted(folder.glob("*.safetensors")))
        heads, hidden = _size(config["num_attention_heads"]), _size(config["hidden_size"])
        matrices = tuple(
            (name.split(".")[-2], shape[0], shape[1])
            for name, shape in shapes.items()
            if len(shape) == 2 and name.endswith("_proj.weight")
        )
        return ModelShape(
            parameters=sum(map(math.prod, shapes.values())),
            layers=_size(config["num_hidden_layers"]),
            hidden=hidden,
            intermediate=_size(config.get("intermediate_size") or 4 * hidden),
            vocabulary=_size(config["vocab_size"]),
            heads=heads,
            key_heads=_size(config.get("num_key_value_heads") or heads),
            head_dim=_size(config.get("head_dim") or hidden // heads),
            matrices=matrices,
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ModelError(f"the size of the model in {folder.name!r} cannot be told ({type(error).__name__}).") from None


def _size(value: Any) -> int:
    if type(value) is not int or not 0 < value <= _LARGEST:
        raise ValueError("a size is none")
    return value


def _shapes(files: Sequence[Path]) -> dict[str, list[int]]:
    """Name -> shape. Each file begins with eight bytes of length, then so many of JSON."""
    shapes: dict[str, list[int]] = {}
    left = _LONGEST
    for path in files:
        if not path.is_file():  # a pipe would never answer
            raise ValueError("weights are no regular file")
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            left -= length
            if left < 0:
                raise ValueError("its headers are too long")
            header = json.loads(file.read(length))
        shapes |= {name: list(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    for shape in shapes.values():
        if len(shape) > _DIRECTIONS or not all(size == 0 or _size(size) for size in shape) or math.prod(shape) > _MOST:
            raise ValueError("a size in its header is none")
    return shapes
