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

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page


def open_curves(visit: Any, path: str) -> Page:
    """The page with its curves drawn."""
    page = visit(path)
    page.locator(".lab[data-ready=true]").wait_for()
    return page


def weight_line(page: Page) -> str:
    """The path of SAPO's weight for A > 0 as it is drawn now."""
    return str(page.locator(".lab .subplot.x3y3 path.js-line").first.get_attribute("d"))


def drag(page: Page, knob: str, start: float, stop: float, *, release: bool = True) -> None:
    box = page.get_by_test_id(knob).bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, y)
    page.mouse.down()
    for step in range(1, 11):
        page.mouse.move(box["x"] + box["width"] * (start + (stop - start) * step / 10), y)
        page.wait_for_timeout(20)
    if release:
        page.mouse.up()


def knob_value(page: Page, label: str) -> float:
    return float(page.get_by_label(f"{label}, as a number").input_value())


def test_curves_follow_the_drag_and_nothing_is_sent_until_release(visit: Any) -> None:
    page = open_curves(visit, "/curves")
    sent: list[Any] = []
    page.on("request", lambda request: sent.append(request.url))
    page.context.new_cdp_session(page)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.webSocketFrameSent", lambda frame: sent.append("frame"))
    before = weight_line(page)

    drag(page, "knob-sapo-tau_pos", 0.4, 0.8, release=False)

    assert weight_line(page) != before
    assert sent == []
    page.mouse.up()
    page.wait_for_url("**sapo.tau_pos=**")
    assert "frame" in sent
    in_url = float(parse_qs(urlparse(page.url).query)["sapo.tau_pos"][0])
    assert in_url == knob_value(page, "SAPO tau_pos") != 1.0


def test_a_link_opens_the_same_picture_elsewhere(visit: Any) -> None:
    link = "/curves?objectives=sapo,gspo&show=weight,coefficient&axis=log&sapo.tau_pos=4&gspo.eps_high=0.02&r=1.5"
    first = open_curves(visit, link)
    assert knob_value(first, "SAPO tau_pos") == 4.0
    assert knob_value(first, "GSPO eps_high") == 0.02
    assert first.get_by_test_id("readout").locator("caption").inner_text() == "Read at r = 1.5"
    assert first.locator(".lab .xtick text").first.text_content() == "0.05"
    second = open_curves(visit, "/curves" + first.url.split("/curves")[1])
    lines = ".lab .subplot path.js-line"
    drawn = first.locator(lines).evaluate_all("paths => paths.map(path => path.getAttribute('d'))")
    again = second.locator(lines).evaluate_all("paths => paths.map(path => path.getAttribute('d'))")
    assert drawn == again
    assert len(drawn) == 8 + 2  # 2 objectives × 2 signs × 2 quantities, and where the tokens are for each sign


def test_a_links_impossible_value_is_said_and_not_used(visit: Any) -> None:
    page = open_curves(visit, "/curves?sapo.tau_pos=-3")
    assert "SAPO: tau_pos (τ₊) is -3.0; it takes values from 0.05" in page.get_by_role("alert").inner_text()
    assert knob_value(page, "SAPO tau_pos") == 1.0


