"""What one came for is in the first screen, nothing is cut however far one zooms, and a page can be presented.

Every page as it opens: test_pages.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from scripts.browser import WIDTHS
from tests.browser.conftest import eventually

Visit = Callable[..., Page]
# A window of so many CSS pixels is what a laptop's 1440 × 900 or a phone's 390 × 844 has at that zoom.
ZOOMS = {100: 1.0, 125: 1.25, 150: 1.5, 200: 2.0}
FIGURE = ".lab-figure, .exh-figure, .tok, .live-panels, .st-key-questions"
# Elements whose text is cut off on the right, and those that stick out of what holds them; what scrolls is meant to.
CUT = """() => {
  const scrolls = (e) => {
    for (let up = e; up; up = up.parentElement)
      if (['auto', 'scroll'].includes(getComputedStyle(up).overflowX) && up.dataset.testid !== 'stMain') return true;
    return false;
  };
  const main = document.querySelector('[data-testid=stMain]');
  const wide = main.scrollWidth > main.clientWidth ? [`page: ${main.scrollWidth} in ${main.clientWidth}`] : [];
  return wide.concat([...main.querySelectorAll('h1, h2, h3, button, label, [role=radio], .lab-panel *')]
    .filter((e) => e.offsetWidth && e.clientWidth > 1 && e.scrollWidth > e.clientWidth + 1 && !scrolls(e)
      && !e.closest('.katex, [data-testid=stDataFrame]') && getComputedStyle(e).display !== 'inline')
    .map((e) => `${e.tagName} ${e.className}: ${e.scrollWidth} in ${e.clientWidth}: ${e.textContent.slice(0, 40)}`));
}"""


def assert_nothing_is_cut_and_the_figure_is_in_the_first_screen(page: Page, name: str, width: int) -> None:
    """Of a page that has just been opened in a window of that width, as far as one zooms."""
    laptop, height = width == 1440, WIDTHS[width]
    for zoom, times in ZOOMS.items():
        if width / times < 300:
            continue  # less than a small phone: no claim of ours
        tall = round(height / times)
        page.set_viewport_size({"width": round(width / times), "height": tall})
        eventually(page, lambda: page.evaluate(CUT), [])
        if zoom > (150 if laptop else 100):
            continue
        if name != "reference":
            figure = page.locator(FIGURE).first
            eventually(page, lambda f=figure: f.bounding_box()["y"], lambda y, tall=tall: y < 0.8 * tall)
        if laptop or name not in ("coherence", "outlier"):  # fifty letters on a phone take two lines
            title = page.get_by_role("heading", level=1)
            size = title.evaluate("title => parseFloat(getComputedStyle(title).lineHeight)")
            eventually(page, lambda t=title: t.bounding_box()["height"], lambda high, size=size: high < 1.9 * size)
    page.set_viewport_size({"width": width, "height": height})


def test_a_page_is_presented_by_a_key_and_by_its_link(visit: Visit) -> None:
    page = visit("/curves")
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("p")
    expect(page).to_have_url(re.compile("present=1"))
    expect(page.get_by_test_id("stHeader")).to_be_hidden()
    expect(page.locator(".lab-panel")).to_be_hidden()
    expect(page.locator(".lab-figure")).to_be_visible()
    page.keyboard.press("c")
    expect(page.locator(".lab-panel")).to_be_visible()
    page.get_by_test_id("knob-sapo-tau_pos").focus()
    page.keyboard.press("c")  # a slider that was moved keeps the focus, and takes no letters
    expect(page.locator(".lab-panel")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("present"))
    expect(page.get_by_test_id("stHeader")).to_be_visible()
    other = visit("/curves?present=1&sapo.tau_pos=2")
    expect(other.get_by_test_id("stHeader")).to_be_hidden()
    expect(other.get_by_test_id("knob-sapo-tau_pos")).to_have_attribute("aria-valuetext", "tau_pos 2")


def test_on_a_projector_all_panels_are_in_the_first_screen_and_their_numbers_are_of_one_size(visit: Visit) -> None:
    """1280 × 720 at 150 %."""
    page = visit("/curves?present=1")
    page.set_viewport_size({"width": 853, "height": 480})
    figure = page.locator(".lab-figure")
    eventually(page, lambda: (box := figure.bounding_box()) and box["y"] + box["height"], lambda foot: foot <= 480)
    sizes = "texts => [...new Set(texts.map((text) => getComputedStyle(text).fontSize))]"
    ticks = page.locator(".lab-figure :is(.xaxislayer-above, .yaxislayer-above) text")
    eventually(page, lambda: ticks.evaluate_all(sizes), ["17px"])
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1440, "height": 900})
    eventually(page, lambda: figure.bounding_box()["height"], lambda height: height > 480)


def test_in_a_low_window_a_figure_and_its_controls_stand_beside_each_other_in_the_first_screen(visit: Visit) -> None:
    """1280 × 720 and 1024 × 768 at 150 %; of the exhibits with four panels the upper ones are what it is about."""
    for path, whole in (
        ("/", True),
        ("/curves", True),
        ("/outlier", True),
        ("/coherence", False),
        ("/asymmetry", False),
    ):
        page = visit(path)
        figure, slider = page.locator(FIGURE).first, page.locator(".lab-panel input[type=range]").first
        for width, height in ((853, 480), (683, 512)):
            page.set_viewport_size({"width": width, "height": height})
            expect(slider).to_be_in_viewport(ratio=1)
            eventually(page, lambda f=figure: f.bounding_box()["y"], lambda y, tall=height: y < 0.47 * tall)
            if whole:
                foot = lambda f=figure: (box := f.bounding_box()) and box["y"] + box["height"]  # noqa: E731
                eventually(page, foot, lambda y, tall=height: y <= tall + 1)


def test_in_a_low_window_verdict_and_text_of_a_file_are_in_the_first_screen(visit: Visit) -> None:
    page = visit("/tokens")
    page.set_viewport_size({"width": 853, "height": 480})
    scroll, slider = page.locator(".tok-scroll"), page.locator(".tok-panel input[type=range]").first
    eventually(page, lambda: scroll.bounding_box()["y"], lambda y: y < 0.75 * 480)
    expect(slider).to_be_in_viewport(ratio=1)
    expect(page.locator(".st-key-tokens-headline")).to_be_in_viewport(ratio=1)


def test_a_letter_in_a_field_presents_nothing(visit: Visit) -> None:
    page = visit("/reference")
    page.get_by_role("textbox", name="Search").press_sequentially("sapo")  # one P: a second would end it again
    expect(page.get_by_test_id("stHeader")).to_be_visible()
    expect(page).not_to_have_url(re.compile("present"))


def test_a_page_has_its_link_to_copy_also_without_the_clipboard_that_browsers_keep_for_https(visit: Visit) -> None:
    """So a page opens from another machine; where nothing can be copied it does not say that it was."""
    page = visit("/outlier?A=-1")
    said, button = page.locator(".page-tools-said"), page.get_by_role("button", name="Copy link")
    page.evaluate("""() => {
      const clipboard = { writeText: async (text) => { window.copied = text; } };
      Object.defineProperty(navigator, 'clipboard', { value: clipboard, configurable: true });
    }""")
    button.click()
    expect(said).to_have_text("Copied")
    assert page.evaluate("window.copied") == page.url
    page.evaluate("""() => {
      window.copied = '';
      Object.defineProperty(navigator, 'clipboard', { value: undefined });
      addEventListener('copy', (event) => { window.copied = event.clipboardData.getData('text/plain'); });
    }""")
    button.click()
    page.wait_for_function("() => window.copied === location.href")
    expect(said).to_have_text("Copied")
    page.evaluate("() => { document.execCommand = () => false; }")
    button.click()
    expect(said).to_have_text("Copy it from the address bar")


def test_what_is_chosen_in_a_table_is_led_to(visit: Visit) -> None:
    page = visit("/tokens?look=batch")
    table = page.get_by_test_id("stDataFrame").last
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box
    page.mouse.click(box["x"] + 12, box["y"] + 55)  # the first row's mark
    expect(page).to_have_url(re.compile("token="))
    strip = page.locator(".tok")
    expect(strip).to_be_in_viewport()
    eventually(page, lambda: page.evaluate("() => !!document.activeElement.closest('.tok')"), True)
    eventually(page, lambda: strip.bounding_box()["y"], lambda y: 0 <= y < 450)  # type: ignore[index]
