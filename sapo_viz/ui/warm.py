"""What every first visit needs, imported while the browser is still loading Streamlit's own scripts.

A browser takes half a second to get from the address to the first word with the server. Streamlit reads the
tab's icon with numpy and Pillow and checks the menu's icons against a long list; imported only then, these
and the page's own modules would keep the first figure waiting for a fifth of a second.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import AsyncIterator
from typing import Any

MODULES = ("numpy", "PIL.Image", "streamlit.material_icon_names", "sapo_viz.ui.curves", "sapo_viz.ui.exhibits")


@contextlib.asynccontextmanager
async def warm(_app: Any) -> AsyncIterator[None]:
    """The app's lifespan: the imports start when the server does, and it does not wait for them."""
    threading.Thread(target=import_all, name="warm", daemon=True).start()
    yield


def import_all() -> None:
    for name in MODULES:
        with contextlib.suppress(ImportError):  # whoever needs it will say so
            importlib.import_module(name)