def test_zoom_survives_a_change_of_tau(visit: Any) -> None:
    page = open_curves(visit, "/curves")
    panel = page.locator(".lab .nsewdrag").nth(2).bounding_box()
    page.mouse.move(panel["x"] + panel["width"] * 0.2, panel["y"] + panel["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(panel["x"] + panel["width"] * 0.6, panel["y"] + panel["height"] * 0.8, steps=5)
    page.mouse.up()
    page.wait_for_timeout(400)
    zoomed = "document.querySelector('.lab-figure')._fullLayout.xaxis.range.map(x => x.toFixed(3)).join()"
    before = page.evaluate(zoomed)
    assert before != "0.000,3.000"
    drag(page, "knob-sapo-tau_pos", 0.4, 0.7)
    page.wait_for_url("**sapo.tau_pos=**")
    page.wait_for_timeout(600)
    assert page.evaluate(zoomed) == before


def test_the_keyboard_moves_a_knob(visit: Any) -> None:
    page = open_curves(visit, "/curves")
    page.get_by_test_id("knob-grpo-eps_high").focus()
    page.keyboard.press("ArrowRight")
    assert knob_value(page, "GRPO eps_high") == pytest.approx(0.21)
    page.wait_for_url("**grpo.eps_high=0.21**")


def test_a_number_out_of_range_is_refused_in_words(visit: Any) -> None:
    page = open_curves(visit, "/curves")
    box = page.get_by_label("SAPO tau_pos, as a number")
    box.fill("99")
    assert box.evaluate("box => box.validationMessage") == "It takes values from 0.05 to 20."
    box.blur()
    assert knob_value(page, "SAPO tau_pos") == 1.0


def test_the_read_out_is_the_formula(visit: Any) -> None:
    page = open_curves(visit, "/curves?objectives=sapo&r=1.2")
    positive, negative = (
        row.locator("td").all_inner_texts() for row in page.get_by_test_id("readout").locator("tr").all()[1:]
    )
    assert positive[2] == f"{1 / math.cosh(0.1) ** 2:.4g}" == "0.9901"  # sech²(τ(r−1)/2) at τ = 1
    assert negative[2] == f"{1 / math.cosh(0.105) ** 2:.4g}"  # τ₋ = 1.05
    # Half-width 1.763/τ, 90 %-width 0.655/τ, and the peak of r·w for τ = 1, as the design computes them.
    assert positive[6] == "0 – 2.763" and negative[6] == f"0 – {1 + 1.7627 / 1.05:.4g}"
    assert positive[5] == f"{1 - 0.6549:.4g} – {1 + 0.6549:.4g}"
    assert positive[7] == "1.575 (r 2.06)"
    assert positive[8] == "both sides"


def test_grpo_damps_harmful_moves_only_and_is_unbounded_for_negative_advantage(visit: Any) -> None:
    page = open_curves(visit, "/curves?objectives=grpo")
    positive, negative = (
        row.locator("td").all_inner_texts() for row in page.get_by_test_id("readout").locator("tr").all()[1:]
    )
    assert positive[6:] == ["0 – 1.2", "1.2 (r 1.2)", "harmful moves"]
    assert negative[6:] == ["0.8 – ∞", "grows with r", "harmful moves"]


def test_the_matcher_finds_the_tau_that_keeps_what_the_band_keeps(visit: Any) -> None:
    """For a Gaussian of spread σ in log r, a clip at 1+ε keeps Φ(log(1+ε)/σ) for A > 0: Φ(0.9116) = 0.819."""
    page = open_curves(visit, "/curves")
    note = page.get_by_test_id("match")
    expect(note).to_contain_text("GRPO 81.9 % / 86.8 %")
    page.get_by_test_id("tau-from-eps").click()
    page.wait_for_url("**sapo.tau_pos=**")
    sapo, grpo = (part.split("and")[0] for part in note.inner_text().split("keeps ")[1].split(" and GRPO "))
    assert sapo.strip(" .") == grpo.strip(" .")
    tau = knob_value(page, "SAPO tau_pos")
    page.get_by_test_id("eps-from-tau").click()
    page.wait_for_timeout(300)
    assert knob_value(page, "GRPO eps_high") == pytest.approx(0.2, abs=2e-3)
    assert knob_value(page, "SAPO tau_pos") == tau


def save(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as info:
        page.get_by_test_id(button).click()
    path = folder / info.value.suggested_filename
    info.value.save_as(path)
    return path


def test_the_csv_holds_the_curves_that_python_computes(visit: Any, tmp_path: Path) -> None:
    page = open_curves(visit, "/curves?objectives=sapo,grpo&sapo.tau_neg=3")
    text = save(page, "save-csv", tmp_path).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["objective"] for row in rows} == {"sapo", "grpo"}
    mine = [row for row in rows if row["objective"] == "sapo" and row["advantage"] == "-1"]
    ratios = torch.tensor([float(row["ratio"]) for row in mine], dtype=torch.float64)
    python = curve(make_objective("sapo", {"tau_neg": 3.0}), ratios, -1.0)
    for row, weight in zip(mine, python.weight.tolist(), strict=True):
        assert float(row["weight"]) == pytest.approx(weight, abs=1e-9)


def test_pictures_are_pictures(visit: Any, tmp_path: Path) -> None:
    page = open_curves(visit, "/curves")
    assert save(page, "save-png", tmp_path).read_bytes().startswith(b"\x89PNG")
    assert save(page, "save-svg", tmp_path).read_text(encoding="utf-8").startswith("<svg")


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


def test_a_samples_ratios_are_named_in_the_address(visit: Any) -> None:
    page = open_curves(visit, "/curves?ratios=sample+outlier")
    assert "tokens of sample outlier" in page.locator(".lab-panel").inner_text()
