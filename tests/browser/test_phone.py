"""On a phone the hand sees what it does: sliders stay at the foot of the window, and a finger scrolls over a figure."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import eventually


@pytest.mark.parametrize(
    ("path", "knob"),
    [("/", "knob-sapo-tau_pos"), ("/curves", "knob-sapo-tau_neg"), ("/coherence", "knob-numbers-tau")],
)
def test_a_slider_is_in_sight_together_with_the_figure_it_moves(visit: Any, path: str, knob: str) -> None:
    page = visit(path, width=390)
    figure = page.locator(".lab-figure, .exh-figure").first
    figure.evaluate("figure => figure.scrollIntoView({ block: 'start' })")
    expect(page.get_by_test_id(knob)).to_be_in_viewport(ratio=1)

    def seen() -> float:
        """Pixels of the figure above the slider."""
        return float(page.get_by_test_id(knob).bounding_box()["y"] - figure.bounding_box()["y"])

    eventually(page, seen, lambda pixels: pixels > 150)  # most of the panel above


def test_the_figure_is_in_sight_when_the_page_opens_and_the_row_of_objectives_scrolls(visit: Any) -> None:
    page = visit("/curves", width=390)
    figure, slider = page.locator(".lab-figure"), page.locator(".lab-panel")
    eventually(page, lambda: slider.bounding_box()["y"] - figure.bounding_box()["y"], lambda pixels: pixels > 150)
    page.get_by_role("button", name="All ").click()
    page.get_by_role("button", name="Softsign gate").click()  # in its family; from now on it stands in the row
    page.keyboard.press("Escape")
    eventually(page, lambda: "softsign" in page.url, True)
    expect(page.get_by_test_id("knob-softsign-tau")).to_be_attached()
    first = page.get_by_role("radiogroup", name="Ratio axis").bounding_box()["y"]
    assert figure.bounding_box()["y"] < first  # how it is drawn comes after it


def test_the_legend_of_many_objectives_lies_on_no_title(visit: Any) -> None:
    page = visit("/curves?objectives=sapo,grpo,gspo,dapo,cispo,dual_clip,vespo,topr", width=390)
    page.locator(".lab[data-ready=true]").wait_for()
    legend, title = page.get_by_test_id("legend"), page.locator(".lab-figure .annotation-text").first
    foot = lambda: (box := legend.bounding_box()) and box["y"] + box["height"]  # noqa: E731
    eventually(page, lambda: title.bounding_box()["y"] - foot(), lambda room: room >= 0)


def test_the_settings_of_training_are_one_row_above_the_figure(visit: Any) -> None:
    page = visit("/train", width=390)
    row, figure = page.locator(".st-key-train-settings"), page.locator(".live-panels")
    boxes = lambda: (row.bounding_box(), figure.bounding_box())  # noqa: E731
    eventually(page, boxes, lambda both: both[0]["height"] < 120 and both[0]["y"] + 60 < both[1]["y"] < 0.8 * 844)
    page.get_by_label("Steps", exact=True).first.fill("12")  # scrolled into sight, as by a finger
    page.keyboard.press("Enter")
    eventually(page, lambda: "steps=12" in page.url, True)


def test_a_finger_on_the_curves_scrolls_the_page(browser: Any, server: Any) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{server.url}/curves")
    page.locator(".lab[data-ready=true]").wait_for()
    page.wait_for_function("() => document.querySelector('.lab-figure')._fullLayout.xaxis.fixedrange === true")
    expect(page.locator(".lab .modebar-btn")).to_have_count(0)  # it would lie on the legend
    context.close()
