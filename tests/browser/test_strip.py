"""The token strip beyond weights: other quantities, one token's formulas, search, links, 50,000 tokens."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from playwright.sync_api import expect

from sapo_viz import CATALOG
from sapo_viz.core.losses import evaluate
from sapo_viz.figures.assets import formulas_js
from sapo_viz.figures.packed import pack_arrays
from sapo_viz.figures.strip import strip_code, strip_data
from sapo_viz.figures.strip_words import strip_words
from sapo_viz.rollouts.analysis import analyse
from sapo_viz.rollouts.read import parse_rollouts
from scripts.browser import settle
from tests.browser.conftest import eventually
from tests.browser.test_tokens import (
    choose,
    colours,
    first_row,
    open_file,
    recolours_in_place,
    rollout,
    text_stands_out,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from sapo_viz.core.objective import Objective
    from tests.browser.conftest import Visit

QUANTITIES = ("weight", "coefficient", "ratio", "change")


def tex(page: Page, name: str) -> list[str]:
    """The four lines of an objective's formula, as LaTeX."""
    lines = page.locator(f'[data-formula="{name}"] .tok-tex')
    expect(lines.last).to_have_attribute("data-tex", re.compile("."))
    return [line.get_attribute("data-tex") or "" for line in lines.all()]


def number(text: str) -> float:
    """`\\displaystyle \\approx -1.2\\times10^{-7}` as a number."""
    digits = text.split(r"\approx")[1].replace(r"\times10^{", "e").replace("}", "")
    return float(digits)


def comes_into_sight(page: Page, what: str) -> None:
    """The first such cell lies within the strip's window."""
    page.wait_for_function(
        """(what) => {
          const window = document.querySelector('.tok-scroll').getBoundingClientRect();
          const cell = document.querySelector(what)?.getBoundingClientRect();
          return cell && window.top <= cell.top && cell.bottom <= window.bottom;
        }""",
        arg=what,
    )


@pytest.mark.parametrize("advantage", [1.0, -0.7])
def test_the_formulas_value_is_pythons_for_every_objective(visit: Visit, advantage: float) -> None:
    data = rollout(list("abcde"), advantage=advantage, seed=3, mask=[1, 1, 0, 1, 1])
    page = open_file(visit, data, query="&objectives=" + ",".join(CATALOG))
    choose(page, 3, 5)
    item = parse_rollouts(data, "x")[0]
    batch = [torch.from_numpy(values.copy())[None] for values in (item.logprobs, item.old_logprobs, item.advantages)]
    for name, cls in CATALOG.items():
        _, surrogate = evaluate(cls(), *batch, torch.from_numpy(item.mask.copy())[None])
        length = 4 if name == "luspo" else 1  # its formula counts the sequence by its length
        value = pytest.approx(length * float(surrogate[0, 3]), rel=2e-3, abs=1e-6)
        eventually(page, lambda name=name: number(tex(page, name)[2]), value)
        assert cls.formula in tex(page, name)[0]
    expect(page.locator(".tok-tex .katex-html")).to_have_count(4 * len(CATALOG))  # set as st.latex sets it
    expect(page.locator(".katex-error")).to_have_count(0)


def test_the_formula_follows_the_knob_under_the_hand(visit: Visit) -> None:
    page = open_file(visit, rollout(list("abcde")), query="&objectives=sapo,grpo")
    before, others = tex(page, "sapo"), tex(page, "grpo")
    page.get_by_test_id("knob-sapo-tau_pos").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-formula=sapo] .tok-tex").nth(1)).not_to_have_attribute("data-tex", before[1])
    assert tex(page, "sapo")[0] == before[0] and tex(page, "grpo") == others


def test_sequence_level_objectives_say_what_is_shared(visit: Visit) -> None:
    page = open_file(visit, rollout(list("abcde")), query="&objectives=sapo,gspo,vespo")
    expect(page.locator("[data-formula=gspo]")).to_contain_text("5 response tokens")
    expect(page.locator("[data-formula=gspo]")).to_contain_text("every token of the sequence shares it")
    expect(page.locator("[data-formula=vespo]")).to_contain_text("when the knob is let go")
    expect(page.locator("[data-formula=sapo]")).not_to_contain_text("shares it")


