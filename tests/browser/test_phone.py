"""On a phone the hand sees what it does: sliders stay at the foot of the window, and a finger scrolls over a figure."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect


@pytest.mark.parametrize(
    ("path", "knob"),
    [("/", "knob-sapo-tau_pos"), ("/curves", "knob-sapo-tau_neg"), ("/coherence", "knob-numbers-tau")],
)
def test_a_slider_is_in_sight_together_with_the_figure_it_moves(visit: Any, path: str, knob: str) -> None:
    page = visit(path, width=390)
    figure = page.locator(".lab-figure, .exh-figure").first
    figure.evaluate("figure => figure.scrollIntoView({ block: 'start' })")
    expect(page.get_by_test_id(knob)).to_be_in_viewport(ratio=1)
    slider, drawn = page.get_by_test_id(knob).bounding_box(), figure.bounding_box()
    assert slider is not None and drawn is not None
    assert slider["y"] - drawn["y"] > 150, "most of the panel above is seen"


def test_a_finger_on_the_curves_scrolls_the_page(browser: Any, server: Any) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{server.url}/curves")
    page.locator(".lab[data-ready=true]").wait_for()
    fixed = page.evaluate("document.querySelector('.lab-figure')._fullLayout.xaxis.fixedrange")
    assert fixed is True
    expect(page.locator(".lab .modebar-btn")).to_have_count(0)  # it would lie on the legend
    context.close()
