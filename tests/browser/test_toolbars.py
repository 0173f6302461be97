"""Plotly's toolbars hold our buttons and no others: none uploads a figure or leads to Plotly, none covers anything.

Those of the pages: test_pages.py.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from sapo_viz import CATALOG
from sapo_viz.figures.report.document import report_html, write_report
from sapo_viz.paths import ASSETS
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.readers.read import read_rollouts

OURS = {"Zoom", "Reset axes", "Download plot as a PNG", "Download plot", "Fullscreen"}


def assert_toolbars_are_ours(page: Page, *, bars: bool = True) -> None:
    figures = page.locator(".js-plotly-plot:visible")
    if bars:
        expect(page.locator(".js-plotly-plot .modebar-btn").first).to_be_attached()
    for place in range(figures.count()):
        figure = figures.nth(place)
        buttons = figure.locator(".modebar-btn")
        assert {button.get_attribute("aria-label") for button in buttons.all()} <= OURS
        expect(figure.locator(".modebar-btn--logo")).to_have_count(0)
        if not buttons.count():
            continue
        bar, shown = figure.locator(".modebar"), figure.locator(".modebar-group:has(button)").first
        figure.locator(".main-svg").first.scroll_into_view_if_needed()
        page.mouse.move(0, 0)
        expect(shown).to_have_css("opacity", "0")
        figure.hover()
        expect(shown).to_have_css("opacity", "1")
        page.mouse.move(0, 0)
        expect(shown).to_have_css("opacity", "0")
        buttons.first.focus()
        expect(shown).to_have_css("opacity", "1")
        box, drawn = bar.bounding_box(), figure.locator(".main-svg").first.bounding_box()
        assert box
        assert drawn
        assert box["y"] >= drawn["y"] + drawn["height"] - 1, "the toolbar covers the figure"
        assert box["height"] <= 26


def test_the_report_offers_to_send_its_figures_nowhere(browser: Browser, tmp_path: Path) -> None:
    sample = analyse(
        read_rollouts(ASSETS / "samples" / "outlier.jsonl"), {name: CATALOG[name]() for name in ("sapo", "grpo")}
    )
    write_report(tmp_path / "report.html", report_html(sample))
    context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True)
    page = context.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_function("() => document.documentElement.dataset.ready === 'true'")
    assert_toolbars_are_ours(page)
    context.close()
