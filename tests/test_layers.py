"""Imports go down only, and no two packages import each other.

Reads the source (ast), so an import inside a function counts too; imports for type checkers alone do not.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = (
    *("errors", "paths", "core", "printed", "models", "rollouts", "runs", "experiments"),
    *("browser", "figures", "ui", "commands", "cli", "pages"),
)
RANK = {layer: rank for rank, layer in enumerate(LAYERS)}
SOURCES = sorted([*ROOT.glob("sapo_viz/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "app.py"])

# A library and the only layers that may import it.
HOMES = {
    "streamlit": {"ui", "pages"},
    "starlette": {"ui", "pages"},
    "plotly": {"figures"},
    "transformers": {"models"},
    "trl": {"models"},
    "accelerate": {"models"},
    "datasets": {"models"},
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


def module_of(path: Path) -> str:
    """Dotted name of a source file; a package's __init__ is the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in SOURCES}


def package_of(module: str) -> str:
    """The folder that a module lies in; what lies at the top is a room of its own."""
    if (ROOT / module.replace(".", "/")).is_dir():
        return module
    above = module.rpartition(".")[0]
    return module if above in ("", "sapo_viz") else above


def edges_between(name_of: dict[str, str]) -> dict[str, set[str]]:
    """Who imports whom, in the names that `name_of` gives to modules."""
    edges: dict[str, set[str]] = {}
    for path in SOURCES:
        own = module_of(path)
        if own == "sapo_viz":  # the public face: it names what lies above it and loads that when asked
            continue
        edges.setdefault(name_of[own], set())
        for name in imports_of(path.read_text(encoding="utf-8")):
            target = name if name in name_of else name.rpartition(".")[0]
            if target in name_of and target != "sapo_viz" and name_of[target] != name_of[own]:
                edges[name_of[own]].add(name_of[target])
    return edges


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The groups of nodes that reach one another, each sorted."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            for after in edges.get(todo.pop(), set()) - found:
                found.add(after)
                todo.append(after)
        return found

    reach = {node: reached(node) for node in edges}
    mutual = {tuple(sorted(m for m in reach if node in reach[m] and m in reach[node])) for node in reach}
    return sorted(list(group) for group in mutual if len(group) > 1)


def test_no_two_modules_import_each_other() -> None:
    assert circles(edges_between({module: module for module in MODULES})) == []


def test_no_two_packages_import_each_other() -> None:
    assert circles(edges_between({module: package_of(module) for module in MODULES})) == []


def test_a_circle_is_found() -> None:
    """A check that cannot fail would be none."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


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
        ("sapo_viz.ui.serving.routes", {"torch", "transformers", "numpy", "pandas", "pyarrow"}),
        ("sapo_viz.ui.curves.panels", {"torch", "transformers", "numpy", "pandas", "pyarrow"}),
        ("sapo_viz.ui.exhibits.shared", {"torch", "transformers", "numpy", "pandas", "pyarrow"}),
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


@pytest.mark.parametrize(
    ("what", "homes"),
    [
        ("st.session_state", {"sapo_viz/ui/session.py"}),
        ("st.query_params", {"sapo_viz/ui/address.py", "sapo_viz/ui/views.py"}),
    ],
)
def test_the_state_of_a_visit_is_touched_in_one_place(what: str, homes: set[str]) -> None:
    users = {
        str(path.relative_to(ROOT)) for path in SOURCES if re.search(rf"\b{what}\b", path.read_text(encoding="utf-8"))
    }
    assert users == homes


def test_no_class_or_type_is_defined_under_a_name_that_means_something_else_elsewhere() -> None:
    homes: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            name = node.name if isinstance(node, ast.ClassDef) else target.id if isinstance(target, ast.Name) else ""
            is_type = isinstance(node, ast.ClassDef) or (name[:1].isupper() and not name.isupper() and len(name) > 1)
            if is_type and not name.startswith("_"):
                homes.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}
