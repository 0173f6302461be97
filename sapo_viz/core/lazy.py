"""torch, imported when the first formula is evaluated.

Importing torch costs one to four seconds, and the pages that only *list* objectives (names, knobs,
LaTeX) need none of it. `core` modules write `from sapo_viz.core.lazy import torch` and use it inside
functions only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
else:

    class _Lazy:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            value = getattr(importlib.import_module(self._name), attribute)
            setattr(self, attribute, value)  # a sampled token asks for some hundred names
            return value

    torch = _Lazy("torch")
