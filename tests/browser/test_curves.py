"""The curves page under a real hand: drag, release, zoom, link, downloads."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse

import pytest
import torch
from playwright.sync_api import expect

from sapo_viz import make_objective
from sapo_viz.core.curves import curve
from scripts.browser import settle
from tests.browser.conftest import eventually, hold, listen, save

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page


def open_curves(visit: Any, path: str) -> Page:
    """The page with its curves drawn."""
    page = visit(path)
    page.locator(".lab[data-ready=true]").wait_for()
    return page


def weight_line(page: Page) -> Locator:
    """The path of SAPO's weight for A > 0."""
    return page.locator(".lab .subplot.x3y3 path.js-line").first


def drag(page: Page, knob: str, start: float, stop: float, *, release: bool = True) -> None:
    x, y, width, height = hold(page, page.get_by_test_id(knob))
    page.mouse.move(x + width * start, y + height / 2)
    page.mouse.down()
    page.mouse.move(x + width * stop, y + height / 2, steps=10)
    if release:
        page.mouse.up()


def knob_box(page: Page, label: str) -> Locator:
    return page.get_by_label(f"{label}, as a number")


def knob_value(page: Page, label: str) -> float:
    return float(knob_box(page, label).input_value())


def facts_shown(page: Page) -> list[list[str]]:
    """The read-out: a row of cells for each objective and sign."""
    rows = page.get_by_test_id("readout").locator("tbody tr")
    cells = "rows => rows.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent))"
    return rows.evaluate_all(cells)  # type: ignore[no-any-return]


def test_curves_follow_the_drag_and_nothing_is_sent_until_release(visit: Any) -> None:
    page = open_curves(visit, "/curves")
    sent = listen(page)
    before = weight_line(page).get_attribute("d")
    assert before

    drag(page, "knob-sapo-tau_pos", 0.4, 0.8, release=False)

    expect(weight_line(page)).not_to_have_attribute("d", before)
    assert sent == []
    page.mouse.up()
    page.wait_for_url("**sapo.tau_pos=**")
    eventually(page, lambda: "frame" in sent, True)
    in_url = float(parse_qs(urlparse(page.url).query)["sapo.tau_pos"][0])
    assert in_url != 1.0
    eventually(page, lambda: knob_value(page, "SAPO tau_pos"), in_url)


def test_a_link_opens_the_same_picture_elsewhere(visit: Any) -> None:
    link = "/curves?objectives=sapo,gspo&show=weight,coefficient&axis=log&sapo.tau_pos=4&gspo.eps_high=0.02&r=1.5"
    first = open_curves(visit, link)
    expect(knob_box(first, "SAPO tau_pos")).to_have_value("4")
    expect(knob_box(first, "GSPO eps_high")).to_have_value("0.02")
    expect(first.get_by_test_id("readout").locator("caption")).to_have_text("Read at r = 1.5")
    expect(first.locator(".lab .xtick text").first).to_have_text("0.05")
    second = open_curves(visit, "/curves" + first.url.split("/curves")[1])
    lines = ".lab .subplot path.js-line"
    count = 8 + 2  # 2 objectives × 2 signs × 2 quantities, and where the tokens are for each sign
    for page in (first, second):
        expect(page.locator(lines)).to_have_count(count)
    drawn = first.locator(lines).evaluate_all("paths => paths.map(path => path.getAttribute('d'))")
    paths = "paths => paths.map(path => path.getAttribute('d'))"
    eventually(second, lambda: second.locator(lines).evaluate_all(paths), drawn)


def test_a_links_impossible_value_is_said_and_not_used(visit: Any) -> None:
    page = open_curves(visit, "/curves?sapo.tau_pos=-3")
    expect(page.get_by_role("alert")).to_contain_text("SAPO: tau_pos (τ₊) is -3.0; it takes values from 0.05")
    expect(knob_box(page, "SAPO tau_pos")).to_have_value("1")


