"""What stands under a hand stays there (browser/shared/steady.js), in a document that has nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page

from sapo_viz.browser.link import read

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    names = "Object.assign(globalThis, { setChildren, Hand });"
    page.add_script_tag(type="module", content=f"{read('shared/steady.js')}\n{names}")
    page.wait_for_function("Boolean(globalThis.Hand)")
    yield page
    page.close()


def test_a_list_comes_into_another_order_and_what_has_the_focus_keeps_it(page: Page) -> None:
    page.set_content("<p><button>a</button><button>b</button><button>c</button></p>")
    left = page.evaluate("""() => {
      const list = document.querySelector("p");
      const [, b, c] = list.children;
      c.focus();
      const d = document.createElement("button");
      setChildren(list, [d, b, c]);
      return [[...list.children].map((child) => child.textContent).join(), document.activeElement.textContent];
    }""")
    assert left == [",b,c", "c"]


def test_what_a_click_began_on_is_not_taken_away_before_it_ends(page: Page) -> None:
    """The fault itself, and its cure: with `Hand` the change comes after the click."""
    got = {}
    for cured in (False, True):
        page.set_content("<main style='padding: 20px'><div></div><button>open</button></main>")
        page.evaluate(
            """(cured) => {
              const main = document.querySelector("main");
              const change = () => {
                document.querySelector("div").style.height = "200px";
                document.querySelector("button").textContent = "moved";
              };
              globalThis.told = [];
              main.addEventListener("click", (event) => told.push(`click on ${event.target.textContent}`));
              const hand = new Hand(main);
              globalThis.arrive = () => cured ? hand.free("draw", change) : change();
            }""",
            cured,
        )
        page.get_by_role("button").hover()
        page.mouse.down()
        page.evaluate("arrive()")
        page.mouse.up()
        page.wait_for_function("document.querySelector('button').textContent === 'moved'")
        got[cured] = page.evaluate("told.filter((line) => line === 'click on open')")
    assert got == {False: [], True: ["click on open"]}


def test_of_what_waited_only_the_newest_is_done_and_nothing_is_lost_outside_the_window(page: Page) -> None:
    page.set_content("<main>press</main>")
    page.evaluate("""() => {
      globalThis.done = [];
      globalThis.hand = new Hand(document.querySelector("main"));
    }""")
    page.locator("main").hover()
    page.mouse.down()
    page.evaluate("['a', 'b'].forEach((text) => hand.free('draw', () => done.push(text)))")
    page.evaluate("hand.free('data', () => done.push('c'))")
    assert page.evaluate("done") == []
    page.evaluate("dispatchEvent(new PointerEvent('pointermove', { buttons: 0 }))")
    page.wait_for_function("done.join() === 'b,c'")
    page.mouse.up()
