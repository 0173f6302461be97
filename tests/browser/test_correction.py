"""The correction for the sampler beside curves and strip: one control, under the hand, kept by the address."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.test_tokens import open_file

if TYPE_CHECKING:
    from tests.browser.conftest import Visit


def test_in_the_strip_it_multiplies_and_says_what_it_drops(visit: Visit) -> None:
    """Twenty tokens at r = 1, each 0.1 nats likelier to the trainer than to the sampler: Σ log ρ = 2, ρ = 7.39."""
    old = [-1.0] * 20
    row = {"tokens": ["a"] * 20, "logprobs": old, "old_logprobs": old, "sampler_logprobs": [-1.1] * 20, "advantage": 1}
    page = open_file(visit, json.dumps(row).encode())
    kept = page.locator("[data-kept=grpo]")
    expect(kept).to_have_text("1.000")
    page.get_by_test_id("correction").select_option("token-truncate")
    expect(kept).to_have_text("1.105")  # e^0.1
    page.get_by_test_id("correction").select_option("sequence-mask")
    expect(kept).to_have_text("0.000")
    expect(page.get_by_test_id("correction-note")).to_contain_text("ρ of this answer is 7.389: it is dropped whole.")
    page.get_by_test_id("correction-high").fill("8")
    expect(kept).to_have_text("7.389")
    page.get_by_test_id("correction-high").dispatch_event("change")
    expect(page).to_have_url(re.compile(r"correction=sequence-mask&correction\.high=8"))
    expect(page.get_by_text("with sequence-mask,")).to_be_visible()
    page.get_by_test_id("correction-note").get_by_role("link").click()  # another view, and the uploaded file stays
    expect(page).to_have_url(re.compile("look=batch"))
    expect(page.get_by_role("radio", name="Whole file")).to_have_attribute("aria-checked", "true")
    expect(page.get_by_text("mine.jsonl").first).to_be_visible()
    page.get_by_role("link", name="Curves").first.click()  # from another page too
    page.get_by_test_id("correction").select_option("sequence-mask")
    expect(page).to_have_url(re.compile(r"/curves\?.*correction=sequence-mask"))
    page.get_by_test_id("correction-picture").click()
    expect(page).to_have_url(re.compile(r"/tokens\?look=batch&correction=sequence-mask"))
    expect(page.get_by_text("Answers dropped whole")).to_be_visible()
    expect(page.get_by_text("mine.jsonl").first).to_be_visible()


def test_beside_the_curves_it_is_that_of_a_token_of_any_rho(visit: Visit) -> None:
    page = visit("/curves?objectives=grpo&correction=token-mask&correction.low=0.5&r=1&rho=2")
    row = page.locator(".lab-readout tbody tr").first
    expect(page.get_by_test_id("correction-note")).to_contain_text("It counts as 2, which multiplies the curves.")
    asked = re.compile(r"/tokens\?look=batch&correction=token-mask&correction\.low=0\.5&correction\.high=8$")
    expect(page.get_by_test_id("correction-picture")).to_have_attribute("href", asked)
    expect(row).to_contain_text("2")
    page.get_by_test_id("rho").fill("-0.5")  # of log10: ρ = 0.316, below the bound
    expect(page.get_by_test_id("correction-note")).to_contain_text("It counts as 0, which multiplies the curves.")
    page.get_by_role("button", name="Reset to defaults").click()
    expect(page).not_to_have_url(re.compile("correction="))
