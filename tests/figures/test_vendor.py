"""Every Plotly figure is set up in one place, and that place offers to send it nowhere."""

from __future__ import annotations

import re

import pytest

from sapo_viz.figures.batch import Picture
from sapo_viz.figures.vendor import CONFIG, MODEBAR
from sapo_viz.paths import PACKAGE
from tests.figures.test_batch import PICTURES

# where a figure is made or shown, and the one file that may
PLACES = {
    r"go\.Figure\(\)|\bFigure\(layout": ["figures/blank.py"],
    r"st\.plotly_chart": ["ui/plot.py"],
    r"displaylogo|showSendToCloud": ["figures/vendor.py"],
}


@pytest.mark.parametrize("pattern", PLACES)
def test_one_file_sets_plotly_up(pattern: str) -> None:
    sources = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.js")]
    found = [p.relative_to(PACKAGE).as_posix() for p in sources if re.search(pattern, p.read_text(encoding="utf-8"))]
    assert found == PLACES[pattern]


def test_every_plotly_call_of_the_browser_takes_that_config() -> None:
    for path in PACKAGE.rglob("*.js"):
        for call in re.findall(r"Plotly\.(?:react|newPlot)\(.*?\);", path.read_text(encoding="utf-8"), re.DOTALL):
            assert "config" in call, f"{path}: {call}"


@pytest.mark.parametrize("name", PICTURES)
def test_a_figure_says_so_itself_wherever_it_is_shown(name: str) -> None:
    picture: Picture = PICTURES[name]
    assert "sendChartToCloud" in picture.figure.layout.modebar.remove
    assert picture.figure.layout.modebar.bgcolor == MODEBAR["bgcolor"], "black without it, under titles and legends"


def test_a_picture_in_a_notebook_has_that_config() -> None:
    import plotly.io

    before = plotly.io.renderers.default
    plotly.io.renderers.default = "plotly_mimetype"
    try:
        config = PICTURES["kept"]._repr_mimebundle_()["application/vnd.plotly.v1+json"]["config"]
    finally:
        plotly.io.renderers.default = before
    assert config["showSendToCloud"] is False and config["displaylogo"] is False
    assert config["modeBarButtonsToRemove"] == CONFIG["modeBarButtonsToRemove"]
