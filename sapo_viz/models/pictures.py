"""Pictures in prompts, as Qwen3-VL takes them: places among the tokens, pixels beside them, positions in a plane.

A picture is drawn from the prompt's text (`tasks.PICTURE`), 8 × 8 pixels per cell, and cut into patches as the
library's processor of Qwen-VL does it (a test holds them equal); two patches by two become one place among the prompt's
tokens.
Places carry no loss: they are in the prompt. Rotary positions of a picture run along time, rows and columns at once,
and what follows it goes on behind the largest of them, so that they are no count of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sapo_viz.core.lazy import torch
from sapo_viz.errors import ModelError
from sapo_viz.models.tasks import IMAGE_END, IMAGE_PLACE, IMAGE_START, PICTURE, SIDE

if TYPE_CHECKING:
    from torch import Tensor

CELL, PATCH, MERGE, FRAMES = 8, 8, 2, 2  # pixels of a cell and of a patch; patches of a place, a way; frames of a patch
PAPER, PALE, INK = (250, 250, 248), (222, 224, 226), (37, 82, 148)  # red, green, blue
_PATCHES = SIDE * CELL // PATCH  # a way
_PLACES = (_PATCHES // MERGE) ** 2


@dataclass(frozen=True)
class Pictures:
    """One picture for each of B sequences, all of one size, and where their prompts' tokens stand."""

    patches: Tensor  # [B, N, C·frames·patch·patch], in −1 … 1
    positions: Tensor  # [B, 3, P]: along time, rows and columns

    def rows(self, index: Tensor) -> Pictures:
        return replace(self, patches=self.patches[index], positions=self.positions[index])

    def repeat(self, times: int) -> Pictures:
        """Each of them so many times, side by side."""
        return Pictures(self.patches.repeat_interleave(times, 0), self.positions.repeat_interleave(times, 0))

    def shown(self, more: int = 0) -> dict[str, Tensor]:
        """What the model's forward takes beside prompts and `more` tokens behind each of them."""
        grid = torch.tensor([[1, _PATCHES, _PATCHES]], device=self.patches.device).expand(len(self.patches), 3)
        positions = torch.cat([self.positions, self._behind(0, more)], 2)
        return {
            "pixel_values": self.patches.flatten(0, 1),
            "image_grid_thw": grid,
            "position_ids": positions.transpose(0, 1),
        }

    def behind(self, count: int) -> dict[str, Tensor]:
        """What it takes beside one further token, with `count` behind the prompt already: it keeps the picture."""
        return {"position_ids": self._behind(count, count + 1).transpose(0, 1)}

    def _behind(self, first: int, last: int) -> Tensor:
        """[B, 3, last − first]"""
        steps = torch.arange(first + 1, last + 1, device=self.positions.device)
        return (self.positions.amax((1, 2))[:, None] + steps)[:, None].expand(-1, 3, -1)


def has_pictures(model: Any) -> bool:
    """Whether the model's prompts have pictures: the policy of the task grid, and what runs made of it."""
    return bool(model.config.model_type == "qwen3_vl")


def as_read(model: Any, ids: Tensor) -> Tensor:
    """Sampled tokens as the model may be given them: a place that it has drawn itself, for which there is no picture,
    is read as padding. It stays what was drawn, with its log-prob. Of other models, the tokens themselves."""
    if not has_pictures(model):
        return ids
    return torch.where(ids == model.config.image_token_id, model.config.text_config.pad_token_id, ids)


def with_places(prompt: str) -> str:
    """The prompt as the policy reads it.

    Raises:
        ModelError: it has not one picture.
    """
    text, count = PICTURE.subn(IMAGE_START + IMAGE_PLACE * _PLACES + IMAGE_END, prompt)
    if count != 1:
        raise ModelError(
            f"the prompt {prompt[:60]!r} has {count or 'no'} pictures, and this policy looks at one; write it as "
            "⟨image 0110 1000 0000 0001⟩?, one digit per cell, row by row."
        )
    return text


def pictures_of(model: Any, prompts: Sequence[str], ids: Tensor, mask: Tensor | None) -> Pictures:
    """The pictures of prompts whose tokens are `ids`. [B, P], padded where the mask is 0."""
    patches = torch.from_numpy(np.stack([patches_of(pixels(prompt)) for prompt in prompts])).to(ids.device)
    grid = torch.tensor([[1, _PATCHES, _PATCHES]] * len(prompts), device=ids.device)
    places = (ids == model.config.image_token_id).int()
    positions, _deltas = model.model.get_rope_index(ids, places, image_grid_thw=grid, attention_mask=mask)
    return Pictures(patches, positions.transpose(0, 1))


def pixels(prompt: str) -> np.ndarray:
    """The picture of a prompt: a cell is a square, pale or of ink, with a pixel of paper around it. [H, W, 3] uint8"""
    found = PICTURE.search(prompt)
    assert found is not None
    cells = np.array([[1 + int(digit) for digit in row] for row in found.groups()])
    square = np.pad(np.ones((CELL - 2, CELL - 2), int), 1)
    colours = np.array((PAPER, PALE, INK), np.uint8)
    return colours[np.kron(cells, square)]


def patches_of(picture: np.ndarray) -> np.ndarray:
    """Pixels as Qwen-VL's processor gives them: scaled to −1 … 1, those of a place together, each patch as if for two
    frames of a film. [H, W, 3] -> [N, 3·frames·patch·patch] float32"""
    scaled = (picture.astype(np.float32) / 255 - 0.5) / 0.5
    height, width, _ = picture.shape
    parts = scaled.reshape(height // (MERGE * PATCH), MERGE, PATCH, width // (MERGE * PATCH), MERGE, PATCH, 3)
    parts = parts.transpose(0, 3, 1, 4, 6, 2, 5)  # place, patch in it, colour, row, column
    frames = np.repeat(parts[:, :, :, :, :, None], FRAMES, 5)
    return frames.reshape(-1, 3 * FRAMES * PATCH * PATCH)
