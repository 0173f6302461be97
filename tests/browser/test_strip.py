"""The token strip beyond weights: other quantities, one token's formulas, search, links, 50,000 tokens."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from sapo_viz import CATALOG
from scripts.browser import WIDTHS, settle
from tests.browser.conftest import SCHEMES, eventually, turn
from tests.browser.test_tokens import (
    choose,
    colours,
    first_row,
    open_file,
    rollout,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from sapo_viz.core.objective import Objective
    from tests.browser.conftest import Strip, Visit

QUANTITIES = ("weight", "coefficient", "ratio", "change")


# The canvas turns every way of writing a colour into red, green, blue, alpha.
WORST_CONTRAST = """() => {
  const paper = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    paper.clearRect(0, 0, 1, 1);
    paper.fillStyle = colour;
    paper.fillRect(0, 0, 1, 1);
    return [...paper.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgba(colour).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor;
  return Math.min(...[...document.querySelectorAll('.tok-cell')].map((cell) => {
    const style = getComputedStyle(cell);
    const text = luminance(style.color);
    const behind = luminance(rgba(style.backgroundColor)[3] ? style.backgroundColor : ground);
    return (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
  }));
}"""


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


def test_the_formula_follows_the_knob_under_the_hand(strip: Strip) -> None:
    page = strip(rollout(list("abcde")))
    before, others = tex(page, "sapo"), tex(page, "grpo")
    page.get_by_test_id("knob-sapo-tau_pos").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-formula=sapo] .tok-tex").nth(1)).not_to_have_attribute("data-tex", before[1])
    assert tex(page, "sapo")[0] == before[0] and tex(page, "grpo") == others


def test_sequence_level_objectives_say_what_is_shared(strip: Strip) -> None:
    page = strip(rollout(list("abcde")), "sapo,gspo,vespo")
    expect(page.locator("[data-formula=gspo]")).to_contain_text("5 response tokens")
    expect(page.locator("[data-formula=gspo]")).to_contain_text("every token of the sequence shares it")
    expect(page.locator("[data-formula=vespo]")).to_contain_text("when you release the knob")
    expect(page.locator("[data-formula=sapo]")).not_to_contain_text("shares it")


def test_an_objective_that_joined_the_catalogue_has_its_formula(strip: Strip, toy_objective: type[Objective]) -> None:
    page = strip(rollout(list("abc"), seed=1), "", toy=toy_objective())
    lines = tex(page, "toy")
    assert toy_objective.formula in lines[0]
    assert re.search(r"\\tfrac ?1\{2\}\\cdot ?\\tanh", lines[1]), lines[1]
    expect(page.locator("[data-formula=toy] code").first).to_contain_text("tanh")
    assert number(lines[2]) != 0


def test_each_quantity_has_its_own_colours_and_legend(strip: Strip) -> None:
    page = strip(rollout([f" t{i}" for i in range(40)], spread=0.8), "sapo,gspo")
    legends, looks = set(), set()
    for quantity in QUANTITIES:
        page.get_by_test_id(f"show-{quantity}").click()
        expect(page.locator(f".tok[data-show={quantity}]")).to_be_visible()
        legends.add(page.get_by_test_id("legend").inner_text())
        looks.add(tuple(colours(page)))
    assert len(legends) == 4
    assert len(looks) == 3, "at token level log r is z; the four others of each pair differ"
    expect(page.locator("[data-bar]")).to_have_count(2)  # the bars say what each loses, whatever is coloured


def test_text_on_every_colour_of_every_quantity_has_a_contrast_of_at_least_4_5_by_day_and_by_night(
    visit: Visit,
) -> None:
    """WCAG 2 contrast of each cell's text on its ground; masked tokens stand on the page's own."""
    data = rollout([f"t{i}" for i in range(120)], spread=1.5, mask=[i % 9 > 0 for i in range(120)])
    page = open_file(visit, data, query="&objectives=sapo,grpo,cispo&cispo.eps_low=0.1")
    expect(first_row(page).first).to_be_visible()
    for scheme in SCHEMES:
        turn(page, scheme)
        for quantity in QUANTITIES:
            page.get_by_test_id(f"show-{quantity}").click()
            expect(page.locator(f".tok[data-show={quantity}]")).to_be_visible()
            eventually(page, lambda: page.evaluate(WORST_CONTRAST), lambda contrast: 4.5 <= contrast <= 21)


def test_a_link_restores_token_and_colours(visit: Visit) -> None:
    page = open_file(visit, rollout([f" t{i}" for i in range(3000)]), query="&show=ratio&token=2801")
    comes_into_sight(page, '.tok-cell[aria-selected="true"]')
    expect(page.get_by_test_id("token-details")).to_contain_text("token 2,801 of 3,000")
    expect(page.get_by_test_id("show-ratio")).to_have_attribute("aria-pressed", "true")
    page.get_by_test_id("show-weight").click()
    page.wait_for_function("() => !location.search.includes('show=') && location.search.includes('token=2801')")


def test_choosing_a_token_does_not_send_the_sequence_again_and_another_sequence_forgets_the_token(visit: Visit) -> None:
    page = open_file(visit, rollout([f" w{i}" for i in range(5000)]) + rollout(list("efghi"), seed=1), query="&seq=1")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    received: list[int] = []
    session.on("Network.webSocketFrameReceived", lambda f: received.append(len(f["response"]["payloadData"])))
    choose(page, 20, 5000)
    page.wait_for_url("**token=21**")
    settle(page)
    assert sum(received) < 20_000, "bytes of base64; the sequence alone is 100 kB"
    page.get_by_role("button", name="Next", exact=True).click()
    page.wait_for_function("() => !location.search.includes('token=')")
    expect(first_row(page)).to_have_count(5)


def test_text_is_found_across_tokens_and_far_below(strip: Strip) -> None:
    tokens = [f" t{i}" for i in range(4000)]
    tokens[3500:3502] = [" need", "LE"]
    page = strip(rollout(tokens))
    page.get_by_test_id("find").fill("needle")
    expect(page.locator(".tok-count")).to_have_text("1 of 1")
    comes_into_sight(page, ".tok-cell[data-found]")
    found = page.locator(".tok-cell[data-found]")
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


def test_enter_leads_to_the_numbers_and_escape_back(strip: Strip) -> None:
    page = strip(rollout(["a", "\n", "c"]))
    choose(page, 1, 3)
    token = page.locator('.tok-cell[aria-selected="true"]')
    expect(token).to_have_attribute("aria-label", re.compile("LF.*token 2 of 3.*SAPO w"))
    expect(token).to_have_attribute("aria-posinset", "2")
    page.keyboard.press("Enter")
    expect(page.locator(".tok-token")).to_be_focused()
    page.keyboard.press("Escape")
    expect(token).to_be_focused()


def test_a_token_is_spelled_out_where_it_needs_it(strip: Strip) -> None:
    page = strip(rollout([" x\n\u200b", "\ufffd", "", "plain"]))
    details = page.get_by_test_id("token-details")
    for index, spelled in ((0, r" x\n\u{200b}"), (1, r"\u{fffd}")):
        first_row(page).nth(index).click()
        expect(details.locator(".tok-escaped")).to_have_text(spelled)
    first_row(page).nth(3).click()
    expect(details.locator(".tok-escaped")).to_have_count(0)


def test_formulas_break_where_there_is_no_room(visit: Visit) -> None:
    page = open_file(visit, rollout(list("abc")), query="&objectives=" + ",".join(CATALOG))
    expect(page.locator(".tok-tex .katex-html")).to_have_count(4 * len(CATALOG))  # set as st.latex sets it
    expect(page.locator(".katex-error")).to_have_count(0)
    page.evaluate("document.fonts.ready.then(() => 0)")
    over = "rows => Math.max(...rows.map((row) => row.scrollWidth - row.clientWidth))"
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        most = 1 if width == 1440 else 60  # at phone width the widest symbolic formulas scroll a little
        eventually(page, lambda: page.locator(".tok-tex").evaluate_all(over), lambda pixels, most=most: pixels <= most)
        page.wait_for_function("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_advantages_of_both_signs_fill_in_their_own_knob(strip: Strip) -> None:
    item: dict[str, Any] = {"tokens": ["a", "b"], "logprobs": [-0.5, -1.0], "old_logprobs": [-1.0, -1.1]}
    data = json.dumps({**item, "advantages": [1.0, -0.5]}).encode()
    page = strip(data, "", sapo=CATALOG["sapo"](tau_pos=3.0, tau_neg=7.0))
    for index, tau in ((0, "3"), (1, "7")):
        first_row(page).nth(index).click()
        expect(page.locator("[data-formula=sapo] .tok-tex").nth(1)).to_have_attribute(
            "data-tex", re.compile(rf"\{{{tau}\}}")
        )


def bars(page: Page, name: str, kind: str = "lost") -> str:
    """Where the bars of an objective are drawn, as the path says it."""
    return page.locator(f".tok-bars [data-objective={name}] .tok-{kind}").get_attribute("d") or ""


def test_ordinary_tokens_are_ink_on_paper_and_what_is_lost_stands_out(strip: Strip) -> None:
    """r = 1, 1.5, 1, 0.4 at A = 1: GRPO cuts the second token, SAPO dims it, and what fell is kept whole by GRPO."""
    old = [-2.0] * 4
    ratios = (1.0, 1.5, 1.0, 0.4)
    new = [value + math.log(r) for value, r in zip(old, ratios, strict=True)]
    item = {"tokens": ["We", " all", " keep", " on"], "logprobs": new, "old_logprobs": old, "advantage": 1.0}
    page = strip(json.dumps(item).encode(), sapo=CATALOG["sapo"](tau_pos=3.0))
    looks = "cells => cells.map((cell) => [cell.dataset.look ?? '', cell.style.backgroundColor !== ''])"
    wanted = [["", False], ["cut", True], ["", False], ["dimmed", True]]
    eventually(page, lambda: first_row(page).evaluate_all(looks), wanted)
    assert bars(page, "grpo").count("M") == 1 and bars(page, "sapo").count("M") == 2
    first_row(page).nth(1).hover()
    card = page.locator(".tok-card")
    expect(card.locator("tr")).to_contain_text([re.compile(r"SAPO.*keeps \d+ %"), re.compile("GRPO.*cut")])
    page.get_by_test_id("view-sapo").click()
    eventually(page, lambda: first_row(page).nth(1).get_attribute("data-look"), "dimmed")


def test_turned_round_and_amplified_tokens_look_like_neither_cut_nor_dimmed(strip: Strip) -> None:
    page = strip(rollout([f" t{i}" for i in range(40)], spread=0.8), "cfpo")
    for kind in ("reversed", "more"):
        expect(page.locator(f'.tok-cell[data-look="{kind}"]').first).to_be_visible()
        expect(page.locator(f'.tok-legend [data-look="{kind}"]')).to_be_visible()
        eventually(page, lambda kind=kind: bars(page, "cfpo", kind), lambda path: path.startswith("M"))


def test_line_ends_break_lines_and_arabic_runs_to_the_left(strip: Strip) -> None:
    tokens = ["if x:", "\n    ", "return", "\n", "سلام", " عليكم", "\n", "end"]
    page = strip(rollout(tokens, mask=[1] * 7 + [0]))
    lines = page.locator(".tok-line")
    eventually(page, lines.all_text_contents, ["if x:\n", "    return\n", "سلام عليكم\n", "end"])
    assert [line.get_attribute("dir") for line in lines.all()] == ["ltr", "ltr", "rtl", "ltr"]
    right = "cells => cells[0].getBoundingClientRect().left > cells[1].getBoundingClientRect().left"
    assert lines.nth(2).locator(".tok-cell").evaluate_all(right)
    expect(lines.nth(3).locator('[data-look="masked"]')).to_have_count(1)
    first_row(page).first.click()
    where = page.locator('.tok-cell[aria-selected="true"]')
    page.keyboard.press("ArrowDown")
    expect(where).to_have_attribute("data-i", "2")  # past the token that both lines share
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(where).to_have_attribute("data-i", "7")


def test_no_line_of_prose_runs_out_of_its_window(visit: Visit) -> None:
    """In the app's own font, whose blank is narrower than the room that is drawn before a word."""
    data = rollout(
        [f" {word}" for word in ["so", "is", "it", "3", "we", "a", "on", "+", "in", "by", "to", "of", "an", "at"] * 40]
    )
    lines = open_file(visit, data).locator(".tok-line")
    expect(lines.nth(3)).to_be_visible()
    beyond = """lines => Math.max(...lines.map((line) => line.lastElementChild.getBoundingClientRect().right
      - document.querySelector('.tok-lines').getBoundingClientRect().right))"""
    assert -60 < lines.evaluate_all(beyond) <= 0


def test_turns_and_calls_are_blocks_and_images_are_boxes(strip: Strip) -> None:
    tokens = ["<|im_start|>", "user", "\n", *["<|image_pad|>"] * 6, "?", "<|im_end|>", "\n"]
    tokens += [
        "<|im_start|>",
        "assistant",
        "\n",
        "<tool_call>",
        "f()",
        "</tool_call>",
        "⟨E4⟩⟨BD⟩",
        "⟨A0⟩",
        "<|im_end|>",
    ]
    page = strip(rollout(tokens))
    tags = "lines => lines.map((line) => line.dataset.tag).filter(Boolean)"
    eventually(
        page, lambda: page.locator(".tok-line").evaluate_all(tags), ["user", "image × 6", "assistant", "tool call"]
    )
    expect(page.locator(".tok-place")).to_have_count(6)
    expect(page.locator(".tok-mark[data-half=whole]")).to_have_attribute("data-glyph", "你")


def test_search_goes_on_in_the_other_sequences(visit: Visit) -> None:
    data = rollout(["a", " b"]) + rollout(["x", " need", "le"], seed=1) + rollout([" needle", " needle", "y"], seed=2)
    page = open_file(visit, data, query="&seq=1")
    said = page.locator(".tok-count")

    def numbers() -> list[str]:
        """One, and for a moment after a step the one before beside it."""
        values = page.get_by_label("Sequence, of 3").evaluate_all("inputs => inputs.map((input) => input.value)")
        return values  # type: ignore[no-any-return]

    page.get_by_test_id("find").fill("Needle")
    eventually(page, said.all_text_contents, ["0 here, 3 in 2 others"])
    page.keyboard.press("Enter")
    eventually(page, numbers, ["2"])
    settle(page)
    eventually(page, said.all_text_contents, ["1 of 1; 2 in 1 others"])
    expect(page.get_by_test_id("find")).to_be_focused()  # the next key goes on from here
    page.keyboard.press("Enter")
    eventually(page, numbers, ["3"])
    settle(page)
    eventually(page, said.all_text_contents, ["1 of 2; 1 in 1 others"])
    comes_into_sight(page, ".tok-cell[data-found]")
    expect(page.get_by_test_id("find")).to_be_focused()
    page.keyboard.press("Shift+Enter")
    eventually(page, numbers, ["2"])
    settle(page)
    page.get_by_test_id("find").fill("nowhere")
    eventually(page, said.all_text_contents, ["not found"])
