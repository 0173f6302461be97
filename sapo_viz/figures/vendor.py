"""plotly.js as the installed plotly package carries it: nothing to download, nothing to copy."""

from __future__ import annotations

from pathlib import Path

import plotly

PLOTLY_VERSION: str = plotly.__version__
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
