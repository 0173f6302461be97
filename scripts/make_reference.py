"""Write docs/reference.md from the catalogue: `make reference`. A test says that it is current."""

from __future__ import annotations

from sapo_viz import CATALOG
from sapo_viz.core.metrics import METRICS
from sapo_viz.paths import HOME
from sapo_viz.printed.reference import markdown
from sapo_viz.runs.metrics import RUN_METRICS

PAGE = HOME / "docs" / "reference.md"


def reference() -> str:
    return markdown(CATALOG, METRICS.values(), RUN_METRICS.values())


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
