"""An experiment in a real browser: one press, its runs in the queue, and all of them stopped again."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from sapo_viz.experiments.presets import PRESETS
from scripts.browser import settle
from tests.browser.conftest import eventually

Visit = Callable[..., Page]
MISMATCH = PRESETS["mismatch"]


def test_a_press_queues_every_run_once_and_one_question_stops_them_all(visit: Visit) -> None:
    page = visit("/experiments?preset=mismatch&seeds=3")
    expect(page.get_by_role("heading", name=MISMATCH.question)).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Measured \d{4}-\d\d-\d\d with")).first).to_be_visible()
    page.get_by_role("button", name=re.compile(r"Run it .*9 runs")).click()
    expect(page.get_by_text(re.compile(r"^0 of 9 runs done, about"))).to_be_visible()
    expect(page.locator("tr[data-run]")).to_have_count(9)
    expect(page.get_by_role("button", name="Running …")).to_be_disabled()

    page.reload()
    settle(page)
    expect(page.locator("tr[data-run]")).to_have_count(9)
    page.get_by_test_id("stPopover").get_by_role("button", name="Stop all").click()
    page.get_by_role("button", name=re.compile(r"Stop \d runs")).click()
    expect(page.get_by_role("button", name=re.compile(r"Run it|Run the other 9"))).to_be_enabled()
    expect(page.locator("tr[data-run]")).to_have_count(9)
    expect(page.locator('tr[data-run][data-status="stopped"]')).to_have_count(9)


def test_a_line_has_the_colour_of_the_theme_that_the_page_has_now(visit: Visit) -> None:
    page = visit("/experiments?preset=calm")
    stroke = "line => getComputedStyle(line).stroke"
    line = page.locator(".stPlotlyChart .legendlines path.js-line").first
    eventually(page, lambda: line.evaluate(stroke), "rgb(0, 114, 178)")
    page.emulate_media(color_scheme="dark")
    eventually(page, lambda: line.evaluate(stroke), lambda colour: colour != "rgb(0, 114, 178)")
    page.emulate_media(color_scheme="light")
    eventually(page, lambda: line.evaluate(stroke), "rgb(0, 114, 178)")


def test_the_overview_leads_from_one_experiment_to_the_next_and_each_fits_on_a_phone(visit: Visit) -> None:
    """That its own link opens it: tests/ui/experiments/test_experiments_page.py."""
    page = visit("/experiments?preset=calm&seeds=3", width=390)
    for name, preset in sorted(PRESETS.items(), key=lambda item: item[0] == "calm"):  # that one is there already
        page.get_by_role("button", name=preset.title).last.click()  # the first is the choice above
        expect(page.get_by_role("heading", name=preset.question)).to_be_visible()
        expect(page).to_have_url(re.compile(f"preset={name}"))
        if name == "updates":
            expect(page.get_by_role("button", name=re.compile("Run it .*12 runs"))).to_be_visible()
        settle(page)
        expect(page.locator(".js-plotly-plot").first).to_be_visible()
        page.wait_for_function("() => document.querySelector('[data-testid=stMain]').scrollWidth <= 390")
        page.wait_for_function(
            "() => [...document.querySelectorAll('table')].every(t => t.scrollWidth <= t.clientWidth)"
        )
