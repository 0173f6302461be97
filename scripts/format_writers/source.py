"""A framework's source: its version, and functions taken out of its files without importing what they import.

A trainer's module imports servers, GPUs and other trainers that its writing function never touches. `take` runs the
file's imports, with a stand-in for those that fail, and the definitions that are asked for; nothing else of the file.
"""

from __future__ import annotations
import __future__

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any


class StandIn:
    """Takes the place of what could not be imported: gives itself for everything, decorates without a change."""

    def __init__(self, name: str = "stand-in") -> None:
        self._name = name

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self._name}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return args[0] if len(args) == 1 and callable(args[0]) and not kwargs else self

    def __getitem__(self, _: Any) -> StandIn:
        return self

    def __or__(self, _: Any) -> StandIn:
        return self

    __ror__ = __or__

    def __mro_entries__(self, _: Any) -> tuple[type, ...]:
        return ()


@dataclass(frozen=True)
class Source:
    """A checkout or an unpacked wheel."""

    root: Path

    def version(self, package: str = "*") -> str:
        """The tag or commit of a checkout; the version of a wheel, or of a package among others."""
        if (self.root / ".git").exists():
            tag, commit, day = (
                subprocess.run(["git", "-C", str(self.root), *words], capture_output=True, text=True).stdout.strip()
                for words in (
                    ["describe", "--tags", "--always"],
                    ["rev-parse", "--short", "HEAD"],
                    ["log", "-1", "--format=%cs"],
                )
            )
            return f"{tag} of {day}" if commit in tag else f"{tag} ({commit}) of {day}"
        wheel = next(iter(sorted(self.root.glob(f"{package}-*.dist-info"))), None)
        return wheel.name.removesuffix(".dist-info").rsplit("-", 1)[1] if wheel else "unknown"

    def take(self, file: str, *names: str, bases: Sequence[str] = (), **given: Any) -> Any:
        """Definitions of one file by name, as attributes; all of them where none is named.

        A name `Class.method` gives the class with that method alone.

        `given` stands in for names that the file imports or defines; `bases` are those of a class that is cut down.
        """
        path = self.root / file
        whole = ast.parse(path.read_text(encoding="utf-8"))
        home = ModuleType(f"taken.{path.stem}")  # dataclasses look for the module of a class
        sys.modules[home.__name__] = home
        space = vars(home)
        space["__file__"] = str(path)
        for node in whole.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                _import(node, space)
        space.update(given)
        defined = {name for node in whole.body for name in _defines(node)}
        methods: dict[str, set[str]] = {}
        for name in names:
            owner, _, method = name.partition(".")
            methods.setdefault(owner, set()).update({method} - {""})
        wanted = set(methods) or defined - given.keys()
        missing = wanted - defined or {
            f"{node.name}.{method}"
            for node in whole.body
            if isinstance(node, ast.ClassDef)
            for method in methods.get(node.name, set()) - {getattr(one, "name", "") for one in node.body}
        }
        if missing:
            raise SystemExit(f"{path}: it does not define {', '.join(sorted(missing))}; is this another version?")
        body = [
            _cut(node, methods.get(getattr(node, "name", ""), set()), bases)
            for node in whole.body
            if _defines(node) & (wanted | {"logger"})
        ]
        module = ast.fix_missing_locations(ast.Module(body=body, type_ignores=[]))
        exec(compile(module, str(path), "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True), space)
        return SimpleNamespace(**{name: space[name] for name in wanted})

    @contextmanager
    def importable(self, bare: str = "") -> Iterator[None]:
        """The source first on the path. `bare` is a package whose own first lines import too much to be run."""
        path = str(self.root)
        sys.path.insert(0, path)
        if bare:
            package = ModuleType(bare)
            package.__path__ = [str(self.root / bare)]
            sys.modules[bare] = package
        try:
            yield
        finally:
            sys.path.remove(path)


def _import(node: ast.Import | ast.ImportFrom, space: dict[str, Any]) -> None:
    for alias in node.names:
        name = alias.asname or alias.name.split(".")[0]
        try:
            if isinstance(node, ast.ImportFrom):
                if node.level:
                    raise ImportError
                module = importlib.import_module(node.module or "")
                space[name] = getattr(module, alias.name, None) or importlib.import_module(
                    f"{node.module}.{alias.name}"
                )
            else:
                module = importlib.import_module(alias.name)
                space[name] = module if alias.asname else sys.modules[name]
        except Exception:  # whatever a foreign module does when it is imported
            space[name] = StandIn(alias.name)


def _defines(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _cut(node: ast.stmt, methods: set[str], bases: Sequence[str]) -> ast.stmt:
    if not methods or not isinstance(node, ast.ClassDef):
        return node
    kept = [one for one in node.body if getattr(one, "name", "") in methods]
    names: list[ast.expr] = [ast.Name(base, ast.Load()) for base in bases]
    return ast.ClassDef(name=node.name, bases=names, keywords=[], body=list(kept), decorator_list=[])
