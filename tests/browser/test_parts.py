"""One hand: what is chosen looks the same whether Streamlit draws it or the figures' own code (shared/parts.css)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import SCHEMES, eventually, turn

Visit = Callable[..., Page]
LOOK = """element => {
  const style = getComputedStyle(element);
  return [style.color, style.backgroundColor, style.borderTopColor, style.fontSize, style.fontWeight];
}"""


def channels(colour: str) -> list[int]:
    """0 to 255, and the opacity in percent; `color(srgb …)` counts from 0 to 1."""
    numbers = [float(n) for n in re.findall(r"[\d.]+(?:e-\d+)?", colour)]
    whole = [255 * n for n in numbers[:3]] if colour.startswith("color(") else numbers[:3]
    return [round(n) for n in whole] + [round(100 * n) for n in numbers[3:]]


@pytest.mark.parametrize(
    ("path", "theirs", "ours"),
    [
        ("/tokens", ".st-key-look [aria-checked=true]", ".tok-tab[aria-pressed=true]"),
        ("/outlier", None, ".part-choice input:checked + span"),
        ("/outlier", None, ".exh-cases [aria-pressed=true]"),
    ],
)
def test_what_is_chosen_has_streamlits_look_by_day_and_by_night(
    visit: Visit, path: str, theirs: str | None, ours: str
) -> None:
    page = visit(path)
    for scheme in SCHEMES:
        turn(page, scheme)
        primary = {"light": [0, 114, 178], "dark": [56, 144, 204]}[scheme]  # .streamlit/config.toml

        def look(selector: str) -> list[object]:
            text, ground, edge, size, weight = page.locator(selector).first.evaluate(LOOK)
            return [channels(text), channels(ground), channels(edge), size, weight]

        wanted = [primary, [*primary, 10], primary, "14px", "400"]
        for selector in filter(None, (theirs, ours)):
            eventually(page, lambda s=selector: look(s), wanted)


FIELD = """element => {
  const style = getComputedStyle(element);
  return [style.backgroundColor, style.borderTopColor, style.borderTopWidth, style.borderRadius, style.color];
}"""


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/train", ".live-controls select"),
        ("/tokens", ".tok-find input"),
        ("/tokens", ".lab-row input[type=number]"),
    ],
)
def test_fields_have_the_ground_edge_and_corners_of_streamlits(visit: Visit, path: str, ours: str) -> None:
    page = visit(path)
    for scheme in SCHEMES:
        turn(page, scheme)
        theirs = page.get_by_test_id("stNumberInputContainer").first
        eventually(page, lambda o=theirs: page.locator(ours).first.evaluate(FIELD) == o.evaluate(FIELD), True)
