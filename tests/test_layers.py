"""Imports go down only: core < models < rollouts < runs < figures < ui < pages and app.py.

Reads the source (ast), so an import inside a function counts too; imports for type checkers alone do not.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("errors", "core", "models", "rollouts", "runs", "figures", "ui", "cli", "pages")
RANK = {layer: rank for rank, layer in enumerate(LAYERS)}
SOURCES = sorted([*ROOT.glob("sapo_viz/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "app.py"])

# A library and the only layers that may import it.
HOMES = {
    "streamlit": {"ui", "pages"},
    "starlette": {"ui", "pages"},
    "plotly": {"figures"},
    "transformers": {"models"},
    "peft": {"models"},
    "huggingface_hub": {"models"},
    "tokenizers": {"models"},
    "safetensors": {"models"},
}
# What core may use: torch and the standard library without files, clock and chance.
EFFECTS = {"os", "io", "pathlib", "shutil", "tempfile", "time", "datetime", "random", "secrets", "subprocess", "socket"}


def layer_of(path: Path) -> str:
    """The layer that a source file belongs to. The package's __init__ is the core's public face."""
    parts = path.relative_to(ROOT).parts
    if parts[0] != "sapo_viz":
        return "pages"
    top = parts[1].removesuffix(".py")
    return {"__init__": "core", "__main__": "cli"}.get(top, top)


def imports_of(source: str, *, module_level: bool = False) -> Iterator[str]:
    """Dotted names that a source imports at run time; with `module_level` only those outside functions."""

    def walk(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in nodes:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from walk(node.orelse)
                continue
            yield node
            if module_level and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            for field in ("body", "orelse", "finalbody"):
                yield from walk(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from walk(handler.body)

    for node in walk(ast.parse(source).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def upward(layer: str, imported: list[str]) -> list[str]:
    """The imports among `imported` that reach above `layer`."""
    found = []
    for name in imported:
        parts = name.split(".")
        if parts[0] == "pages" or name == "app":
            above = "pages"
        elif parts[0] == "sapo_viz" and len(parts) > 1:
            above = parts[1] if parts[1] in RANK else "core"  # `from sapo_viz import CATALOG`
        else:
            continue
        if RANK[above] > RANK[layer]:
            found.append(name)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_goes_up(path: Path) -> None:
    layer = layer_of(path)
    assert layer in RANK, f"{layer} is no layer of the design; the layers are {', '.join(LAYERS)}"
    assert upward(layer, list(imports_of(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_is_imported_in_its_own_layer_only(path: Path) -> None:
    layer = layer_of(path)
    for name in imports_of(path.read_text(encoding="utf-8")):
        top = name.split(".")[0]
        assert layer in HOMES.get(top, {layer}), f"{name} belongs in {' and '.join(sorted(HOMES[top]))}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("sapo_viz/core/**/*.py")), ids=lambda path: path.name)
def test_core_is_torch_and_the_standard_library_without_effects(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tops = {name.split(".")[0] for name in imports_of(source)} - {"sapo_viz"}
    assert tops - {"torch"} <= sys.stdlib_module_names - EFFECTS
    assert "torch" not in {name.split(".")[0] for name in imports_of(source, module_level=True)}


HEAVY = {"torch", "transformers", "pandas", "pyarrow", "streamlit", "plotly"}


@pytest.mark.parametrize(
    ("module", "free_of"),
    [
        ("sapo_viz", HEAVY),
        ("sapo_viz.cli", HEAVY),
        ("sapo_viz.rollouts", {"torch", "transformers", "streamlit", "plotly"}),
        ("sapo_viz.runs", {"torch", "transformers", "streamlit", "plotly"}),
        ("sapo_viz.figures", {"torch", "transformers", "streamlit"}),
        ("sapo_viz.ui.routes", {"torch", "transformers"}),
    ],
)
def test_importing_what_the_first_page_needs_does_not_import_torch(module: str, free_of: set[str]) -> None:
    """Importing torch costs 1–4 s and transformers 1–5 s; a child process shows what really comes in."""
    code = f"import sys, {module}; print(*sorted({free_of!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("def f():\n    from sapo_viz.ui import state", ["sapo_viz.ui.state"]),
        ("if TYPE_CHECKING:\n    import torch\nelse:\n    import json", ["json"]),
        ("try:\n    import a\nexcept ImportError:\n    import b", ["a", "b"]),
    ],
)
def test_the_reader_sees_what_it_should(source: str, imported: list[str]) -> None:
    assert list(imports_of(source)) == imported


def test_an_import_that_goes_up_is_found() -> None:
    """A check that cannot fail would be none."""
    assert upward("core", ["sapo_viz.ui.state", "sapo_viz.errors.KnobError", "math"]) == ["sapo_viz.ui.state"]
    assert upward("runs", ["sapo_viz.figures.palette", "sapo_viz.CATALOG"]) == ["sapo_viz.figures.palette"]
