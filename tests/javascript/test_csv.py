"""CSV files that the browser writes guard their texts as those of the server do."""

from __future__ import annotations

from sapo_viz.browser.link import FOLDER, link
from sapo_viz.rollouts.csv_text import guarded
from tests.javascript.node import evaluate

MAIN = 'import { csvOf } from "./shared/download.js";\nexport default (rows) => csvOf(rows);\n'
TEXTS = ["=1+1", "+x", "-", "@A1", "\t=1", "'=1", "a", "", "'", "it's", "x=1"]


def written(rows: list[list[object]]) -> str:
    linked = link("main.js", lambda path: MAIN if path == "main.js" else (FOLDER / path).read_text(encoding="utf-8"))
    return str(evaluate(linked.js, rows))


def test_texts_are_guarded_as_by_the_server() -> None:
    assert written([[text] for text in TEXTS]).split("\r\n")[:-1] == [guarded(text) for text in TEXTS]


def test_numbers_stay_numbers_also_where_they_were_written_out() -> None:
    assert written([[-0.5, "-0.5", "-1e-7", 3, "+2"]]) == "-0.5,-0.5,-1e-7,3,+2\r\n"


def test_a_carriage_return_is_guarded_and_quoted() -> None:
    assert written([["\r=1"]]) == '"\'\r=1"\r\n'
