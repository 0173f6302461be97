"""The picture of a prompt as SVG, drawn from the prompt's text as the policy's pixels are."""

from __future__ import annotations

from sapo_viz.models.pictures import CELL, INK, PALE, PAPER
from sapo_viz.models.tasks import PICTURE, SIDE


def picture_svg(prompt: str) -> str | None:
    """The picture, one unit per pixel; None where the prompt has none."""
    found = PICTURE.search(prompt)
    if found is None:
        return None
    size = SIDE * CELL
    squares = "".join(
        _square(column * CELL + 1, row * CELL + 1, CELL - 2, INK if digit == "1" else PALE)
        for row, digits in enumerate(found.groups())
        for column, digit in enumerate(digits)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{2 * size}" height="{2 * size}">'
        f"{_square(0, 0, size, PAPER)}{squares}</svg>"
    )


def _square(x: int, y: int, size: int, colour: tuple[int, int, int]) -> str:
    return f'<rect x="{x}" y="{y}" width="{size}" height="{size}" fill="rgb{colour}"/>'
