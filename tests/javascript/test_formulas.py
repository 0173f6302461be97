"""The browser's copy of every formula against the Python one."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from sapo_viz import CATALOG
from sapo_viz.browser.code import formulas
from sapo_viz.core.curves import curve
from tests.javascript.node import evaluate

RATIOS = [math.exp(z) for z in (-25, -19, -6, -3, -1.5, -0.7, -0.3, -0.1, -2e-4, 0.0, 2e-4, 0.1, 0.3, 1, 2, 6, 19, 25)]
SIGNS = (1, -1)
OLD = -3.0  # so that log π_θ stays ≤ 0 for the ratios up to e^3 that a probability can reach


def knob_grid(name: str) -> list[dict[str, float]]:
    """Every combination of a low, the usual and a high value of each knob, within what the sliders span."""
    axes = [
        [(k.name, value) for value in (k.ui_lo + 0.2 * (k.ui_hi - k.ui_lo), k.default, k.ui_hi)]
        for k in CATALOG[name].knobs().values()
    ]
    return [dict(choice) for choice in itertools.product(*axes)]


@pytest.fixture(scope="module")
def numbers() -> dict[str, list[list[list[float]]]]:
    """objective -> for each of its knobs and signs: [J, c] at each ratio, as the browser computes them."""
    asked = {name: list(itertools.product(knob_grid(name), SIGNS)) for name in CATALOG}
    module = (
        formulas(tuple(CATALOG))
        + """
export default ({ asked, ratios, old }) => Object.fromEntries(Object.entries(asked).map(([name, settings]) =>
  [name, settings.map(([knobs, sign]) => ratios.map((r) => FORMULAS[name](Math.log(r), sign, knobs, old)))]));
"""
    )
    found: dict[str, list[list[list[float]]]] = evaluate(module, {"asked": asked, "ratios": RATIOS, "old": OLD})
    return found


@pytest.mark.parametrize("name", CATALOG)
def test_the_browsers_numbers_are_pythons(name: str, numbers: dict[str, list[list[list[float]]]]) -> None:
    ratios = torch.tensor(RATIOS, dtype=torch.float64)
    settings = itertools.product(knob_grid(name), SIGNS)
    for (knobs, sign), browsers in zip(settings, numbers[name], strict=True):
        python = curve(CATALOG[name](**knobs), ratios, sign, old_logprob=OLD)
        for ratio, got, surrogate, coefficient in zip(
            RATIOS, browsers, python.surrogate, python.coefficient, strict=True
        ):
            where = f"{name} {knobs} A={sign} r={ratio:g}"
            # Both are float64; the sums differ in order, and exp amplifies a rounding of z by up to 20.
            assert got[0] == pytest.approx(surrogate.item(), rel=1e-9, abs=1e-9), where
            assert got[1] == pytest.approx(coefficient.item(), rel=1e-9, abs=1e-7), where
