"""plotly.js as the installed plotly package carries it, and how every figure of ours is set up with it.

There is nothing to download or copy, and nothing leaves: Plotly's own toolbar has a button that uploads a figure to
Plotly's servers ("Share chart") and a logo that leads there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly

PLOTLY_VERSION: str = plotly.__version__
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

# Left in the toolbar: zoom, reset, save as a picture; on a page Streamlit adds full screen.
REMOVED = (
    "sendChartToCloud", "select2d", "lasso2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "toggleSpikelines",
    "toggleHover", "hoverClosestCartesian", "hoverCompareCartesian",
)  # fmt: skip

# Plotly's config of every figure: pages, reports and notebooks.
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": list(REMOVED),
}

# The same as far as a figure itself can say it, for whoever shows it with a config of their own.
MODEBAR: dict[str, Any] = {
    "remove": list(REMOVED),
    "bgcolor": "rgba(0,0,0,0)",
    "color": "#6E7883",
    "activecolor": "#0072B2",
}
