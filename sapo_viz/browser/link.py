"""ES modules in, one module out: what an entry imports, in the order in which it needs it.

Every file says what it takes and what it gives with `import` and `export`; nothing else decides what is put together.
Each module becomes a function that is run once and returns what it exports, so names of different files never meet:

    const $curves$points = (() => { …; return { ratioGrid, samplePoints }; })();

A file keeps to the few forms below, each beginning its line; whatever else is written there is refused with its place.
Comments and indentation stay in the sources. A CSS file is imported like a module and gives no names.

    import { a, b as c } from "./other.js";     import "./other.css";
    export function f …   export async function f …   export class C …   export const x = …   export default …
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass

from sapo_viz.paths import PACKAGE

FOLDER = PACKAGE / "browser"

_IMPORT = re.compile(r'^import (?:\{([^}]*)\} from )?"(\.[^"\n]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|class|const) (\w+)", re.MULTILINE)
_DEFAULT = re.compile(r"^export default (?!(?:async )?function\b|class\b)", re.MULTILINE)
_COMMENT = re.compile(r"^\s*(?://[^\n]*|/\*\*(?:(?!\*/).)*\*/\s*)$\n?", re.MULTILINE | re.DOTALL)


class LinkError(Exception):
    """A file cannot be linked; the message names it. Ours alone can: these files are no one's input."""


@dataclass(frozen=True)
class Linked:
    """One ES module and the style sheet that belongs to it."""

    js: str
    css: str


@dataclass(frozen=True)
class _Module:
    name: str
    body: str
    exports: frozenset[str]


def read(path: str) -> str:
    """A file of this folder, as `curves/points.js`."""
    return (FOLDER / path).read_text(encoding="utf-8")


def link(entry: str, read: Callable[[str], str] = read) -> Linked:
    """`entry` and all that it imports; the module's default export is the entry's, if it has one.

    Raises:
        LinkError: an import leads nowhere or in a circle, or a line is written in a form that is not known here.
    """
    modules: dict[str, _Module] = {}
    styles: dict[str, str] = {}

    def visit(path: str, above: tuple[str, ...]) -> None:
        if path in above:
            raise LinkError(f"imports in a circle: {' → '.join([*above[above.index(path) :], path])}")
        if path in modules or path in styles:
            return
        try:
            text = read(path)
        except OSError:
            raise LinkError(f"{above[-1] if above else 'the entry'}: there is no {path}") from None
        if path.endswith(".css"):
            styles[path] = _dedented(text)
            return
        text = _stripped(path, text)
        for found in _IMPORT.finditer(text):
            visit(_resolved(path, found[2]), (*above, path))
        modules[path] = _module(path, text, modules)

    visit(entry, ())
    parts = [f"const {m.name} = (() => {{\n{m.body}return {{ {_returned(m)} }};\n}})();\n" for m in modules.values()]
    if "default" in modules[entry].exports:
        parts.append(f"export default {modules[entry].name}.default;\n")
    return Linked("".join(parts), "".join(styles.values()))


def _resolved(path: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _stripped(path: str, text: str) -> str:
    """Without lines of comments and without indentation, which is safe where every template ends on its own line."""
    text = _COMMENT.sub("", text)
    for line in text.split("\n"):
        if line.count("`") % 2:
            raise LinkError(f"{path}: a template literal ends on the line on which it begins: {line.strip()}")
    return _dedented(text)


def _dedented(text: str) -> str:
    return re.sub(r"^[ \t]+|^\n", "", text, flags=re.MULTILINE)


def _module(path: str, text: str, modules: dict[str, _Module]) -> _Module:
    exports = {found[2] for found in _EXPORT.finditer(text)}

    def taken(found: re.Match[str]) -> str:
        names, target = found[1], _resolved(path, found[2])
        if target.endswith(".css"):
            return ""
        pairs = [name.split(" as ") for name in (part.strip() for part in names.split(",")) if name]
        for name, *_ in pairs:
            if name not in modules[target].exports:
                raise LinkError(f"{path}: {target} does not export {name}")
        return f"const {{ {', '.join(': '.join(pair) for pair in pairs)} }} = {modules[target].name};"

    body = _EXPORT.sub(r"\1 \2", _IMPORT.sub(taken, text))
    body, defaults = _DEFAULT.subn("const $default = ", body)
    if defaults:
        exports.add("default")
    unknown = re.search(r"^(?:import\b(?!\()|export\b).*", body, re.MULTILINE)
    if unknown:
        raise LinkError(f"{path}: the linker does not know this form: {unknown[0]}")
    return _Module(f"${path.removesuffix('.js').replace('/', '$')}", body, frozenset(exports))


def _returned(module: _Module) -> str:
    return ", ".join("default: $default" if name == "default" else name for name in sorted(module.exports))
