"""The three exhibits under a real hand: handles, sliders, cases, link, downloads; and no traffic while it drags."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse

import pytest
import torch
from playwright.sync_api import expect

from sapo_viz import make_objective
from sapo_viz.core.curves import curve
from tests.browser.conftest import eventually, hold, listen, save

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

WORKED = (1.02, 1.01, 0.99, 2.5)


def numbers(page: Page, row: int) -> list[str]:
    """The weights over the bars of one objective."""
    labels = page.locator(".exh [data-testid^=row-]").nth(row).locator("g").nth(1).locator("text")
    return list(labels.all_text_contents())


def kept(page: Page, name: str) -> float:
    return float(page.get_by_test_id(f"row-{name}").get_attribute("data-kept") or "nan")


def alive(page: Page, name: str) -> int:
    return int(page.get_by_test_id(f"row-{name}").get_attribute("data-alive") or "-1")


def query(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}


def drag(page: Page, test_id: str, dx: float, dy: float, *, release: bool = True) -> None:
    thing = page.get_by_test_id(test_id)
    if test_id.startswith("handle"):  # the handle's circle, not its number or its label below the axis
        thing = thing.locator(".exh-knob")
    left, top, width, height = hold(page, thing)
    x, y = left + width / 2, top + height / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=10)
    if release:
        page.mouse.up()


def rows_of(page: Page, folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(save(page, "save-csv", folder).read_text(encoding="utf-8"))))


# ── outlier tokens ──────────────────────────────────────────────────────────────────────────────


def test_the_worked_case_is_the_designs_and_other_cases_show_where_the_argument_stops_holding(
    visit: Any, tmp_path: Path
) -> None:
    page = visit("/outlier")
    eventually(page, lambda: [alive(page, name) for name in ("sapo", "grpo", "gspo")], [4, 3, 0])
    eventually(page, lambda: [kept(page, name) for name in ("gspo", "grpo")], [0, pytest.approx(0.75)])
    eventually(page, lambda: numbers(page, 0), [">.999", ">.999", ">.999", "0.597"])  # sech²((r − 1)/2) at τ = 1
    expect(page.get_by_text("s = 1.264", exact=True)).to_have_count(1)  # exp(mean log r)
    assert_pictures_and_words(page, tmp_path)
    for case, gspo, grpo in (("negative", 4, 4), ("wide", 4, 3), ("long", 2400, 2399), ("below", 4, 4)):
        page.get_by_test_id(f"case-{case}").click()
        expect(page.get_by_test_id(f"case-{case}")).to_have_attribute("aria-pressed", "true")
        eventually(page, lambda: (alive(page, "gspo"), alive(page, "grpo")), (gspo, grpo))
    eventually(page, lambda: kept(page, "sapo"), lambda share: share < 0.98)  # it dims a corrective move too
    eventually(page, lambda: kept(page, "grpo"), pytest.approx(1, abs=1e-12))


def test_a_handle_follows_the_mouse_and_nothing_is_sent_until_release(visit: Any) -> None:
    page = visit("/outlier")
    page.get_by_test_id("handle-3").focus()
    sent = listen(page)
    before = kept(page, "sapo")
    drag(page, "handle-3", 0, 60, release=False)
    eventually(page, lambda: kept(page, "sapo"), lambda now: now > before)  # closer to 1, SAPO keeps more
    assert sent == []
    page.mouse.up()
    page.wait_for_url("**ratios=**")
    in_url = [float(ratio) for ratio in query(page)["ratios"].split(",")]
    assert in_url[:3] == list(WORKED[:3]) and 1 < in_url[3] < 2.5
    eventually(page, lambda: float(page.get_by_test_id("handle-3").get_attribute("aria-valuenow") or "nan"), in_url[3])


def test_the_keyboard_moves_a_handle(visit: Any) -> None:
    page = visit("/outlier")
    handle = page.get_by_role("slider", name="ratio of token 1")
    handle.focus()
    page.keyboard.press("ArrowUp")
    expect(handle).to_have_attribute("aria-valuenow", "1.03")
    page.keyboard.press("PageDown")
    expect(handle).to_have_attribute("aria-valuenow", "0.93")
    expect(handle).to_have_attribute("aria-valuetext", re.compile("SAPO"))
    page.wait_for_url("**ratios=0.93*")
    page.keyboard.press("Delete")
    expect(page.locator(".exh-handle")).to_have_count(3)


def test_a_finger_moves_a_handle(visit: Any) -> None:
    page = visit("/outlier", width=390)
    page.get_by_test_id("handle-3").scroll_into_view_if_needed()
    page.get_by_test_id("handle-3").evaluate(
        """(handle) => {
          const box = handle.querySelector('.exh-knob').getBoundingClientRect();
          const at = (type, dy) => handle.dispatchEvent(new PointerEvent(type, { pointerId: 7, pointerType: 'touch',
            isPrimary: true, bubbles: true, clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 + dy }));
          handle.setPointerCapture = () => {};
          handle.hasPointerCapture = () => true;
          at('pointerdown', 0); at('pointermove', 40); at('pointerup', 40);
        }"""
    )
    page.wait_for_url("**ratios=**")
    assert float(query(page)["ratios"].split(",")[3]) < 2.5
    assert page.get_by_test_id("handle-3").evaluate("handle => getComputedStyle(handle).touchAction") == "none"


def test_the_csv_of_the_outliers_is_pythons(visit: Any, tmp_path: Path) -> None:
    page = visit("/outlier?objectives=sapo,gspo,vespo,cispo&A=-1&ratios=0.5,1,1.3,4&sapo.tau_neg=3&gspo.eps_low=0.4")
    rows = rows_of(page, tmp_path)
    ratios = torch.tensor([0.5, 1, 1.3, 4], dtype=torch.float64)
    levels = {"sapo": ratios, "cispo": ratios, "gspo": ratios.log().mean().exp(), "vespo": ratios.prod()}
    knobs: dict[str, dict[str, float]] = {"sapo": {"tau_neg": 3.0}, "gspo": {"eps_low": 0.4}}
    for name, level in levels.items():
        python = curve(make_objective(name, knobs.get(name)), level.expand(4).contiguous(), -1.0, old_logprob=-3.0)
        got = [float(row["weight"]) for row in rows if row["objective"] == name]
        assert got == pytest.approx(python.weight.tolist(), rel=1e-9, abs=1e-9), name


# ── sequence coherence ──────────────────────────────────────────────────────────────────────────


def test_tau_moves_the_bound_while_it_is_dragged_and_nothing_is_sent(visit: Any) -> None:
    page = visit("/coherence")
    page.get_by_test_id("knob-numbers-tau").focus()
    sent = listen(page)
    line = page.locator(".exh-bound").first
    before = line.get_attribute("d") or ""
    drag(page, "knob-numbers-tau", 25, 0, release=False)
    expect(line).not_to_have_attribute("d", before)
    assert sent == []
    page.mouse.up()
    page.wait_for_url("**tau=**")


def test_the_verdict_says_that_the_bound_holds_and_the_axes_change_with_what_they_show(
    visit: Any, tmp_path: Path
) -> None:
    page = visit("/coherence")
    assert_pictures_and_words(page, tmp_path)
    page.get_by_test_id("case-heavy").click()
    expect(page.get_by_test_id("case-heavy")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_test_id("verdict-z")).to_contain_text("0 of 200 above the line")
    page.get_by_test_id("case-spread").click()
    expect(page.get_by_test_id("case-spread")).to_have_attribute("aria-pressed", "true")
    ticks = page.locator(".exh g").first.locator(".exh-tick")
    widest = max(float(row["variance"]) for row in rows_of(page, tmp_path))
    assert 0.8 * widest > 0.8
    eventually(page, lambda: max(float(text) for text in ticks.all_text_contents()), lambda top: top >= 0.8 * widest)


def test_a_sample_is_loaded_in_place_of_draws(visit: Any) -> None:
    page = visit("/coherence?source=outlier")
    expect(page.get_by_test_id("knob-numbers-tau")).to_be_visible()
    expect(page.get_by_test_id("knob-numbers-within")).to_have_count(0)
    expect(page.get_by_test_id("verdict-z")).to_contain_text("0 of")


# ── asymmetric temperatures ─────────────────────────────────────────────────────────────────────


def total(page: Page, which: str) -> float:
    return float((page.get_by_test_id(f"bar-{which}-others").text_content() or "").replace("−", "-"))


def test_tau_neg_moves_the_bad_update_only_and_nothing_is_sent(visit: Any) -> None:
    page = visit("/asymmetry?ratio=2.5")
    page.get_by_test_id("knob-knobs-tau_neg").focus()
    sent = listen(page)
    good, bad = total(page, "good"), total(page, "bad")
    drag(page, "knob-knobs-tau_neg", 20, 0, release=False)
    eventually(page, lambda: total(page, "bad"), lambda now: now < bad)
    assert total(page, "good") == good
    assert sent == []
    page.mouse.up()
    page.wait_for_url("**sapo.tau_neg=**")


def test_on_policy_tau_neg_changes_nothing(visit: Any, tmp_path: Path) -> None:
    page = visit("/asymmetry?ratio=1&sapo.tau_neg=9")
    eventually(page, lambda: (total(page, "bad"), total(page, "good")), (0.7, -0.7))
    assert_pictures_and_words(page, tmp_path)


# ── all three ───────────────────────────────────────────────────────────────────────────────────


def assert_pictures_and_words(page: Page, folder: Path) -> None:
    """Pictures are pictures, and the figure is said in words with the numbers of now."""
    assert save(page, "save-png", folder).read_bytes().startswith(b"\x89PNG")
    text = save(page, "save-svg", folder).read_text(encoding="utf-8")
    assert text.startswith("<svg") and "var(--" not in text, "it looks the same without the page"
    figure = page.locator(".exh-figure > svg")
    before = figure.get_attribute("aria-label") or ""
    assert len(before) > 100 and "{" not in before and "NaN" not in before
    page.locator(".exh-cases button").nth(2).click()
    expect(figure).not_to_have_attribute("aria-label", before)


def test_the_exhibits_are_in_the_menu_and_on_the_curves_page(visit: Any) -> None:
    page = visit("/curves")
    expect(page.get_by_role("link", name="Sequence coherence")).to_be_visible()
    page.get_by_text("Exhibits", exact=True).click()
    page.get_by_role("link", name="Outlier tokens").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("outlier token")


def test_a_link_opens_the_same_exhibit_elsewhere(visit: Any) -> None:
    link = "/outlier?objectives=grpo,sapo&ratios=1.5,0.4,1&A=-1&axis=log&show=coefficient&more=10&sapo.tau_neg=2"
    page = visit(link)
    for choice in ("sign--1", "axis-log", "show-coefficient"):
        expect(page.get_by_test_id(choice)).to_be_checked()
    for i, ratio in enumerate(["1.5", "0.4", "1"]):
        expect(page.get_by_test_id(f"handle-{i}")).to_have_attribute("aria-valuenow", ratio)
    page.get_by_label("SAPO tau_neg, as a number").fill("4")
    page.get_by_label("SAPO tau_neg, as a number").blur()
    page.wait_for_url("**sapo.tau_neg=4*")
    wanted = {"ratios": "1.5,0.4,1", "A": "-1", "axis": "log", "show": "coefficient", "more": "10", "sapo.tau_neg": "4"}
    eventually(page, lambda: {name: value for name, value in query(page).items() if name != "objectives"}, wanted)


def test_a_case_is_come_to_gradually_and_at_once_by_whom_motion_disturbs(visit: Any) -> None:
    page = visit("/outlier")
    kept_now = "document.querySelector('[data-testid=row-gspo]').dataset.kept"
    press = f"name => {{ document.querySelector(`[data-testid=case-${{name}}]`).click(); return Number({kept_now}); }}"
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(press, "wide") == 0  # its band is still the narrow one
    eventually(page, lambda: kept(page, "gspo"), lambda now: now > 0.9)
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(press, "worked") == 0