def test_zoom_survives_a_change_of_tau(visit: Any) -> None:
    page = open_curves(visit, "/curves")
    lab = page.locator(".lab")
    drawn = lab.get_attribute("data-repaints") or ""
    x, y, width, height = hold(page, page.locator(".lab .nsewdrag").nth(2))
    page.mouse.move(x + width * 0.2, y + height * 0.2)
    page.mouse.down()
    page.mouse.move(x + width * 0.6, y + height * 0.8, steps=5)
    page.mouse.up()
    zoomed = "document.querySelector('.lab-figure')._fullLayout.xaxis.range.map(x => x.toFixed(3)).join()"
    before = eventually(page, lambda: page.evaluate(zoomed), lambda shown: shown != "0.000,3.000")
    expect(lab).not_to_have_attribute("data-repaints", drawn)  # a closer look has more points
    # Under the hand the lines' paths are written; Plotly has other data when the hand rests and all is drawn anew.
    data = "() => JSON.stringify(document.querySelector('.lab-figure').data.map(trace => [...trace.y]))"
    old = page.evaluate(f"({data})()")
    drag(page, "knob-sapo-tau_pos", 0.4, 0.7)
    page.wait_for_function(f"old => ({data})() !== old", arg=old)
    page.wait_for_url("**sapo.tau_pos=**")
    settle(page)
    assert page.evaluate(zoomed) == before


def test_the_keyboard_moves_a_knob_a_number_out_of_range_is_refused_and_pictures_are_pictures(
    visit: Any, tmp_path: Path
) -> None:
    page = open_curves(visit, "/curves")
    page.get_by_test_id("knob-grpo-eps_high").focus()
    page.keyboard.press("ArrowRight")
    eventually(page, lambda: knob_value(page, "GRPO eps_high"), pytest.approx(0.21))
    page.wait_for_url("**grpo.eps_high=0.21**")
    box = knob_box(page, "SAPO tau_pos")
    box.fill("99")
    eventually(page, lambda: box.evaluate("box => box.validationMessage"), "It takes values from 0.05 to 20.")
    box.blur()
    expect(box).to_have_value("1")
    assert save(page, "save-png", tmp_path).read_bytes().startswith(b"\x89PNG")
    assert save(page, "save-svg", tmp_path).read_text(encoding="utf-8").startswith("<svg")


def test_the_read_out_is_the_formula(visit: Any) -> None:
    """GRPO damps harmful moves only and is unbounded for A < 0; SAPO damps both sides."""
    page = open_curves(visit, "/curves?objectives=sapo,grpo&r=1.2")
    positive, negative, up, down = eventually(page, lambda: facts_shown(page), lambda rows: len(rows) == 4)
    assert positive[2] == f"{1 / math.cosh(0.1) ** 2:.4g}" == "0.9901"  # sech²(τ(r−1)/2) at τ = 1
    assert negative[2] == f"{1 / math.cosh(0.105) ** 2:.4g}"  # τ₋ = 1.05
    # Half-width 1.763/τ, 90 %-width 0.655/τ, and the peak of r·w for τ = 1, as the design computes them.
    assert positive[6] == "0 – 2.763" and negative[6] == f"0 – {1 + 1.7627 / 1.05:.4g}"
    assert positive[5] == f"{1 - 0.6549:.4g} – {1 + 0.6549:.4g}"
    assert positive[7] == "1.575 (r 2.06)"
    assert positive[8] == "both sides"
    assert up[6:] == ["0 – 1.2", "1.2 (r 1.2)", "harmful moves"]
    assert down[6:] == ["0.8 – ∞", "grows with r", "harmful moves"]


