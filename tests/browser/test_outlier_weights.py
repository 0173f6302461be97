"""What the outlier exhibit draws is what training gives to each token of a sequence, for the whole catalogue."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import expect

from sapo_viz import CATALOG, make_objective
from sapo_viz.core.losses import token_view
from sapo_viz.figures.exhibits_outlier import can_be_shown
from tests.browser.conftest import eventually

RATIOS = [0.3, 0.9, 1.0, 1.02, 1.25, 4.0]
MORE = 2  # tokens at r = 1 without a handle
KNOBS = {"gspo": {"eps_low": 0.4, "eps_high": 0.5}, "gmpo": {"eps_low": 0.2, "eps_high": 0.3}, "sapo": {"tau_neg": 3.0}}


@pytest.mark.parametrize("sign", [1, -1])
def test_every_token_of_the_sequence_weighs_what_it_does_in_training(visit: Any, tmp_path: Path, sign: int) -> None:
    names = [name for name in CATALOG if can_be_shown(name)]
    knobs = "".join(f"&{name}.{knob}={value}" for name, own in KNOBS.items() for knob, value in own.items())
    query = f"objectives={','.join(names)}&ratios={','.join(map(str, RATIOS))}&more={MORE}&old=0.01&A={sign}{knobs}"
    page = visit(f"/outlier?{query}")
    with page.expect_download() as info:
        page.get_by_test_id("save-csv").click()
    info.value.save_as(tmp_path / "outlier.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "outlier.csv").read_text(encoding="utf-8"))))

    z = torch.tensor([RATIOS + [1.0] * MORE], dtype=torch.float64).log()
    old = torch.full_like(z, math.log(0.01))
    mask, advantages = torch.ones_like(z, dtype=torch.bool), torch.full_like(z, sign)
    for name in names:
        view = token_view(make_objective(name, KNOBS.get(name)), old + z, old, advantages, mask)
        mine = [row for row in rows if row["objective"] == name]
        assert [row["token"] for row in mine] == [*map(str, range(1, len(RATIOS) + 1)), "rest"]
        for column, python in [
            ("weight", view.gate_weight), ("coefficient", view.coefficient), ("weighed_at", view.ratio)
        ]:  # fmt: skip
            got = [float(row[column]) for row in mine]
            assert got == pytest.approx(python[0, : len(mine)].tolist(), rel=1e-9, abs=1e-9), (name, column)


def test_gmpo_drops_the_outlier_alone(visit: Any) -> None:
    """Worked case: log 2.5 = 0.92 is beyond ε_high = 0.4, and the other three keep the mean of the clipped ratios."""
    page = visit("/outlier?objectives=gspo,gmpo")
    row = page.get_by_test_id("row-gmpo")
    expect(row).to_have_attribute("data-alive", "3")
    eventually(page, lambda: float(row.get_attribute("data-kept") or 0), pytest.approx(0.75))
    expect(page.get_by_test_id("row-gspo")).to_have_attribute("data-alive", "0")
