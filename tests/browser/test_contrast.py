"""Text stands out from what lies behind it, by day and by night: contrast.js lists every text that does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from scripts.browser import PAGES, settle
from tests.browser.conftest import eventually

Visit = Callable[..., Page]
SCHEMES = ("light", "dark")
OFFENDERS = (Path(__file__).with_name("contrast.js")).read_text(encoding="utf-8")


def assert_readable(page: Page) -> None:
    """Below 4.5:1, or 3:1 for large text, lies nothing."""
    eventually(page, lambda: page.evaluate(OFFENDERS), [])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("path", PAGES.values(), ids=list(PAGES))
def test_every_text_of_a_page_can_be_read(visit: Visit, path: str, scheme: str) -> None:
    assert_readable(visit(path, scheme=scheme))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_said_or_opened_later_can_be_read_too(visit: Visit, scheme: str) -> None:
    page = visit("/curves?sapo.tau_pos=-3&objectives=sapo,dppo_tv&show=weight,coefficient", scheme=scheme)
    expect(page.get_by_role("alert")).to_be_visible()  # a warning about the link
    page.get_by_text("LaTeX and PyTorch").first.click()
    expect(page.get_by_test_id("stCode")).to_have_count(2)
    settle(page)
    assert_readable(page)
    assert_readable(visit("/curves?objectives=", scheme=scheme))  # a hint in a blue box


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_main_button_can_be_read_at_rest_and_under_the_mouse(visit: Visit, scheme: str) -> None:
    page = visit("/train", scheme=scheme)
    button = page.get_by_role("button", name="Start training")
    rest = button.evaluate("button => getComputedStyle(button).backgroundColor")
    button.hover()
    page.wait_for_function(  # the colour changes gradually
        "rest => getComputedStyle(document.querySelector('button[kind^=primary]')).backgroundColor !== rest", arg=rest
    )
    page.wait_for_function("!document.querySelector('button[kind^=primary]').getAnimations({ subtree: true }).length")
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
