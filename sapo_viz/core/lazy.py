"""torch, imported when the first formula is evaluated.

Importing torch costs one to four seconds, and the pages that only *list* objectives (names, knobs,
LaTeX) need none of it. `core` modules write `from sapo_viz.core.lazy import torch` and use it inside
functions only.
"""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
else:
    _one_at_a_time = threading.RLock()

    class _Lazy:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            with _one_at_a_time:  # torch imports parts of itself when they are asked for, and they import one another
                value = getattr(importlib.import_module(self._name), attribute)
            setattr(self, attribute, value)  # a sampled token asks for some hundred names
            return value

    torch = _Lazy("torch")
