"""What pages need, imported together: at the start while the browser still loads, or once for whoever comes first.

A browser takes half a second to get from the address to the first word with the server. Streamlit checks the menu's
icons against a long list; imported only then, that and the page's own modules would keep the first figure waiting.

Two visitors are two threads. Plotly looks into `sys.modules` for pandas at each value that it is given, and finds one
that is half there while the other visitor's page imports it: so a page that draws with Plotly or shows a table first
waits until these are there whole. The others (`LIGHT`) do without them, and so without the third of a second.
"""

from __future__ import annotations

import contextlib
import importlib
import threading


class Together:
    """Modules that are imported in one go, once; who asks meanwhile waits for the end."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self._lock = threading.Lock()
        self._there = False

    def ready(self) -> None:
        if self._there:
            return
        with self._lock:
            for name in self.names:
                with contextlib.suppress(ImportError):  # whoever needs it will say so
                    importlib.import_module(name)
            self._there = True

    def begin(self) -> None:
        """In a thread of its own."""
        threading.Thread(target=self.ready, name="warm", daemon=True).start()


EVERY_PAGE = Together(
    "streamlit.material_icon_names",
    "sapo_viz.ui.curves.panels",
    "sapo_viz.ui.exhibits.shared",
)
TABLES = Together(  # the readers of files are here as well
    *("pandas", "pyarrow.parquet", "pyarrow.csv", "pyarrow.compute"),
    *("plotly.graph_objects", "plotly.offline", "plotly.animation", "plotly.io"),
)

LIGHT = frozenset({"", "curves", "reference", "outlier", "coherence", "asymmetry"})  # as in the address


def before(page: str) -> None:
    """What a page needs is there when this returns."""
    if page not in LIGHT:
        TABLES.ready()
