"""The token strip in a real browser: exact text, the colours of the numbers, the hand, the keys, and size."""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from sapo_viz import CATALOG
from sapo_viz.rollouts.analysis import analyse
from sapo_viz.rollouts.read import parse_rollouts
from scripts.browser import settle

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Visit

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
    *("<script>window.hurt=1</script>", "<img src=x onerror='window.hurt=1'>", "\r\n", "</think>", "w" * 600),
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
    expect(page.locator(".tok[data-ready=true]")).to_be_visible(timeout=30_000)
    settle(page)
    return page


def give(page: Page, data: bytes, name: str) -> None:
    files = [{"name": name, "mimeType": "application/octet-stream", "buffer": data}]
    page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]


def first_row(page: Page) -> Any:
    return page.locator(".tok-row:not([aria-hidden]) .tok-cell")


def test_tokens_show_exactly_as_they_are(visit: Visit) -> None:
    page = open_file(visit, rollout(NASTY))
    shown = first_row(page).evaluate_all("cells => cells.map((cell) => cell.textContent)")
    assert shown == [token[:400] for token in NASTY]
    inside = page.locator(".tok-cell *").evaluate_all("nodes => [...new Set(nodes.map((n) => n.tagName))]")
    assert inside == ["I"], "only the marks that stand for inkless characters"
    assert page.evaluate("window.hurt") is None
    first_row(page).nth(NASTY.index("w" * 600)).click()
    assert page.locator(".tok-text").text_content() == "w" * 600


def test_every_inkless_character_has_a_mark(visit: Visit) -> None:
    page = open_file(visit, rollout(NASTY))
    marks = set(page.locator(".tok-mark").evaluate_all("nodes => nodes.map((n) => n.dataset.glyph)"))
    assert {"⏎", "⇥", "RLO", "ZWSP", "NUL", "ESC", "CR", "⍽", "∅", "◌"} <= marks


def test_copying_gives_the_tokens_own_characters_once(visit: Visit) -> None:
    tokens = ["<a>", " b", "\n", "\u202e", "c"]
    page = open_file(visit, rollout(tokens))
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


@pytest.mark.parametrize("advantage", [1.0, -0.7, 0.0])
def test_the_browsers_numbers_are_those_of_python_for_every_objective(visit: Visit, advantage: float) -> None:
    """w and c of each token as the details show them, four digits, against the analysis."""
    data = rollout(["a", "b", "c", "d", "e"], advantage=advantage, seed=3, mask=[1, 1, 0, 1, 1])
    names = list(CATALOG)
    page = open_file(visit, data, query="&objectives=" + ",".join(names))
    table = analyse(parse_rollouts(data, "x"), {name: cls() for name, cls in CATALOG.items()}).token_table(0)
    for index in (0, 1, 3, 4):
        first_row(page).nth(index).click()
        rows = page.get_by_test_id("token-details").locator("tbody tr").all()
        assert len(rows) == len(names)
        for name, row in zip(names, rows, strict=True):
            w, c = (number(text) for text in row.locator("td").all_text_contents()[:2])
            assert w == pytest.approx(table[f"weight_{name}"][index], rel=2e-3, abs=1e-6), name
            assert c == pytest.approx(table[f"coefficient_{name}"][index], rel=2e-3, abs=1e-6), name


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_advantages_that_differ_within_a_sequence_are_weighed_right(visit: Visit) -> None:
    data = json.dumps(
        {
            "tokens": ["a", "b"],
            "logprobs": [-0.5, -1.0],
            "old_logprobs": [-1.0, -1.1],
            "advantages": [1.0, -0.5],
        }
    ).encode()
    page = open_file(visit, data, query="&objectives=sapo,gspo")
    table = analyse(parse_rollouts(data, "x"), {n: CATALOG[n]() for n in ("sapo", "gspo")}).token_table(0)
    for index in (0, 1):
        first_row(page).nth(index).click()
        for name, row in zip(("sapo", "gspo"), page.locator(".tok-details tbody tr").all(), strict=True):
            assert number(row.locator("td").first.inner_text()) == pytest.approx(
                table[f"weight_{name}"][index], abs=1e-4
            )


