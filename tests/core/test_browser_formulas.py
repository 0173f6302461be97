"""The browser's formulas are printed from the traced Python ones; here the printing is checked without a browser."""

from __future__ import annotations

import subprocess
import sys

from sapo_viz import CATALOG
from sapo_viz.core.browser import formulas, javascript
from sapo_viz.figures.assets import ASSETS, formulas_js


def test_the_shipped_formulas_are_those_of_the_catalogue() -> None:
    shipped = (ASSETS / "formulas.js").read_text(encoding="utf-8")
    assert shipped == formulas(), "assets/formulas.js is stale: run `make formulas`"


def test_every_objective_has_a_formula_that_reads_only_its_own_knobs() -> None:
    for name, cls in CATALOG.items():
        text = javascript(cls)
        assert text.startswith("function (z, A, k, old = 0)")
        for knob in cls.knobs():
            assert f"k.{knob}" in text, f"{name}: {knob} does not reach the browser"


def test_the_pages_get_the_formula_of_an_objective_registered_later(toy_objective) -> None:
    assert f"FORMULAS.{toy_objective.name} = function (z, A, k, old = 0)" in formulas_js()


def test_serving_the_shipped_formulas_does_not_import_torch() -> None:
    code = (
        "import sys; from sapo_viz.figures.assets import formulas_js; formulas_js(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", "import sapo_viz; " + code]).returncode == 0
