"""Exported CSV: no cell of text begins like a formula, numbers stay numbers, and our own file reads back as it was."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sapo_viz import CATALOG
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.csv_text import csv_bytes, guarded, restored
from sapo_viz.rollouts.readers.read import parse_rollouts

FORMULAS = ("=1+1", "+1", "-x", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://evil.example")', "-", "'=1", "''-")


@given(st.text() | st.sampled_from(FORMULAS))
@example("")
@example("'")
def test_a_text_is_guarded_where_a_spreadsheet_would_calculate_and_comes_back(text: str) -> None:
    safe = guarded(text)
    assert safe[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert restored(safe) == text
    assert safe == text or safe == "'" + text


def test_numbers_stay_numbers_and_headers_are_text_too() -> None:
    frame = pd.DataFrame(
        {"=name": ["-1", "a"], "number": [-0.5, float("nan")], "whole": [-1, 2], "flag": [True, False]}
    )
    rows = list(csv.reader(io.StringIO(csv_bytes(frame).decode("utf-8"))))
    assert rows == [["'=name", "number", "whole", "flag"], ["'-1", "-0.5", "-1", "True"], ["a", "", "2", "False"]]


@pytest.mark.parametrize("name", ["a", "=cmd|' /C calc'!A0", "-7"])
def test_a_token_table_that_was_exported_opens_again_as_it_was(name: str) -> None:
    tokens = [*FORMULAS, " the", "NA", "1e5", ",", '"', "\n", "日本"]
    row = {
        "id": name, "tokens": tokens, "advantage": -0.5,
        "logprobs": [-0.1 * i for i in range(len(tokens))], "old_logprobs": [-0.2 * i for i in range(len(tokens))],
    }  # fmt: skip
    given_ = parse_rollouts(json.dumps(row).encode(), "x.jsonl")
    table = analyse(given_, {"sapo": CATALOG["sapo"]()}).token_table(0)
    table.insert(0, "sequence", given_[0].id)
    again = parse_rollouts(csv_bytes(table), "tokens.csv")[0]
    assert again.id == name and list(again.tokens) == tokens
    assert list(again.logprobs) == list(given_[0].logprobs) and again.old_logprobs[-1] == given_[0].old_logprobs[-1]


def test_a_file_of_another_program_keeps_its_apostrophes() -> None:
    data = b"sequence,token,logprob,old_logprob,advantage\na,'-,-1,-1,1\na,'=,-1,-1,1\n"
    assert list(parse_rollouts(data, "x.csv")[0].tokens) == ["'-", "'="]
