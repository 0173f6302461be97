"""Every page, on a laptop and on a phone, by day and by night; and the deep link."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from scripts.browser import EXHIBITS, PAGES, Server, settle
from tests.browser.conftest import eventually, turn
from tests.browser.test_axe import AXE, assert_accessible
from tests.browser.test_contrast import assert_readable
from tests.browser.test_first_screen import assert_nothing_is_cut_and_the_figure_is_in_the_first_screen
from tests.browser.test_toolbars import assert_toolbars_are_ours

Visit = Callable[..., Page]
MENU = ["Home", "Curves", "Tokens", "Training", "Experiments", "Reference"]
WITH_FIGURES = PAGES.keys() - {"reference", *EXHIBITS}  # Plotly's
VIEWS = {"batch": "Whole file", "groups": "Groups", "findings": "Findings", "fit": "Which τ"}  # of a file
WITHOUT_TOOLBAR = {"home", "train", "tokens"}  # as they open, their figures have none


def assert_nothing_sticks_out(page: Page) -> None:
    """What sticks out to the right of the window can be reached by scrolling sideways only."""
    for element in ("document.documentElement", "document.querySelector('[data-testid=stMain]')"):
        widths = f"(() => {{ const e = {element}; return [e.scrollWidth, e.clientWidth]; }})()"
        eventually(page, lambda widths=widths: page.evaluate(widths), lambda pixels: pixels[0] <= pixels[1])


@pytest.mark.parametrize(("width", "schemes"), [(1440, ("light", "dark")), (390, ("dark", "light"))])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_by_day_and_by_night_nothing_sticks_out_or_is_cut_and_every_text_can_be_read(
    visit: Visit, name: str, width: int, schemes: tuple[str, str]
) -> None:
    """It opens in one scheme and follows the system to the other, as a machine does in the evening."""
    page = visit(PAGES[name], width=width, scheme=schemes[0])
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert_nothing_is_cut_and_the_figure_is_in_the_first_screen(page, name, width)
    for scheme in schemes:
        turn(page, scheme)
        assert_nothing_sticks_out(page)
        if width == 1440:
            assert_readable(page)
    if width == 1440:
        if AXE.exists():
            assert_accessible(page)
        if name in WITH_FIGURES:
            assert_toolbars_are_ours(page, bars=name not in WITHOUT_TOOLBAR)


def test_every_view_of_a_file_is_named_for_every_reader_and_offers_to_send_its_figures_nowhere(visit: Visit) -> None:
    page = visit("/tokens?look=batch")
    for look, name in VIEWS.items():
        if look != "batch":
            page.locator(".st-key-look").get_by_role("radio", name=name).click()
            expect(page).to_have_url(re.compile(f"look={look}"))
            settle(page)
        if AXE.exists():
            assert_accessible(page)
        assert_toolbars_are_ours(page)


@pytest.mark.parametrize(("path", "name"), [("/train", "Training"), ("/curves", "Curves")])
def test_a_first_visit_to_a_deep_link_on_a_fresh_server_opens_that_page(
    fresh_server: Server, visit: Visit, path: str, name: str
) -> None:
    """With the script beside pages/ the raw file names are the menu and app.py is bypassed: see STYLE, traps."""
    page = visit(path, server=fresh_server)
    expect(page).to_have_url(re.compile(rf"{path}(\?|$)"))
    expect(page.locator('[data-testid="stTopNavLink"] p')).to_have_text(MENU)
    expect(page.locator('[data-testid="stTopNavLink"][aria-current="page"] p')).to_have_text(name)
    expect(page.get_by_role("heading", level=1)).not_to_have_text("The dimmer and the switch")  # that is home
    wide = page.get_by_test_id("stMainBlockContainer").bounding_box()
    assert wide and wide["width"] > 1200, "the window's width is the page's"
    expect(page.locator("link[rel*=icon]").first).to_have_attribute("href", re.compile("^data:image/svg"))  # ours


def go(page: Page, name: str) -> None:
    """Through the menu, until that page stands."""
    paths = [path for page_name, path in PAGES.items() if page_name not in EXHIBITS]  # those have a menu of their own
    path = dict(zip(MENU, paths, strict=True))[name]
    page.get_by_test_id("stTopNavLink").filter(has_text=name).click()
    expect(page).to_have_url(re.compile(rf"{path}(\?|$)"))
    settle(page)


def test_the_menu_leads_to_every_page_and_the_objectives_chosen_on_one_are_those_of_the_next(visit: Visit) -> None:
    """To Streamlit a widget of the same key on another page is another widget, and begins empty."""
    page = visit("/")
    go(page, "Tokens")
    go(page, "Curves")
    expect(page.locator(".lab legend", has_text="GRPO")).to_have_count(1)  # nothing was chosen: what is usual here
    expect(page.locator(".lab legend", has_text="GSPO")).to_have_count(0)
    page.get_by_role("button", name="DAPO", exact=True).click()
    expect(page).to_have_url(re.compile("objectives=sapo%2Cgrpo%2Cdapo"))
    settle(page)
    go(page, "Tokens")
    expect(page).to_have_url(re.compile("objectives=sapo%2Cgrpo%2Cdapo"))
    go(page, "Experiments")
    go(page, "Reference")  # neither has a choice of objectives
    go(page, "Curves")
    expect(page.locator(".lab legend", has_text="DAPO")).to_have_count(1)
    go(page, "Training")


def test_a_page_is_found_as_it_was_left_and_one_step_back_is_the_page_before(visit: Visit) -> None:
    page = visit("/curves?sapo.tau_neg=3&axis=log")
    go(page, "Tokens")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("What does an objective do to a token?")
    expect(page).to_have_url(re.compile("curves.*tau_neg=3&axis=log"))
    settle(page)
    go(page, "Training")
    go(page, "Curves")
    expect(page).to_have_url(re.compile("curves.*tau_neg=3&axis=log"))
    expect(page.get_by_test_id("knob-sapo-tau_neg")).to_have_attribute("aria-valuetext", "tau_neg 3")


def test_an_address_that_is_no_page_says_so_and_shows_home(visit: Visit) -> None:
    page = visit("/no-such-page")
    expect(page.get_by_text("Page not found").first).to_be_visible()