def test_an_objective_that_joined_the_catalogue_has_its_formula(
    browser: Browser, toy_objective: type[Objective]
) -> None:
    """The strip alone on an empty page, without a server: the catalogue of this process is drawn."""
    page = browser.new_page()
    analysis = analyse(parse_rollouts(rollout(list("abc"), seed=1), "x"), {"toy": toy_objective()})
    data = base64.b64encode(pack_arrays(*strip_data(analysis, 0, labels=strip_words()))).decode()
    script = strip_code(formulas_js())[0].replace("export default function", "window.mount = function")
    page.set_content(f"<div id=here></div><script type=module>{script}</script>")
    page.evaluate(
        """(data) => window.mount({
          parentElement: document.getElementById('here'), setStateValue: () => {},
          data: Uint8Array.from(atob(data), (char) => char.charCodeAt(0)),
        })""",
        data,
    )
    lines = tex(page, "toy")
    assert toy_objective.formula in lines[0]
    assert re.search(r"\\tfrac ?1\{2\}\\cdot ?\\tanh", lines[1]), lines[1]
    expect(page.locator("[data-formula=toy] code").first).to_contain_text("tanh")
    assert number(lines[2]) != 0
    page.close()


def test_each_quantity_has_its_own_colours_and_legend(visit: Visit) -> None:
    page = open_file(visit, rollout([f" t{i}" for i in range(40)], spread=0.8), query="&objectives=sapo,gspo")
    legends, looks = set(), set()
    for quantity in QUANTITIES:
        page.get_by_test_id(f"show-{quantity}").click()
        expect(page.locator(f".tok[data-show={quantity}]")).to_be_visible()
        legends.add(page.get_by_test_id("legend").inner_text())
        looks.add(tuple(colours(page)))
    assert len(legends) == 4
    assert len(looks) == 3, "at token level log r is z; the four others of each pair differ"
    expect(page.locator(".tok-row[data-objective=change]")).not_to_have_count(0)
    expect(page.locator(".tok-row[data-objective=gspo]")).to_have_count(0)  # a change needs no row an objective


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("quantity", QUANTITIES[1:])
def test_text_reads_on_every_colour_of_every_quantity(visit: Visit, scheme: str, quantity: str) -> None:
    data = rollout([f"t{i}" for i in range(120)], spread=1.5, mask=[i % 9 > 0 for i in range(120)])
    query = f"&objectives=sapo,grpo,cispo&cispo.eps_low=0.1&show={quantity}"
    page = open_file(visit, data, query=query, scheme=scheme)
    text_stands_out(page)


def test_a_link_restores_token_and_colours(visit: Visit) -> None:
    page = open_file(visit, rollout([f" t{i}" for i in range(3000)]), query="&show=ratio&token=2801")
    comes_into_sight(page, '.tok-cell[aria-selected="true"]')
    expect(page.get_by_test_id("token-details")).to_contain_text("token 2,801 of 3,000")
    expect(page.get_by_test_id("show-ratio")).to_have_attribute("aria-pressed", "true")
    page.get_by_test_id("show-weight").click()
    page.wait_for_function("!location.search.includes('show=') && location.search.includes('token=2801')")


def test_another_sequence_forgets_the_token(visit: Visit) -> None:
    page = open_file(visit, rollout(list("abcd")) + rollout(list("efghi"), seed=1), query="&seq=1")
    choose(page, 2, 4)
    page.wait_for_url("**token=3**")
    page.get_by_role("button", name="Next", exact=True).click()
    page.wait_for_function("!location.search.includes('token=')")
    expect(first_row(page)).to_have_count(5)


def test_choosing_a_token_does_not_send_the_sequence_again(visit: Visit) -> None:
    page = open_file(visit, rollout([f" w{i}" for i in range(5000)]))
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    received: list[int] = []
    session.on("Network.webSocketFrameReceived", lambda f: received.append(len(f["response"]["payloadData"])))
    choose(page, 20, 5000)
    page.wait_for_url("**token=21**")
    settle(page)
    assert sum(received) < 20_000, "bytes of base64; the sequence alone is 100 kB"


