"""A real run in a real browser: start, watch it stream, stop, reload, resume, delete, and on to its tokens."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

Visit = Callable[..., Page]
FIRST_POINT = 90_000  # ms: a busy machine needs long to import PyTorch
READY = 30_000  # ms: and to read plotly.js


@pytest.fixture
def training(visit: Visit) -> Page:
    """The page with one objective and more steps than any of these tests waits for."""
    page = visit("/train?objectives=sapo&steps=400&runs=&prompts=4&completions=8")
    expect(page.locator(".live[data-ready]")).to_be_visible(timeout=READY)
    return page


def start(page: Page) -> Locator:
    """Press the button; the row of the new run, once it has a first point."""
    before = page.locator("tr[data-run]").count()
    page.get_by_role("button", name="Start training").click()
    expect(page.locator("tr[data-run]")).to_have_count(before + 1, timeout=15_000)
    run_id = page.locator("tr[data-run]").first.get_attribute("data-run")
    row = page.locator(f'tr[data-run="{run_id}"]')
    expect(row).to_have_attribute("data-status", "running", timeout=FIRST_POINT)
    page.wait_for_function(
        "() => document.querySelector('.live-plot')?.data?.some((t) => t.x.length > 2)", timeout=30_000
    )
    return row


def points(page: Page) -> int:
    return int(page.evaluate("Math.max(0, ...document.querySelector('.live-plot').data.map((t) => t.x.length))"))


def stop(row: Locator) -> float:
    """Seconds from the click until the page shows that the run has stopped."""
    began = time.monotonic()
    row.get_by_test_id("stop").click()
    expect(row).to_have_attribute("data-status", "stopped", timeout=10_000)
    return time.monotonic() - began


def test_a_run_streams_stops_within_a_second_or_so_and_survives_a_reload(training: Page) -> None:
    page = training
    row = start(page)
    seen = points(page)
    page.wait_for_function("n => document.querySelector('.live-plot').data[0].x.length > n + 3", arg=seen)
    expect(page.get_by_test_id("live-note")).to_contain_text("1 running")
    expect(row).to_contain_text("left")
    assert stop(row) < 3, "effective within a second; this machine may be busy and the page asks twice a second"
    last = points(page)
    address = page.url
    assert f"runs={row.get_attribute('data-run')}" in address

    page.reload()
    expect(page.locator(".live[data-ready]")).to_be_visible(timeout=READY)
    page.wait_for_function("n => document.querySelector('.live-plot').data[0]?.x.length === n", arg=last)
    expect(row).to_have_attribute("data-status", "stopped")


def test_the_zoom_survives_new_points_and_reaches_every_panel(training: Page) -> None:
    page = training
    row = start(page)
    box = page.locator(".live-plot").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=5)
    page.mouse.up()
    range_of = "(p) => p._fullLayout.xaxis.range.map((v) => v.toFixed(3)).join()"
    ranges = f"[...document.querySelectorAll('.live-panel:not([hidden]) .live-plot')].map({range_of})"
    zoomed = page.evaluate(ranges)
    assert len(set(zoomed)) == 1 and not zoomed[0].startswith("0.000"), zoomed
    page.wait_for_function("n => document.querySelector('.live-plot').data[0].x.length > n + 2", arg=points(page))
    assert page.evaluate(ranges) == zoomed
    stop(row)


def test_a_stopped_run_goes_on_where_it_was_and_no_step_comes_twice(training: Page) -> None:
    page = training
    row = start(page)
    page.wait_for_function("() => document.querySelector('.live-plot').data[0].x.length > 12", timeout=60_000)
    stop(row)
    last = points(page)
    row.get_by_test_id("resume").click()
    page.wait_for_function(
        "n => document.querySelector('.live-plot').data[0].x.length > n", arg=last, timeout=FIRST_POINT
    )
    steps = page.evaluate("document.querySelector('.live-plot').data[0].x")
    assert steps == list(range(1, len(steps) + 1))
    stop(row)


def test_delete_asks_first(training: Page) -> None:
    page = training
    row = start(page)
    stop(row)
    row.get_by_test_id("delete").click()
    expect(row).to_contain_text("Delete for good?")
    row.get_by_test_id("keep").click()
    expect(row.get_by_test_id("delete")).to_be_visible()
    row.get_by_test_id("delete").click()
    row.get_by_test_id("delete-yes").click()
    expect(row).to_have_count(0)
    assert "runs=2" not in page.url


def test_two_runs_overlay_and_a_tick_and_the_legend_take_one_away(training: Page) -> None:
    page = training
    stop(start(page))
    page.get_by_label(re.compile(r"^τ₋")).fill("2")
    page.get_by_label(re.compile(r"^τ₋")).press("Enter")
    stop(start(page))
    lines = "document.querySelector('.live-plot').data.filter((t) => t.mode === 'lines').length"
    assert page.evaluate(lines) == 2
    chips = page.get_by_test_id("legend").get_by_role("button")
    expect(chips).to_have_count(2)
    chips.first.click()
    assert page.evaluate(lines) == 1
    chips.first.click()
    assert page.evaluate(lines) == 2
    page.locator("tr[data-run] input").first.uncheck()
    expect(chips).to_have_count(1)
    expect(page).not_to_have_url(re.compile(r"%2C|,"))


def test_a_steps_rollout_opens_in_the_tokens_page(training: Page) -> None:
    page = training
    row = start(page)
    stop(row)
    row.get_by_test_id("snapshot").select_option("1")
    run_id = row.get_attribute("data-run")
    expect(row.get_by_test_id("open-tokens")).to_have_attribute("href", f"tokens?run={run_id}&step=1")
    row.get_by_test_id("open-tokens").click()
    expect(page).to_have_url(re.compile(rf"/tokens\?.*run={run_id}"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_what_is_shown_can_be_downloaded(training: Page, tmp_path: Path) -> None:
    page = training
    row = start(page)
    stop(row)
    saved = {}
    for kind in ("csv", "jsonl", "png", "svg"):
        with page.expect_download() as download:
            page.get_by_test_id(f"save-{kind}").click()
        saved[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[kind])
    rows = list(csv.DictReader(saved["csv"].read_text(encoding="utf-8").splitlines()))
    assert len(rows) == points(page) and rows[0]["step"] == "1" and 0 <= float(rows[0]["reward"]) <= 1
    events = [json.loads(line) for line in saved["jsonl"].read_text(encoding="utf-8").splitlines()]
    assert events[0]["type"] == "start" and events[-1]["type"] == "stopped"
    assert saved["png"].read_bytes().startswith(b"\x89PNG") and b"<svg" in saved["svg"].read_bytes()[:500]


def test_nothing_is_asked_of_the_server_when_nothing_runs(training: Page) -> None:
    page = training
    stop(start(page))
    page.wait_for_timeout(1000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert [url for url in asked if "/api/" in url] == []


def test_the_figures_explain_themselves_without_a_mouse(training: Page) -> None:
    page = training
    panel = page.get_by_test_id("panel-kl_old")
    panel.get_by_role("button", name=re.compile("^About")).focus()
    expect(panel.get_by_role("tooltip")).to_be_visible()
    expect(panel.get_by_role("tooltip")).to_contain_text("mean(r − 1 − log r)")
    expect(panel.locator(".live-plot")).to_have_attribute("aria-label", re.compile("^KL to old, by step"))


def test_a_phone_has_one_column_and_nothing_sticks_out(visit: Visit) -> None:
    page = visit("/train", width=390)
    expect(page.locator(".live[data-ready]")).to_be_visible(timeout=READY)
    lefts = page.evaluate(
        "[...document.querySelectorAll('.live-panel:not([hidden])')].map((p) => p.getBoundingClientRect().left)"
    )
    assert len(set(lefts)) == 1
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
