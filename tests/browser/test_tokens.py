"""The token strip in a real browser: exact text, the colours of the numbers, the hand, the keys, and size."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from sapo_viz import CATALOG
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.readers.read import parse_rollouts
from scripts.browser import WIDTHS, settle
from tests.browser.conftest import eventually, hold, listen

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Strip, Visit

# What must show as it is: markup, Markdown, line ends, marks of direction, half characters, nothing at all.
NASTY = [
    *(
        "<think>",
        "\n",
        " Let",
        " <",
        "b",
        ">",
        "</td>",
        "&amp;",
        "\t",
        "$x^2$",
        "**bold**",
        "`code`",
        ":material/home:",
    ),
    *(
        "\u202e",
        "abc",
        "\u200b",
        "�",
        "e",
        "\u0301",
        "日本",
        "😀",
        "  ",
        " .\n\n",
        "a\u00a0b",
        "",
        "שלום",
        "\x00",
        "\x1b[31m",
    ),
    *("<script>window.hurt=1</script>", "<img src=x onerror='window.hurt=1'>", "\r\n", "</think>"),
    *("w" * 600, "ab" * 5000),
]


def rollout(tokens: list[str], *, advantage: float = 1.0, spread: float = 0.5, seed: int = 0, **more: Any) -> bytes:
    rng = random.Random(seed)
    old = [-rng.expovariate(1) - 0.05 for _ in tokens]
    new = [min(0.0, value + rng.gauss(0, spread)) for value in old]
    item = {"tokens": tokens, "logprobs": new, "old_logprobs": old, "advantage": advantage, **more}
    return json.dumps(item, ensure_ascii=False).encode() + b"\n"


def open_file(visit: Visit, data: bytes, *, query: str = "", name: str = "mine.jsonl", **more: Any) -> Page:
    page = visit(f"/tokens?source=file{query}", **more)
    give(page, data, name)
    expect(page.locator(".tok[data-ready=true]")).to_be_visible()
    settle(page)
    return page


def give(page: Page, data: bytes, name: str) -> None:
    files = [{"name": name, "mimeType": "application/octet-stream", "buffer": data}]
    page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]


def first_row(page: Page) -> Any:
    """A cell a token; what of a token stands in a further line is hidden from voices."""
    return page.locator(".tok-cell:not([aria-hidden])")


def texts(page: Page) -> list[str]:
    """The tokens in the document, each put together from the lines that it is spread over."""
    whole = """cells => Object.values(Object.groupBy(cells, (cell) => cell.dataset.i))
      .map((parts) => parts.map((part) => part.textContent).join(''))"""
    return page.locator(".tok-cell").evaluate_all(whole)  # type: ignore[no-any-return]


def choose(page: Page, index: int, count: int) -> None:
    """Click on token `index` of `count`; its numbers are shown together with its place."""
    first_row(page).nth(index).click()
    expect(page.get_by_test_id("token-details")).to_contain_text(f"token {index + 1:,} of {count:,}")


def cells_shown(page: Page) -> list[list[str]]:
    """The token's table: a list of w, c and ratio for each objective, all of one moment."""
    rows = page.get_by_test_id("token-details").locator("tbody tr")
    cells = "rows => rows.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent))"
    return rows.evaluate_all(cells)  # type: ignore[no-any-return]


def colours(page: Page) -> list[str]:
    shown = first_row(page).evaluate_all("cells => cells.map((cell) => cell.style.backgroundColor)")
    return shown  # type: ignore[no-any-return]


