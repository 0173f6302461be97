"""The report in a real Chromium, from a file and without a network: live, inert, readable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from sapo_viz import CATALOG
from sapo_viz.figures.report.document import report_html, write_report
from sapo_viz.figures.strip.alone import token_strip
from sapo_viz.paths import ASSETS
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.readers.read import parse_rollouts, read_rollouts
from scripts.browser import WIDTHS
from tests.browser.conftest import PATIENCE, eventually
from tests.figures.report.hostile import EVIL, NAME, hostile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

OBJECTIVES = {name: CATALOG[name]() for name in ("sapo", "grpo", "gspo")}
Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    sample = analyse(read_rollouts(ASSETS / "samples" / "outlier.jsonl"), OBJECTIVES)
    evil = analyse(parse_rollouts(hostile(), NAME), OBJECTIVES)
    made = {"outlier": report_html(sample), "hostile": report_html(evil)}
    cell = token_strip(sample, 3)
    made |= {"cell": f"<!doctype html><title>cell</title><h1>cell</h1>{cell._repr_html_()}"}
    for name, document in made.items():
        write_report(folder / f"{name}.html", document)
    return {name: folder / f"{name}.html" for name in made}


@pytest.fixture
def open_report(browser: Browser, reports: dict[str, Path]) -> Iterator[Open]:
    """open_report(name, width=…, scheme=…) -> the page, drawn.

    What it asks of the network fails the test, and so does an error in its console, unless it has the words `said`.
    """
    contexts: list[BrowserContext] = []
    asked: list[str] = []
    errors: list[str] = []

    def opened(name: str, *, width: int = 1440, scheme: str = "light", said: str = "") -> Page:
        def listen(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not (said and said in message.text):
                errors.append(message.text)

        context = browser.new_context(
            viewport={"width": width, "height": WIDTHS[width]},
            color_scheme=scheme,  # type: ignore[arg-type]
            offline=True,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE * 1000)
        page = context.new_page()
        url = reports[name].as_uri()
        page.on("request", lambda request: request.url != url and asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", listen)
        page.goto(url)
        if name != "cell":
            page.wait_for_function("() => document.documentElement.dataset.ready === 'true'")
        return page

    yield opened
    for context in contexts:
        context.close()
    # A frame's own document is a request of the kind that reaches no network.
    assert [url for url in asked if not url.startswith("about:srcdoc")] == []
    assert errors == []


def test_every_figure_is_drawn_and_its_words_are_its_label(open_report: Open) -> None:
    page = open_report("outlier")
    figures = page.locator("[data-figure]")
    assert figures.count() >= 6
    for place in range(figures.count()):
        figure = figures.nth(place)
        expect(figure.locator("svg.main-svg")).not_to_have_count(0)
        expect(page.locator(f"#{figure.get_attribute('aria-labelledby')}")).not_to_be_empty()
    expect(page.get_by_role("group", name="Bars of the share of gradient kept")).to_have_count(1)


def test_a_slider_recolours_the_strip_and_says_the_new_share(open_report: Open) -> None:
    page = open_report("outlier")
    first = page.locator("[data-strip]").first
    kept = first.locator("[data-kept=sapo]")
    before = kept.inner_text()
    knob = first.get_by_label("SAPO tau_neg", exact=True)
    knob.focus()
    for _ in range(20):
        knob.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.tok').dataset.recolours > 0")
    eventually(page, lambda: float(kept.inner_text()), lambda now: now < float(before))


def test_a_sequence_is_drawn_when_it_is_opened_and_at_its_most_telling_token(open_report: Open) -> None:
    page = open_report("outlier")
    second = page.locator("details.sequence").nth(1)
    assert second.locator(".tok-cell").count() == 0
    second.locator("summary").click()
    second.locator(".tok-cell[data-selected]").first.wait_for()
    expect(second.locator(".tok-facts")).not_to_be_empty()


def test_markup_in_tokens_prompts_names_and_groups_stays_text(open_report: Open) -> None:
    page = open_report("hostile")
    for part in page.locator("details.sequence").all():
        if part.get_attribute("open") is None:
            part.locator("summary").click()
    page.locator("[data-figure=figure-group] .bars .point").first.hover(force=True)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, iframe").count() == 0
    expect(page.locator(".tok-cell", has_text="onerror").first).to_be_visible()
    assert EVIL in page.locator(".prompt").first.text_content()  # type: ignore[operator]
    assert NAME in page.locator("h1").inner_text()


def test_a_script_that_slips_in_does_not_run(open_report: Open) -> None:
    page = open_report("hostile", said="Content Security Policy")
    blocked = page.evaluate(
        """() => new Promise((done) => {
             document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
             const script = document.createElement("script");
             script.textContent = "window.hacked = 1";
             document.body.append(script);
             setTimeout(() => done("no word of it"), 20000);
           })"""
    )
    assert blocked.startswith("script-src") and page.evaluate("window.hacked") is None


# Of the ground, and of the contrast of the words on it.
CONTRAST = """() => {
  const light = (css) => css.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = light(getComputedStyle(document.body).backgroundColor);
  const words = ["body", ".quiet", ".finding .tag", ".facts dt", "nav a", "[data-figure] .xtick text"];
  return [ground, Math.min(...words.map((at) => {
    const style = getComputedStyle(document.querySelector(at));
    const ink = light(at.endsWith("text") ? style.fill : style.color);
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  }))];
}"""


@pytest.mark.parametrize("width", list(WIDTHS))
def test_nothing_is_wider_than_the_window_and_text_stands_out_by_day_and_by_night(
    open_report: Open, width: int
) -> None:
    page = open_report("outlier", width=width)
    for scheme, wanted in (("light", lambda ground: ground > 0.5), ("dark", lambda ground: ground < 0.1)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        eventually(
            page, lambda: page.evaluate(CONTRAST), lambda seen, wanted=wanted: wanted(seen[0]) and seen[1] >= 4.5
        )
        page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)


def test_on_paper_a_dark_page_is_light_and_comes_back(open_report: Open) -> None:
    page = open_report("outlier", scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('[data-figure] .xtick text')).fill"
    before = page.evaluate(ground), page.evaluate(ink)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    eventually(page, lambda: page.evaluate(ground), "rgb(255, 255, 255)")
    eventually(page, lambda: page.evaluate(ink), lambda now: now != before[1])
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    eventually(page, lambda: (page.evaluate(ground), page.evaluate(ink)), before)


def test_a_notebook_s_cell_shows_the_strip_in_a_frame_of_its_own(open_report: Open) -> None:
    page = open_report("cell")
    frame = page.frame_locator("iframe")
    frame.locator(".tok-cell[data-selected]").first.wait_for()
    expect(frame.get_by_label("GRPO eps_low", exact=True)).to_have_count(1)


def test_the_button_on_the_page_gives_the_report_of_what_is_shown(
    visit: Callable[..., Page], browser: Browser, tmp_path: Path
) -> None:
    page = visit("/tokens?objectives=sapo,grpo&sapo.tau_neg=3")
    with page.expect_download(timeout=60_000) as download:
        page.get_by_role("button", name="Report, one HTML file").click()
    assert download.value.suggested_filename == "smollm2-mood-report.html"
    path = tmp_path / "report.html"
    download.value.save_as(path)
    context = browser.new_context(offline=True)
    report = context.new_page()
    report.goto(path.as_uri())
    report.wait_for_function("() => document.documentElement.dataset.ready === 'true'")
    expect(report.locator(".facts")).to_contain_text("SAPO (τ₊ = 1, τ₋ = 3); GRPO")
    context.close()
