"""Whatever a file holds: its sequences, or one sentence that names file, place, field, value and remedy."""

from __future__ import annotations

import io
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.read import parse_rollouts, read_rollouts
from sapo_viz.rollouts.schema import DISK, Rollouts
from sapo_viz.rollouts.write import write_rollouts
from tests.rollouts.conftest import jsonl, sequence

CSV = b"sequence,token,logprob,old_logprob,advantage\n"


def refusal(data: bytes, name: str = "x") -> str:
    with pytest.raises(RolloutError) as caught:
        parse_rollouts(data, name)
    message = str(caught.value)
    assert message.startswith(name) and message.endswith(".") and "\n" not in message and len(message) < 400, message
    return message


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


FIELD_FAULTS = [
    ({"tokens": None}, ("line 1", "tokens", "missing")),
    ({"logprobs": None}, ("logprobs", "missing")),
    ({"old_logprobs": None, "old_log_probs": [-1.0] * 4}, ("old_logprobs is missing", "name it old_logprobs")),
    ({"tokens": None, "completion_ids": [1, 2, 3, 4]}, ("if completion_ids holds it, name it token_ids",)),
    ({"logprobs": [-1.0, -1.0]}, ("logprobs", "2 entries", "4")),
    ({"old_logprobs": [-1.0] * 5}, ("old_logprobs", "5 entries", "4")),
    ({"logprobs": [-1.0, math.nan, -1.0, -1.0]}, ("logprobs[1]", "nan", "finite")),
    ({"logprobs": [-1.0, -1.0, math.inf, -1.0]}, ("logprobs[2]", "inf")),
    ({"logprobs": [-1.0, -1.0, -1.0, -math.inf]}, ("logprobs[3]", "-inf")),
    ({"logprobs": [-1.0, "-1.0", -1.0, -1.0]}, ("logprobs[1]", "'-1.0'", "text")),
    ({"logprobs": [-1.0, True, -1.0, -1.0]}, ("logprobs[1]", "True", "true or false")),
    ({"logprobs": [-1.0, None, -1.0, -1.0]}, ("logprobs[1]", "None")),
    ({"logprobs": [-1.0, [-1.0], -1.0, -1.0]}, ("logprobs[1]", "[-1.0]")),
    ({"logprobs": [0.5, -1.0, -1.0, -1.0]}, ("logprobs[0]", "0.5", "at most 0")),
    ({"logprobs": [-(10**400), -1, -1, -1]}, ("logprobs[0]", "too large")),
    ({"logprobs": -1.0}, ("logprobs", "list")),
    ({"logprobs": "-1,-1"}, ("logprobs", "list")),
    ({"ref_logprobs": [-1.0]}, ("ref_logprobs", "1 entries")),
    ({"sampler_logprobs": [-1.0]}, ("sampler_logprobs", "1 entries")),
    ({"tokens": "abcd"}, ("tokens", "'abcd'", "list")),
    ({"tokens": ["a", 3, "c", "d"]}, ("tokens[1]", "3", "text")),
    ({"advantage": math.nan}, ("advantage", "nan")),
    ({"advantage": "1"}, ("advantage", "text")),
    ({"advantage": True}, ("advantage", "true or false")),
    ({"advantage": [1.0] * 4}, ("advantage", "advantages")),
    ({"advantage": None}, ("reward", "missing", "group")),
    ({"advantage": None, "reward": 1.0}, ("group", "missing")),
    ({"advantage": None, "advantages": [1.0]}, ("advantages", "1 entries")),
    ({"reward": math.inf}, ("reward", "inf")),
    ({"mask": [1, 2, 1, 1]}, ("mask[1]", "2", "0 or 1")),
    ({"mask": [1]}, ("mask", "1 entries")),
    ({"token_ids": [1, -2, 3, 4]}, ("token_ids[1]", "-2", "whole number")),
    ({"token_ids": [1, 2.5, 3, 4]}, ("token_ids[1]", "2.5")),
    ({"step": 1.5}, ("step", "1.5", "whole number")),
    ({"prompt": 3}, ("prompt", "3", "text")),
    ({"id": ["a"]}, ("id", "text or a whole number")),
    ({"group": {"a": 1}, "advantage": None, "reward": 1.0}, ("group", "text or a whole number")),
]


