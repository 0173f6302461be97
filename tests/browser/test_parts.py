"""One hand: what is chosen, and what can be filled in, looks the same whether Streamlit draws it or the figures' own
code (shared/parts.css)."""

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


FIELD = """element => {
  const style = getComputedStyle(element);
  return [style.backgroundColor, style.borderTopColor, style.borderTopWidth, style.borderRadius, style.color];
}"""


@pytest.mark.parametrize(
    ("path", "chosen", "fields"),
    [
        (
            "/tokens",
            [".st-key-look [aria-checked=true]", ".tok-tab[aria-pressed=true]"],
            [".tok-find input", ".lab-row input[type=number]"],
        ),
        ("/outlier", [".part-choice input:checked + span", ".exh-cases [aria-pressed=true]"], []),
        ("/train", [], [".live-controls select"]),
    ],
)
def test_what_is_chosen_and_fields_have_streamlits_look_by_day_and_by_night(
    visit: Visit, path: str, chosen: list[str], fields: list[str]
) -> None:
    page = visit(path)
    for scheme in SCHEMES:
        turn(page, scheme)
        primary = {"light": [0, 114, 178], "dark": [56, 144, 204]}[scheme]  # .streamlit/config.toml

        def look(selector: str) -> list[object]:
            text, ground, edge, size, weight = page.locator(selector).first.evaluate(LOOK)
            return [channels(text), channels(ground), channels(edge), size, weight]

        wanted = [primary, [*primary, 10], primary, "14px", "400"]
        for selector in chosen:
            eventually(page, lambda s=selector: look(s), wanted)
        theirs = page.get_by_test_id("stNumberInputContainer").first
        for selector in fields:
            alike = lambda s=selector, t=theirs: page.locator(s).first.evaluate(FIELD) == t.evaluate(FIELD)  # noqa: E731
            eventually(page, alike, True)
