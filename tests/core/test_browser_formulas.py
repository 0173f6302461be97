"""The browser's formulas are printed from the traced Python ones; here the printing is checked without a browser."""

from __future__ import annotations

import subprocess
import sys

from sapo_viz import CATALOG
from sapo_viz.browser.code import code
from sapo_viz.browser.link import read
from sapo_viz.printed.javascript import formulas, javascript


def test_the_shipped_formulas_are_those_of_the_catalogue() -> None:
    assert read("formulas.js") == formulas(), "sapo_viz/browser/formulas.js is stale: run `make formulas`"


def test_every_objective_has_a_formula_that_reads_only_its_own_knobs() -> None:
    for name, cls in CATALOG.items():
        text = javascript(cls)
        assert text.startswith("function (z, A, k, old = 0)")
        if cls.reads_batch:
            continue  # the browser has the formula of a token by itself; some knobs are about the others
        for knob in cls.knobs():
            assert f"k.{knob}" in text, f"{name}: {knob} does not reach the browser"


def test_the_pages_get_the_formula_of_an_objective_registered_later(toy_objective) -> None:
    assert f"FORMULAS.{toy_objective.name} = function (z, A, k, old = 0)" in code("curves/curves.js").js


def test_serving_the_shipped_formulas_does_not_import_torch() -> None:
    program = (
        "import sys, sapo_viz; from sapo_viz.browser.code import code; code('curves/curves.js'); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
