"""What pages need, imported together: at the start, while the browser is still loading, or once for the first visitor.

A browser takes half a second to get from the address to its first word with the server. Streamlit checks the menu's
icons against a long list; if that and the page's own modules were imported only then, the first figure would wait.

Two visitors are two threads. Plotly looks for pandas in `sys.modules` at each value that it is given, and finds it half
loaded while the other visitor's page is importing it. So a page that draws with Plotly or shows a table first waits
until these modules are complete. The others (`LIGHT`) do without them, and so save a third of a second.
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