def test_the_matcher_finds_the_tau_that_keeps_what_the_band_keeps(visit: Any) -> None:
    """For a Gaussian of spread σ in log r, a clip at 1+ε keeps Φ(log(1+ε)/σ) for A > 0: Φ(0.9116) = 0.819."""
    page = open_curves(visit, "/curves")
    note = page.get_by_test_id("match")
    expect(note).to_contain_text("GRPO 81.9 % / 86.8 %")
    page.get_by_test_id("tau-from-eps").click()
    page.wait_for_url("**sapo.tau_pos=**")
    settle(page)

    def both_keep_the_same() -> None:
        sapo, grpo = (part.split("and")[0] for part in note.inner_text().split("keeps ")[1].split(" and GRPO "))
        assert sapo.strip(" .") == grpo.strip(" .")

    eventually(page, both_keep_the_same)
    tau = knob_value(page, "SAPO tau_pos")
    lab = page.locator(".lab")
    drawn = lab.get_attribute("data-repaints") or ""
    page.get_by_test_id("eps-from-tau").click()
    expect(lab).not_to_have_attribute("data-repaints", drawn)
    eventually(page, lambda: knob_value(page, "GRPO eps_high"), pytest.approx(0.2, abs=2e-3))
    assert knob_value(page, "SAPO tau_pos") == tau


def test_the_csv_holds_the_curves_that_python_computes_beside_the_ratios_of_a_sample(
    visit: Any, tmp_path: Path
) -> None:
    page = open_curves(visit, "/curves?objectives=sapo,grpo&sapo.tau_neg=3&ratios=sample+outlier")
    expect(page.locator(".lab-panel")).to_contain_text("tokens of sample outlier")
    text = save(page, "save-csv", tmp_path).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["objective"] for row in rows} == {"sapo", "grpo"}
    mine = [row for row in rows if row["objective"] == "sapo" and row["advantage"] == "-1"]
    ratios = torch.tensor([float(row["ratio"]) for row in mine], dtype=torch.float64)
    python = curve(make_objective("sapo", {"tau_neg": 3.0}), ratios, -1.0)
    for row, weight in zip(mine, python.weight.tolist(), strict=True):
        assert float(row["weight"]) == pytest.approx(weight, abs=1e-9)


def test_the_ratios_of_a_file_of_mine_lie_under_the_curves(visit: Any, tmp_path: Path) -> None:
    """One token in four is at r = 2.5, beyond GRPO's band: 75 % kept for A > 0."""
    file = tmp_path / "mine.jsonl"
    z = [0.02, 0.01, -0.01, math.log(2.5)]
    row = {"tokens": list("abcd"), "logprobs": [-2 + v for v in z], "old_logprobs": [-2.0] * 4, "advantage": 1}
    file.write_text(json.dumps(row), encoding="utf-8")
    page = open_curves(visit, "/curves?ratios=own")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_test_id("match")).to_contain_text("GRPO 75.0 % / 100.0 %")
    (tmp_path / "bad.jsonl").write_text("{}", encoding="utf-8")
    page.locator("input[type=file]").set_input_files(tmp_path / "bad.jsonl")
    expect(page.get_by_role("alert")).to_contain_text("bad.jsonl")


def test_objectives_whose_curves_coincide_are_one_line_until_one_of_them_moves(visit: Any) -> None:
    page = open_curves(visit, "/curves?objectives=grpo,dr_grpo,sapo")
    lines = page.get_by_test_id("legend").get_by_role("button")
    expect(lines).to_have_text(["SAPO", "GRPO = Dr. GRPO"])
    drawn = page.locator(".lab .subplot.xy path.js-line")
    expect(drawn).to_have_count(2)
    knob_box(page, "Dr. GRPO eps_high").fill("0.5")
    expect(lines).to_have_text(["SAPO", "GRPO", "Dr. GRPO"])
    expect(drawn).to_have_count(3)
    lines.first.click()  # hides it
    expect(lines.first).to_have_attribute("aria-pressed", "false")
    expect(drawn).to_have_count(2)
    lines.first.click()
    expect(drawn).to_have_count(3)
