"""The browser's copy of every formula against the Python one, in a real Chromium."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

from sapo_viz import CATALOG
from sapo_viz.core.curves import curve
from sapo_viz.figures.assets import formulas_js

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RATIOS = [math.exp(z) for z in (-25, -19, -6, -3, -1.5, -0.7, -0.3, -0.1, -2e-4, 0.0, 2e-4, 0.1, 0.3, 1, 2, 6, 19, 25)]
OLD = -3.0  # so that log π_θ stays ≤ 0 for the ratios up to e^3 that a probability can reach


@pytest.fixture(scope="module")
def browsers_formulas(browser: Browser) -> Any:
    page = browser.new_page()
    page.add_script_tag(content=formulas_js().replace("const FORMULAS", "window.FORMULAS"))
    yield lambda name, sign, knobs: page.evaluate(
        "([name, sign, knobs, ratios, old]) => ratios.map(r => FORMULAS[name](Math.log(r), sign, knobs, old))",
        [name, sign, knobs, RATIOS, OLD],
    )
    page.close()


def knob_grid(name: str) -> list[dict[str, float]]:
    """Every combination of a low, the usual and a high value of each knob, within what the sliders span."""
    axes = [
        [(k.name, value) for value in (k.ui_lo + 0.2 * (k.ui_hi - k.ui_lo), k.default, k.ui_hi)]
        for k in CATALOG[name].knobs().values()
    ]
    return [dict(choice) for choice in itertools.product(*axes)]


@pytest.mark.parametrize("name", CATALOG)
def test_the_browsers_numbers_are_pythons(name: str, browsers_formulas: Any) -> None:
    ratios = torch.tensor(RATIOS, dtype=torch.float64)
    for knobs, sign in itertools.product(knob_grid(name), (1, -1)):
        python = curve(CATALOG[name](**knobs), ratios, sign, old_logprob=OLD)
        for ratio, got, surrogate, coefficient in zip(
            RATIOS, browsers_formulas(name, sign, knobs), python.surrogate, python.coefficient, strict=True
        ):
            where = f"{name} {knobs} A={sign} r={ratio:g}"
            # Both are float64; the sums differ in order, and exp amplifies a rounding of z by up to 20.
            assert got[0] == pytest.approx(surrogate.item(), rel=1e-9, abs=1e-9), where
            assert got[1] == pytest.approx(coefficient.item(), rel=1e-9, abs=1e-7), where
