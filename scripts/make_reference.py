"""Write docs/reference.md from the catalogue: `make reference`. A test says that it is current."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sapo_viz import CATALOG  # noqa: E402
from sapo_viz.core.metrics import METRICS  # noqa: E402
from sapo_viz.core.reference import markdown  # noqa: E402
from sapo_viz.runs.metrics import RUN_METRICS  # noqa: E402

PAGE = ROOT / "docs" / "reference.md"


def reference() -> str:
    return markdown(CATALOG, METRICS.values(), RUN_METRICS.values())


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