def test_tokens_show_exactly_as_they_are_and_none_sticks_out_on_a_laptop_and_on_a_phone(visit: Visit) -> None:
    page = open_file(visit, rollout(NASTY))
    eventually(page, lambda: texts(page), [token[:400] for token in NASTY])
    inside = page.locator(".tok-cell *").evaluate_all("nodes => [...new Set(nodes.map((n) => n.tagName))]")
    assert inside == ["I"], "only the marks that stand for inkless characters"
    assert page.evaluate("window.hurt") is None
    wanted = {"⏎", "⇥", "RLO", "ZWSP", "NUL", "ESC", "CR", "⍽", "∅", "◌"}
    glyphs = "nodes => nodes.map((n) => n.dataset.glyph)"
    eventually(page, lambda: set(page.locator(".tok-mark").evaluate_all(glyphs)), wanted.issubset)
    for long in ("w" * 600, "ab" * 5000):
        choose(page, NASTY.index(long), len(NASTY))
        eventually(page, page.locator(".tok-text").text_content, long)
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        none_sticks_out(page)


def none_sticks_out(page: Page) -> None:
    expect(first_row(page)).not_to_have_count(0)
    page.evaluate("document.fonts.ready.then(() => 0)")  # lines are broken anew then
    sticks_out = """() => {
      const right = document.querySelector('.tok-scroll').getBoundingClientRect().right + 1;
      const cells = [...document.querySelectorAll('.tok-cell')];
      return cells.filter((cell) => cell.getBoundingClientRect().right > right).length;
    }"""
    eventually(page, lambda: page.evaluate(sticks_out), 0)
    page.wait_for_function("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_copying_gives_the_tokens_own_characters_once(strip: Strip) -> None:
    tokens = ["<a>", " b", "\n", "\u202e", "c"]
    page = strip(rollout(tokens))
    expect(first_row(page)).to_have_count(len(tokens))
    copied = page.evaluate(
        """() => {
          const lines = document.querySelector('.tok-lines');
          getSelection().selectAllChildren(lines);
          const clipboardData = new DataTransfer();
          lines.dispatchEvent(new ClipboardEvent('copy', { clipboardData, bubbles: true, cancelable: true }));
          return clipboardData.getData('text/plain');
        }"""
    )
    assert copied == "".join(tokens)


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_advantages_that_differ_within_a_sequence_are_weighed_right(strip: Strip) -> None:
    data = json.dumps(
        {
            "tokens": ["a", "b"],
            "logprobs": [-0.5, -1.0],
            "old_logprobs": [-1.0, -1.1],
            "advantages": [1.0, -0.5],
        }
    ).encode()
    page = strip(data, "sapo,gspo")
    table = analyse(parse_rollouts(data, "x"), {n: CATALOG[n]() for n in ("sapo", "gspo")}).token_table(0)
    for index in (0, 1):
        choose(page, index, 2)
        weights = [table[f"weight_{name}"][index] for name in ("sapo", "gspo")]
        eventually(page, lambda: [number(cells[0]) for cells in cells_shown(page)], pytest.approx(weights, abs=1e-4))


def test_tokens_follow_the_drag_without_traffic_and_keep_the_chosen_one(visit: Visit) -> None:
    page = open_file(visit, rollout([f" t{i}" for i in range(60)]))
    choose(page, 7, 60)
    page.wait_for_url("**token=8**")
    settle(page)
    before = colours(page)
    sent = listen(page)
    x, y, width, height = hold(page, page.get_by_test_id("knob-sapo-tau_pos"))
    page.mouse.down()
    page.mouse.move(x + width * 0.86, y + height / 2, steps=10)
    eventually(page, lambda: colours(page), lambda during: during != before)
    assert sent == []
    page.mouse.up()
    page.wait_for_url("**sapo.tau_pos=**")
    settle(page)
    expect(page.locator('.tok-cell[aria-selected="true"]')).to_have_attribute("data-i", "7")
    expect(page.get_by_test_id("token-details")).to_contain_text("token 8 of 60")


def test_a_link_shows_the_same_picture(visit: Visit) -> None:
    query = "&objectives=sapo,gspo&view=sapo&sapo.tau_pos=4"
    page = open_file(visit, rollout(["a", " b", " c"]), query=query)
    expect(page.get_by_test_id("view-sapo")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("SAPO tau_pos, as a number")).to_have_value("4")
    expect(page.locator("[data-bar=gspo]")).to_have_count(0)
    page.get_by_test_id("view-compare").click()
    expect(page.locator("[data-bar=gspo]")).to_be_visible()
    page.wait_for_function("() => !location.search.includes('view=')")


def test_arrow_keys_walk_from_token_to_token(strip: Strip) -> None:
    page = strip(rollout([f" t{i}" for i in range(200)]))
    first_row(page).first.click()
    where = page.locator('.tok-cell[aria-selected="true"]')
    for key, place in (("ArrowRight", "1"), ("ArrowRight", "2"), ("ArrowLeft", "1"), ("End", "199"), ("Home", "0")):
        page.keyboard.press(key)
        expect(where).to_have_attribute("data-i", place)
        expect(where).to_be_focused()
    page.keyboard.press("ArrowDown")
    eventually(page, lambda: int(where.get_attribute("data-i") or 0), lambda place: place > 5)


def recolours_in_place(page: Page) -> None:
    """A knob under the hand gives the cells in sight other colours; no cell is made anew, and there are few of them."""
    cells = page.locator(".tok-cell")
    eventually(page, cells.count, lambda count: 0 < count < 5_000)
    page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")  # lines are broken anew then
    cells.evaluate_all("cells => { for (const cell of cells) cell.known = true; }")
    x, y, width, height = hold(page, page.get_by_test_id("knob-sapo-tau_pos"))
    page.mouse.down()
    for share in (0.6, 0.7, 0.8):
        before = colours(page)
        page.mouse.move(x + width * share, y + height / 2)
        eventually(page, lambda: colours(page), lambda now, before=before: now != before)
    assert cells.evaluate_all("cells => cells.every((cell) => cell.known) && cells.length < 5000")
    page.mouse.up()


def test_a_very_long_sequence_is_shown_in_parts_whose_fifty_thousand_tokens_recolour_in_place(visit: Visit) -> None:
    """How fast that is: benchmarks/strip.py."""
    page = open_file(visit, rollout([f" w{i % 97}" for i in range(60_000)]))
    expect(page.get_by_text("This sequence has 60,000 tokens")).to_be_visible()
    recolours_in_place(page)
    page.locator(".tok-scroll").evaluate("view => { view.scrollTop = view.scrollHeight; }")
    expect(page.locator('.tok-cell[data-i="49999"]').first).to_be_visible()


def test_a_bad_file_is_one_sentence_and_the_view_stays(visit: Visit) -> None:
    page = open_file(visit, rollout(["a", "b"]))
    give(page, b'{"tokens": ["a"], "logprobs": ["x"], "old_logprobs": [-1], "advantage": 1}', "bad.jsonl")
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text("bad.jsonl, line 1: logprobs[0] is 'x', which is text")
    expect(first_row(page)).to_have_count(2)


def test_an_address_in_a_file_becomes_no_link_and_the_token_table_is_taken_home_guarded(visit: Visit) -> None:
    """A field's name and a sequence's id are a stranger's; Streamlit's own CSV of a table would hold live formulas."""
    address = "https://evil.example/login"
    more = {"id": f"www.evil.example {address}", address: 1, "me@evil.example": 2}
    page = open_file(visit, rollout(["<a>", "=1+1", " b"], **more))
    expect(page.get_by_text("evil.example").first).to_be_visible()
    expect(page.locator("a[href*='evil.example']")).to_have_count(0)
    page.get_by_text("Every token of this sequence").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Token table, CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text.startswith("sequence,position,token,mask,logprob") and "weight_sapo" in text
    assert "<a>" in text and "'=1+1" in text
    page.get_by_test_id("stDataFrame").first.hover()
    expect(page.get_by_test_id("stElementToolbar").first).to_be_visible()
    expect(page.get_by_label("Download as CSV").first).to_be_hidden()
