"""Modules are put together as `import` says, and what the linker does not know it refuses by name."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from sapo_viz.browser.link import FOLDER, Linked, LinkError, link
from tests.javascript.node import evaluate

ENTRIES = (
    *("curves/curves.js", "strip/strip.js", "live/live.js", "live/asked.js", "page/tools.js", "report/report.js"),
    *(f"exhibits/{kind}.js" for kind in ("outlier", "coherence", "asymmetry")),
)


def linked(files: Mapping[str, str], entry: str = "main.js") -> Linked:
    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return link(entry, read)


def test_names_of_different_files_never_meet() -> None:
    files = {
        "main.js": 'import { two } from "./a/two.js";\nconst SIZE = 1;\nexport default [SIZE, two()];\n',
        "a/two.js": 'import { three as other } from "../three.js";\nconst SIZE = 2;\nexport function two() {\n'
        "  return [SIZE, other];\n}\n",
        "three.js": "const SIZE = 3;\nexport const three = SIZE;\n",
    }
    assert evaluate(linked(files).js) == [1, [2, 3]]


def test_a_module_runs_once_and_before_those_that_import_it() -> None:
    files = {
        "main.js": 'import { log } from "./log.js";\nimport { a } from "./a.js";\nimport { b } from "./b.js";\n'
        "export default [...log, a, b];\n",
        "log.js": "export const log = [];\n",
        "a.js": 'import { log } from "./log.js";\nlog.push("a runs");\nexport const a = "a";\n',
        "b.js": 'import { a } from "./a.js";\nimport { log } from "./log.js";\nlog.push("b runs");\n'
        "export const b = a + 1;\n",
    }
    assert evaluate(linked(files).js) == ["a runs", "b runs", "a", "a1"]


def test_every_form_of_export_arrives() -> None:
    files = {
        "main.js": 'import {\n  later,\n  One,\n  Two,\n  three,\n} from "./a.js";\n'
        "export default [new One().x, new Two().x, three, await later()];\n",
        "a.js": "export class One {\n  x = 1;\n}\nexport class Two extends One {\n  x = 2;\n}\n"
        "export const three = 3;\nexport async function later() {\n  return 4;\n}\nexport default One;\n",
    }
    with pytest.raises(LinkError, match="does not know"):
        linked(files | {"main.js": 'import One from "./a.js";\n'})
    files["main.js"] = files["main.js"].replace("await later()", "typeof later")
    assert evaluate(linked(files).js) == [1, 2, 3, "function"]


def test_comments_and_indentation_stay_in_the_sources_and_nothing_else() -> None:
    source = (
        "// why\n/**\n * @param {number} x\n */\nexport default [\n  // a reason\n"
        '  "// kept", // said beside\n  `  /* ${1 + 1}`,\n];\n'
    )
    found = linked({"main.js": source}).js
    assert "why" not in found and "@param" not in found and "a reason" not in found
    assert evaluate(found) == ["// kept", "  /* 2"]


def test_a_type_at_the_beginning_of_a_line_takes_no_code_along() -> None:
    files = {
        "main.js": "/** @type {number[]} */\nconst all = [1, 2].map(\n  /** @type {any} */ (x) => x + 1,\n);\n"
        "/** done */\nexport default all;\n"
    }
    assert evaluate(linked(files).js) == [2, 3]


def test_style_sheets_come_once_in_the_order_of_the_imports() -> None:
    files = {
        "main.js": 'import "./first.css";\nimport { a } from "./a.js";\nimport "./last.css";\nexport default a;\n',
        "a.js": 'import "./shared.css";\nimport "./first.css";\nexport const a = 1;\n',
        "first.css": ".first {}\n", "shared.css": ".shared {}\n", "last.css": ".last {}\n",
    }  # fmt: skip
    assert linked(files).css == ".first {}\n.shared {}\n.last {}\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('import { a } from "./none.js";\n', "main.js: there is no none.js"),
        ('import { b } from "./a.js";\n', "main.js: a.js does not export b"),
        ('import { c } from "./c.js";\n', "imports in a circle: main.js → c.js → main.js"),
        ('import { a } from "plotly";\n', 'main.js: the linker does not know this form: import { a } from "plotly";'),
        ('import * as all from "./a.js";\n', "main.js: the linker does not know this form: import * as all"),
        ('export { a } from "./a.js";\n', "main.js: the linker does not know this form: export { a }"),
        ("export let a = 1;\n", "main.js: the linker does not know this form: export let a = 1;"),
        ("export default function () {}\n", "main.js: the linker does not know this form: export default function"),
        ("const a = `one\ntwo`;\n", "main.js: a template literal ends on the line on which it begins: const a = `one"),
    ],
)
def test_what_cannot_be_linked_is_said_with_its_place(source: str, said: str) -> None:
    files = {"main.js": source, "a.js": "export const a = 1;\n", "c.js": 'import { x } from "./main.js";\n'}
    with pytest.raises(LinkError) as error:
        linked(files)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_figure_has_its_code_and_its_style(entry: str) -> None:
    """Streamlit takes a style sheet of one line for the name of a file."""
    found = link(entry)
    assert ("export default " in found.js) == (entry != "report/report.js")
    assert found.css.count("\n") > 1
    assert not re.search(r"^\s*(import|//)", found.js, re.MULTILINE)


def test_every_file_is_imported_by_a_figure() -> None:
    read: set[str] = set()

    def noting(path: str) -> str:
        read.add(path)
        return (FOLDER / path).read_text(encoding="utf-8")

    for entry in ENTRIES:
        link(entry, noting)
    assert read == {
        path.relative_to(FOLDER).as_posix() for suffix in ("js", "css") for path in FOLDER.rglob(f"*.{suffix}")
    }


def test_every_export_is_imported_by_someone() -> None:
    """By another module or by a test."""
    folders = (FOLDER, FOLDER.parents[1] / "tests" / "javascript")
    texts = [path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.js")]
    exported = {
        name for text in texts for name in re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", text, re.M)
    }
    imported = {
        name.split(" as ")[0].strip()
        for text in texts
        for names in re.findall(r"^import \{([^}]*)\}", text, re.M)
        for name in names.split(",")
    }
    assert exported - imported == set()
