"""Where the bundled files are, and the browser code as text."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from sapo_viz.core.objective import CATALOG

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "assets"
_HERE = Path(__file__).parent


@lru_cache
def read(name: str) -> str:
    """A .js or .css file of this folder."""
    return (_HERE / name).read_text(encoding="utf-8")


@lru_cache
def _shipped_formulas() -> str:
    return (ASSETS / "formulas.js").read_text(encoding="utf-8")


@lru_cache
def _formulas_for(names: tuple[str, ...]) -> str:
    text = _shipped_formulas()
    shipped = set(re.findall(r"^(\w+): function", text, re.MULTILINE))
    added = {name: CATALOG[name] for name in names if name not in shipped}
    if added:  # an objective registered by the user: traced now, which imports torch
        from sapo_viz.core.browser import halves, javascript

        lines = "".join(f"FORMULAS.{name} = {javascript(cls)};\n{halves(cls)}" for name, cls in added.items())
        text += lines
    return text.replace("export const", "const")


def formulas_js() -> str:
    """`const FORMULAS = {…}` for the whole catalogue, without `export`, to be put before other code."""
    return _formulas_for(tuple(CATALOG))
