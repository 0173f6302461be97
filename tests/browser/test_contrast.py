"""Text stands out from what lies behind it, by day and by night: contrast.js lists every text that does not.

Every page as it opens: test_pages.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import SCHEMES, eventually, turn

Visit = Callable[..., Page]
OFFENDERS = (Path(__file__).with_name("contrast.js")).read_text(encoding="utf-8")


def assert_readable(page: Page) -> None:
    """Below 4.5:1, or 3:1 for large text, lies nothing."""
    eventually(page, lambda: page.evaluate(OFFENDERS), [])


def test_what_is_said_or_opened_later_can_be_read_too(visit: Visit) -> None:
    page = visit("/curves?sapo.tau_pos=-3&objectives=sapo,dppo_tv&show=weight,coefficient")
    expect(page.get_by_role("alert")).to_be_visible()  # a warning about the link
    page.get_by_text("LaTeX and PyTorch").first.click()
    expect(page.get_by_test_id("stCode")).to_have_count(2)
    bare = visit("/curves?objectives=")  # a hint in a blue box
    for scheme in SCHEMES:
        turn(page, scheme)
        assert_readable(page)
        turn(bare, scheme)
        assert_readable(bare)


def test_the_main_button_can_be_read_at_rest_and_under_the_mouse(visit: Visit) -> None:
    page = visit("/train")
    button = page.get_by_role("button", name="Start training")
    ground = "document.querySelector('button[kind^=primary]')"
    for scheme in SCHEMES:
        page.mouse.move(0, 0)
        turn(page, scheme)
        still = f"() => !{ground}.getAnimations({{ subtree: true }}).length"
        page.wait_for_function(still)  # the colour changes gradually
        assert_readable(page)
        rest = button.evaluate("button => getComputedStyle(button).backgroundColor")
        button.hover()
        page.wait_for_function(f"rest => getComputedStyle({ground}).backgroundColor !== rest", arg=rest)
        page.wait_for_function(still)
        assert_readable(page)


def test_the_check_itself_sees_what_is_faint(visit: Visit) -> None:
    page = visit("/")
    page.evaluate(
        """() => document.querySelector('[data-testid=stMain]').insertAdjacentHTML('beforeend', `
          <p style="color: #777; background: #fff">4.48 to one</p>
          <p style="color: #767676; background: #fff">4.54</p>
          <p style="opacity: .5"><b style="color: #000; background: #fff">half as black</b></p>
          <p style="color: #949494; background: #fff; font-size: 24px">3.03 is enough for large text</p>
          <button disabled style="color: #ccc">off</button>`)"""
    )
    faint = ["4.48 to one", "half as black"]
    eventually(page, lambda: [line.split('"')[1] for line in page.evaluate(OFFENDERS)], faint)