def test_tokens_follow_the_drag_without_traffic_and_keep_the_chosen_one(visit: Visit) -> None:
    page = open_file(visit, rollout([f" t{i}" for i in range(60)]))
    first_row(page).nth(7).click()
    page.wait_for_url("**token=8**")
    settle(page)
    before = first_row(page).evaluate_all("cells => cells.map((cell) => cell.style.backgroundColor)")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    sent: list[Any] = []
    session.on("Network.webSocketFrameSent", lambda frame: sent.append(frame))
    slider = page.get_by_test_id("knob-sapo-tau_pos").bounding_box()
    assert slider is not None
    y = slider["y"] + slider["height"] / 2
    page.mouse.move(slider["x"] + slider["width"] * 0.5, y)
    page.mouse.down()
    for step in range(10):
        page.mouse.move(slider["x"] + slider["width"] * (0.5 + step * 0.04), y)
        page.wait_for_timeout(20)
    during = first_row(page).evaluate_all("cells => cells.map((cell) => cell.style.backgroundColor)")
    assert during != before and sent == []
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
    assert page.locator(".tok-row[data-objective=gspo]").count() == 0
    page.get_by_test_id("view-compare").click()
    expect(page.locator(".tok-row[data-objective=gspo]").first).to_be_visible()
    page.wait_for_function("!location.search.includes('view=')")


def test_arrow_keys_walk_from_token_to_token(visit: Visit) -> None:
    page = open_file(visit, rollout([f" t{i}" for i in range(200)]))
    first_row(page).first.click()
    where = page.locator('.tok-cell[aria-selected="true"]')
    for key, place in (("ArrowRight", "1"), ("ArrowRight", "2"), ("ArrowLeft", "1"), ("End", "199"), ("Home", "0")):
        page.keyboard.press(key)
        expect(where).to_have_attribute("data-i", place)
        expect(where).to_be_focused()
    page.keyboard.press("ArrowDown")
    assert int(where.get_attribute("data-i") or 0) > 5


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_on_every_colour_has_a_contrast_of_at_least_4_5(visit: Visit, scheme: str) -> None:
    """WCAG 2 contrast of each cell's text on its ground; masked tokens stand on the page's own."""
    data = rollout([f"t{i}" for i in range(120)], spread=1.5, mask=[i % 9 > 0 for i in range(120)])
    page = open_file(visit, data, query="&objectives=sapo,grpo,cispo&cispo.eps_low=0.1", scheme=scheme)
    assert page.evaluate(WORST_CONTRAST) >= 4.5


def recolour_times(page: Page, presses: int) -> list[float]:
    page.get_by_test_id("knob-sapo-tau_pos").focus()
    times = []
    for _ in range(presses):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(60)
        times.append(float(page.locator(".tok").get_attribute("data-recolour-ms") or "nan"))
    return times


def test_ten_thousand_tokens_recolour_within_a_few_frames(visit: Visit) -> None:
    """Usually 2 to 9 ms on a 2-core machine; the bound leaves room for a busy one."""
    page = open_file(visit, rollout([f" w{i % 97}" for i in range(10_000)]))
    assert statistics.median(recolour_times(page, 9)) < 50


def test_a_very_long_sequence_is_shown_in_parts(visit: Visit) -> None:
    page = open_file(visit, rollout([f" w{i % 97}" for i in range(60_000)]))
    expect(page.get_by_text("This sequence has 60,000 tokens")).to_be_visible()
    assert page.locator(".tok-cell").count() < 5_000, "only what is in sight is in the document"
    page.locator(".tok-scroll").evaluate("view => { view.scrollTop = view.scrollHeight; }")
    expect(page.locator('.tok-cell[data-i="49999"]').first).to_be_visible()


def test_a_bad_file_is_one_sentence_and_the_view_stays(visit: Visit) -> None:
    page = open_file(visit, rollout(["a", "b"]))
    give(page, b'{"tokens": ["a"], "logprobs": ["x"], "old_logprobs": [-1], "advantage": 1}', "bad.jsonl")
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text("bad.jsonl, line 1: logprobs[0] is 'x', which is text")
    expect(first_row(page)).to_have_count(2)


@pytest.mark.parametrize("width", [1440, 390])
def test_long_and_strange_tokens_do_not_stick_out(visit: Visit, width: int) -> None:
    page = open_file(visit, rollout(NASTY), width=width)
    for cell in first_row(page).all():
        box, strip = cell.bounding_box(), page.locator(".tok-scroll").bounding_box()
        assert box and strip and box["x"] + box["width"] <= strip["x"] + strip["width"] + 1
    wide, seen = page.evaluate(
        "(() => { const e = document.documentElement; return [e.scrollWidth, e.clientWidth]; })()"
    )
    assert wide <= seen


def test_the_token_table_downloads(visit: Visit, tmp_path: Path) -> None:
    page = open_file(visit, rollout(["<a>", " b"]))
    page.get_by_text("Every token of this sequence").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Token table, CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text.startswith("position,token,mask,logprob") and "<a>" in text and "weight_sapo" in text