def test_text_is_found_across_tokens_and_far_below(visit: Visit) -> None:
    tokens = [f" t{i}" for i in range(4000)]
    tokens[3500:3502] = [" need", "LE"]
    page = open_file(visit, rollout(tokens))
    page.get_by_test_id("find").fill("needle")
    expect(page.locator(".tok-count")).to_have_text("1 of 1")
    comes_into_sight(page, ".tok-cell[data-found]")
    found = page.locator(".tok-row:not([aria-hidden]) .tok-cell[data-found]")
    eventually(page, found.all_text_contents, [" need", "LE"])
    expect(page.get_by_test_id("token-details")).to_contain_text("token 3,501 of 4,000")
    page.get_by_test_id("find").fill("t39")
    expect(page.locator(".tok-count")).to_have_text("1 of 111")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".tok-count")).to_have_text("111 of 111")
    page.get_by_test_id("find").fill("nowhere")
    expect(page.locator(".tok-count")).to_have_text("not found")
    page.keyboard.press("Escape")
    expect(page.locator(".tok-cell[data-found]")).to_have_count(0)


def test_enter_leads_to_the_numbers_and_escape_back(visit: Visit) -> None:
    page = open_file(visit, rollout(["a", "\n", "c"]))
    choose(page, 1, 3)
    token = page.locator('.tok-cell[aria-selected="true"]')
    expect(token).to_have_attribute("aria-label", re.compile("LF.*token 2 of 3.*SAPO w"))
    expect(token).to_have_attribute("aria-posinset", "2")
    page.keyboard.press("Enter")
    expect(page.locator(".tok-token")).to_be_focused()
    page.keyboard.press("Escape")
    expect(token).to_be_focused()


def test_a_token_is_spelled_out_and_may_be_very_long(visit: Visit) -> None:
    long = "ab" * 5000
    page = open_file(visit, rollout([" x\n\u200b", "\ufffd", long, "", "plain"]))
    details = page.get_by_test_id("token-details")
    for index, spelled in ((0, r" x\n\u{200b}"), (1, r"\u{fffd}")):
        first_row(page).nth(index).click()
        expect(details.locator(".tok-escaped")).to_have_text(spelled)
    first_row(page).nth(2).click()
    expect(details.locator(".tok-text")).to_have_text(long)
    first_row(page).nth(4).click()
    expect(details.locator(".tok-escaped")).to_have_count(0)


@pytest.mark.parametrize("width", [1440, 390])
def test_formulas_break_where_there_is_no_room(visit: Visit, width: int) -> None:
    page = open_file(visit, rollout(list("abc")), query="&objectives=" + ",".join(CATALOG), width=width)
    expect(page.locator(".tok-tex .katex-html")).to_have_count(4 * len(CATALOG))
    page.evaluate("document.fonts.ready.then(() => 0)")
    over = "rows => Math.max(...rows.map((row) => row.scrollWidth - row.clientWidth))"
    most = 1 if width == 1440 else 60  # at phone width the widest symbolic formulas scroll a little
    eventually(page, lambda: page.locator(".tok-tex").evaluate_all(over), lambda pixels: pixels <= most)
    page.wait_for_function("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_fifty_thousand_tokens_recolour_in_place(visit: Visit) -> None:
    """How fast that is: benchmarks/strip.py."""
    page = open_file(visit, rollout([f" w{i % 97}" for i in range(50_000)]))
    recolours_in_place(page)


def test_advantages_of_both_signs_fill_in_their_own_knob(visit: Visit) -> None:
    item: dict[str, Any] = {"tokens": ["a", "b"], "logprobs": [-0.5, -1.0], "old_logprobs": [-1.0, -1.1]}
    data = json.dumps({**item, "advantages": [1.0, -0.5]}).encode()
    page = open_file(visit, data, query="&objectives=sapo&sapo.tau_pos=3&sapo.tau_neg=7")
    for index, tau in ((0, "3"), (1, "7")):
        first_row(page).nth(index).click()
        expect(page.locator("[data-formula=sapo] .tok-tex").nth(1)).to_have_attribute(
            "data-tex", re.compile(rf"\{{{tau}\}}")
        )