@pytest.mark.parametrize(("changes", "words"), FIELD_FAULTS, ids=lambda value: str(value)[:40])
def test_a_wrong_field_is_named_with_its_value_and_remedy(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    if changes.get("advantage", 1.0) is not None:
        good = sequence()
        message = refusal(jsonl(good, sequence(**changes)))
        assert "line 2" in message
    message = refusal(jsonl(sequence(**changes)))
    assert all(word in message for word in words), message


FILE_FAULTS = {
    "empty": (b"", "empty"),
    "only spaces": (b" \n\n", "empty"),
    "only a byte-order mark": (b"\xef\xbb\xbf", "empty"),
    "empty list": (b"[]", "empty"),
    "list of numbers": (b"[1, 2]", "sequence 1"),
    "null in the list": (b"[null]", "sequence 1"),
    "a number": (b"42", "not JSON"),
    "a text": (b'"hello"', "not JSON"),
    "binary": (bytes(range(256)) * 20, "binary"),
    "binary without zero": (bytes(range(128, 256)) * 20, "UTF-8"),
    "not UTF-8 in JSONL": (jsonl(sequence()) + b'{"id": "\xff"}', "line 2"),
    "not UTF-8 in CSV": (CSV + b"a,\xe9,-1,-1,1\n", "line 2"),
    "UTF-16": ("[1]".encode("utf-16"), "sequence 1"),
    "half a character of UTF-16": (b"\xff\xfea", "UTF-16"),
    "pickle": (pickle.dumps({"tokens": ["a"]}), "pickle"),
    "zip": (b"PK\x03\x04" + bytes(100), "archive"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "gzip"),
    "JSON cut short": (b"[" + jsonl(sequence())[:50], "not JSON"),
    "JSONL cut short": (jsonl(sequence())[:-30], "line 1"),
    "text after the list": (b"[] x", "line 1"),
    "a list in JSONL": (jsonl(sequence()) + b"[1]\n", "line 2"),
    "nested lists": (b"[" * 200_000, "nested"),
    "nested objects": (b'{"a":' * 200_000, "nested"),
    "nested token": (b'{"tokens": [' + b"[" * 200_000 + b"]" * 200_000 + b"]}", "nested"),
    "duplicate key": (b'{"tokens": ["a"], "tokens": ["b"], "logprobs": [-1], "old_logprobs": [-1]}', "twice"),
    "5,000 digits": (b'{"tokens": ["a"], "logprobs": [-' + b"1" * 5000 + b"]}", "4,300 digits"),
    "other JSON": (b'{"results": [{"score": 1}]}', "results"),
    "CSV without rows": (CSV, "no row"),
    "CSV without a column": (b"sequence,token,logprob\na,b,-1\n", "old_logprob is missing"),
    "CSV of something else": (b"date,price\n2020-01-01,3\n", "date, price"),
    "CSV ragged": (CSV + b"a,b,-1,-1,1\na,b,-1\n", "line 3"),
    "CSV column twice": (b"sequence,token,logprob,logprob,old_logprob\na,b,-1,-1,-1\n", "twice"),
    "CSV text for a number": (CSV + b"a,b,-1,-1,1\na,b,minus one,-1,1\n", "line 3: logprob is 'minus one'"),
    "CSV NaN": (CSV + b"a,b,-1,-1,1\na,b,nan,-1,1\n", "line 3: logprob is nan"),
    "CSV empty number": (CSV + b"a,b,-1,-1,1\na,b,,-1,1\n", "line 3: logprob is None"),
    "CSV above 0": (CSV + b"a,b,-1,0.7,1\n", "line 2: old_logprob is 0.7"),
    "CSV open quote": (CSV + b'a,"b,-1,-1,1\n', "not CSV"),
    "CSV rewards differ": (
        b"sequence,token,logprob,old_logprob,reward,group\na,b,-1,-1,1,p\na,b,-1,-1,0,p\n",
        "line 3: reward",
    ),
    "CSV without a name": (CSV + b",b,-1,-1,1\n", "line 2: sequence is empty"),
    "plain text": (b"Once upon a time, there was a policy.\n", "this is text"),
    "Markdown": (b"# A run\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", "this is text"),
    "CSV of other columns": (b"text,score\nhello,1\n", "column"),
    "HTML": (b"<html><body>404</body></html>", "this is text"),
    "no sequence has tokens": (jsonl(sequence(tokens=[], logprobs=[], old_logprobs=[])), "no sequence"),
}


@pytest.mark.parametrize("case", FILE_FAULTS)
def test_a_bad_file_gets_one_sentence(case: str) -> None:
    data, word = FILE_FAULTS[case]
    assert word in refusal(data)


NUMBERS = [[-1.0, -2.0]]
PARQUET_FAULTS = {
    "missing column": ({"tokens": [["a", "b"]], "logprobs": NUMBERS}, "old_logprobs is missing"),
    "text for numbers": ({"tokens": [["a", "b"]], "logprobs": [["x", "y"]], "old_logprobs": NUMBERS}, "list<"),
    "flags for numbers": ({"tokens": [["a", "b"]], "logprobs": [[True, False]], "old_logprobs": NUMBERS}, "bool"),
    "bytes for tokens": ({"tokens": [[b"a", b"b"]], "logprobs": NUMBERS, "old_logprobs": NUMBERS}, "binary"),
    "scalar for list": ({"tokens": ["a"], "logprobs": NUMBERS, "old_logprobs": NUMBERS}, "a list of texts"),
    "null list": ({"tokens": [["a", "b"]], "logprobs": [None], "old_logprobs": NUMBERS}, "logprobs is missing"),
    "null number": ({"tokens": [["a", "b"]], "logprobs": [[-1.0, None]], "old_logprobs": NUMBERS}, "logprobs[1]"),
    "lengths": ({"tokens": [["a", "b"]], "logprobs": [[-1.0]], "old_logprobs": NUMBERS}, "1 entries"),
    "no rows": (
        {
            "tokens": pa.array([], pa.list_(pa.string())),
            "logprobs": pa.array([], pa.list_(pa.float64())),
            "old_logprobs": pa.array([], pa.list_(pa.float64())),
        },
        "no sequence",
    ),
}


@pytest.mark.parametrize("case", PARQUET_FAULTS)
def test_a_bad_parquet_table_gets_one_sentence(case: str) -> None:
    columns, word = PARQUET_FAULTS[case]
    assert word in refusal(parquet(**columns))


def test_a_parquet_file_cut_short_gets_one_sentence(mixed: Rollouts) -> None:
    whole = write_rollouts(mixed, "parquet")
    for cut in (4, 8, 100, len(whole) // 2, len(whole) - 1):
        assert "cut short" in refusal(whole[:cut])


def test_a_parquet_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    length = 20_000_000  # equal tokens pack into some kilobytes
    lists = pa.ListArray.from_arrays([0, length], pa.DictionaryArray.from_arrays(np.zeros(length, np.int8), ["a"]))
    packed = parquet(tokens=lists)
    assert len(packed) < 1_000_000
    assert "10,000,000 tokens" in refusal(packed)


def test_the_size_limit_is_stated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    big = tmp_path / "big.jsonl"
    with big.open("wb") as file:
        file.truncate(DISK.bytes + 1024**2)  # sparse: takes no space
    with pytest.raises(RolloutError, match=r"big\.jsonl: the file has 2,049 MB; the limit is 2,048 MB"):
        read_rollouts(big)


def test_a_missing_file_and_a_folder_get_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match="cannot be opened"):
        read_rollouts(tmp_path / "none.jsonl")
    with pytest.raises(RolloutError, match="folder"):
        read_rollouts(tmp_path)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "executed",))

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        refusal(pickle.dumps(Trap(), protocol))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("format", ["jsonl", "json", "csv", "parquet"])
def test_mutated_files_give_sequences_or_a_sentence(format: str, mixed: Rollouts) -> None:
    """400 files a reader: bytes flipped, cut, doubled, overwritten with what tends to hurt."""
    whole = write_rollouts(mixed, format)
    rng = np.random.default_rng(0)
    hurtful = [
        b"\x00",
        b"\xff\xfe",
        b"NaN",
        b"1e999",
        b"[",
        b"{",
        b'"',
        b",",
        b"\n",
        b"\\ud800",
        b"null",
        b"-0",
        b"true",
    ]
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 5)):
            at, span = int(rng.integers(len(data) + 1)), int(rng.integers(1, 40))
            match rng.integers(5):
                case 0:
                    data[at : at + 1] = bytes([rng.integers(256)])
                case 1:
                    data[at : at + span] = b""
                case 2:
                    data[at:at] = data[at : at + span]
                case 3:
                    data[at : at + 1] = hurtful[rng.integers(len(hurtful))]
                case 4:
                    del data[at:]
        try:
            rollouts = parse_rollouts(bytes(data), "x")
        except RolloutError as error:
            assert "\n" not in str(error) and str(error).startswith("x") and len(str(error)) < 600
            str(error).encode()
        else:
            assert np.isfinite(rollouts.logprobs[rollouts.mask]).all()
            json.dumps(list(rollouts.tokens), ensure_ascii=False).encode()
