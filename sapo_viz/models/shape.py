"""A model's size from its files alone: config.json and the headers of its safetensors. Nothing is loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sapo_viz.errors import ModelError
from sapo_viz.models.source import small_json

_LONGEST = 16 * 1024**2  # bytes of all headers: 90,000 tensors, as in the largest mixtures, take 10 MB


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
        heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
        matrices = tuple(
            (name.split(".")[-2], shape[0], shape[1])
            for name, shape in shapes.items()
            if len(shape) == 2 and name.endswith("_proj.weight")
        )
        return ModelShape(
            parameters=sum(_product(shape) for name, shape in shapes.items()),
            layers=int(config["num_hidden_layers"]),
            hidden=hidden,
            intermediate=int(config.get("intermediate_size") or 4 * hidden),
            vocabulary=int(config["vocab_size"]),
            heads=heads,
            key_heads=int(config.get("num_key_value_heads") or heads),
            head_dim=int(config.get("head_dim") or hidden // heads),
            matrices=matrices,
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ModelError(f"the size of the model in {folder.name!r} cannot be told ({type(error).__name__}).") from None


def _shapes(files: Sequence[Path]) -> dict[str, list[int]]:
    """Name -> shape. Each file begins with eight bytes of length, then so many of JSON."""
    shapes: dict[str, list[int]] = {}
    left = _LONGEST
    for path in files:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            left -= length
            if left < 0:
                raise ValueError("its headers are too long")
            header = json.loads(file.read(length))
        shapes |= {name: list(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    if not all(isinstance(size, int) and 0 <= size < 2**40 for shape in shapes.values() for size in shape):
        raise ValueError("a size in its header is none")
    return shapes


def _product(shape: list[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
