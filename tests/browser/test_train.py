"""A real run in a real browser: start, watch it stream, stop, reload, resume.

What needs no training is in test_train_view.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.store import RunStore
from scripts.browser import settle
from tests.browser.conftest import eventually, hold, listen
from tests.browser.test_train_view import store, write  # noqa: F401  # a fixture

Visit = Callable[..., Page]
FIRST_POINT = 120_000  # ms: a busy machine needs long to import PyTorch
STEPS = 400  # more than any of these tests waits for
LONGEST = "Math.max(0, ...document.querySelector('.live-plot').data.map((t) => t.x.length))"


@pytest.fixture
def training(visit: Visit) -> Page:
    """The page with one objective."""
    page = visit(f"/train?objectives=sapo&steps={STEPS}&runs=&prompts=4&completions=8")
    expect(page.locator(".live[data-ready]")).to_be_visible()
    return page


def start(page: Page) -> Locator:
    """Press the button; the row of the new run, once it has a first point."""
    before = page.locator("tr[data-run]").count()
    page.get_by_role("button", name="Start training").click()
    expect(page.locator("tr[data-run]")).to_have_count(before + 1)
    run_id = page.locator("tr[data-run]").first.get_attribute("data-run")
    row = page.locator(f'tr[data-run="{run_id}"]')
    expect(row).to_have_attribute("data-status", "running", timeout=FIRST_POINT)
    page.wait_for_function(
        "() => document.querySelector('.live-plot')?.data?.some((t) => t.x.length > 2)", timeout=FIRST_POINT
    )
    return row


def points(page: Page) -> int:
    return int(page.evaluate(LONGEST))


def stop(row: Locator) -> None:
    """The page shows the last points together with the word that the run has stopped."""
    row.get_by_test_id("stop").click()
    expect(row).to_have_attribute("data-status", "stopped")


def test_a_run_streams_keeps_the_zoom_stops_when_asked_survives_a_reload_and_goes_on_where_it_was(
    training: Page,
) -> None:
    page = training
    row = start(page)
    seen = points(page)
    page.wait_for_function("n => document.querySelector('.live-plot').data[0].x.length > n + 3", arg=seen)
    expect(page.get_by_test_id("live-note")).to_contain_text("1 running")
    expect(row).to_contain_text("left")
    assert_the_zoom_reaches_every_panel_and_survives_new_points(page)
    page.wait_for_function("() => document.querySelector('.live-plot').data[0].x.length > 12", timeout=60_000)
    stop(row)
    asked = listen(page)
    page.wait_for_timeout(2500)  # where something runs it would ask twice a second
    assert [url for url in asked if "/api/" in url] == []
    last = points(page)
    assert last < STEPS
    expect(page).to_have_url(re.compile(f"runs={row.get_attribute('data-run')}"))

    page.reload()
    expect(page.locator(".live[data-ready]")).to_be_visible()
    page.wait_for_function("n => document.querySelector('.live-plot').data[0]?.x.length === n", arg=last)
    expect(row).to_have_attribute("data-status", "stopped")

    row.get_by_test_id("resume").click()
    page.wait_for_function(
        "n => document.querySelector('.live-plot').data[0].x.length > n", arg=last, timeout=FIRST_POINT
    )
    steps = page.evaluate("document.querySelector('.live-plot').data[0].x")
    assert steps == list(range(1, len(steps) + 1)), "no step comes twice"
    stop(row)


def assert_the_zoom_reaches_every_panel_and_survives_new_points(page: Page) -> None:
    x, y, width, height = hold(page, page.locator(".live-plot").first)
    page.mouse.move(x + 0.3 * width, y + 0.3 * height)
    page.mouse.down()
    page.mouse.move(x + 0.6 * width, y + 0.7 * height, steps=5)
    page.mouse.up()
    range_of = "(p) => p._fullLayout.xaxis.range.map((v) => v.toFixed(3)).join()"
    steps = ".live-panel:not([hidden], [data-testid=panel-cost]) .live-plot"  # that one has KL on its x axis
    ranges = f"[...document.querySelectorAll('{steps}')].map({range_of})"

    def one_in_all(shown: list[str]) -> bool:
        return len(set(shown)) == 1 and not shown[0].startswith("0.000")

    zoomed = eventually(page, lambda: page.evaluate(ranges), one_in_all)
    page.wait_for_function("n => document.querySelector('.live-plot').data[0].x.length > n + 2", arg=points(page))
    assert page.evaluate(ranges) == zoomed


def test_two_runs_overlay_and_a_tick_and_the_legend_take_one_away(visit: Visit, store: RunStore) -> None:  # noqa: F811
    other = write(store, "overlay", RunConfig("sapo", steps=10), [0.5] * 10, last="stopped")
    page = visit(f"/train?objectives=sapo&steps={STEPS}&runs={other}&prompts=4&completions=8")
    expect(page.locator(".live[data-ready]")).to_be_visible()
    page.get_by_label(re.compile(r"^τ₋")).fill("2")
    page.get_by_label(re.compile(r"^τ₋")).press("Enter")
    expect(page).to_have_url(re.compile(r"sapo\.tau_neg=2"))
    settle(page)
    stop(start(page))
    lines = "document.querySelector('.live-plot').data.filter((t) => t.mode === 'lines').length"
    eventually(page, lambda: page.evaluate(lines), 2)
    chips = page.get_by_test_id("legend").get_by_role("button")
    expect(chips).to_have_count(2)
    for left in (1, 2):
        chips.first.click()
        eventually(page, lambda left=left: page.evaluate(lines), left)
    page.locator("tr[data-run] input").first.uncheck()
    expect(chips).to_have_count(1)
    expect(page).not_to_have_url(re.compile(r"%2C|,"))
