"""Reading in a process of its own: the same comes back, what grows too large ends alone, and leaving ends the work."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import time
import zipfile
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sapo_viz.errors import RolloutError, SettingError
from sapo_viz.rollouts.apart import asking, parcel
from sapo_viz.rollouts.apart.allowance import MEMORY, Allowance
from sapo_viz.rollouts.apart.asking import Given, reading_apart
from sapo_viz.rollouts.readers.formats import read_pair
from sapo_viz.rollouts.readers.read import parse_file, parse_rollouts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import finish
from sapo_viz.rollouts.vocabulary import Tokens
from scripts.fuzz_readers import measured, mutated, seeds
from tests.rollouts.conftest import jsonl, sequence

FILES = seeds()
MB = 1024**2


def apart(data: bytes, name: str = "x") -> Rollouts:
    return finish(reading_apart([Given.of_bytes(data, name)]))


def plain(value: Any) -> Any:
    """As lists and numbers that can be compared, NaN as a word."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, [repr(item) for item in value.tolist()]
    if isinstance(value, Tokens):
        return list(value)
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return repr(value) if isinstance(value, float) else value


def outcome(read: Any) -> Any:
    try:
        return plain(read())
    except RolloutError as error:
        return str(error)


@pytest.mark.parametrize("name", FILES)
def test_every_sample_comes_back_as_it_is_read_here(name: str) -> None:
    data = FILES[name]
    assert outcome(lambda: apart(data, name)) == outcome(lambda: parse_file(data, name))


def test_a_pair_comes_back_as_it_is_read_here() -> None:
    def half(shift: float) -> bytes:
        choice = {"tokens": [{"token": t, "logprob": -1.0 - shift, "bytes": None, "top_logprobs": []} for t in "abc"]}
        return json.dumps({"choices": [{"logprobs": {"content": choice["tokens"]}, "index": 0}]}).encode()

    new, old = half(0.0), half(0.1)
    files = [Given.of_bytes(new, "new"), Given.of_bytes(old, "old")]
    got = outcome(lambda: finish(reading_apart(files)))
    assert isinstance(got, dict) and got == outcome(lambda: read_pair(new, "new", old, "old"))


def test_half_characters_and_empty_labels_survive() -> None:
    data = jsonl(sequence(tokens=["\ud83d", "", "é", "😀"], prompt=None), sequence(id="b", prompt="", step=None))
    assert outcome(lambda: apart(data)) == outcome(lambda: parse_rollouts(data, "x"))


def test_two_visitors_files_share_the_texts_of_their_tokens() -> None:
    one, other = (apart(jsonl(sequence(id=name, tokens=[" to", "geth", "er", "."]))).tokens.vocabulary for name in "ab")
    assert one == (" to", "geth", "er", ".") and all(a is b for a, b in zip(one, other, strict=True))


def test_a_parcel_carries_four_classes_and_no_other_object(tmp_path: Path) -> None:
    for value in (object(), (object(),), {"a": 1}, Path("x"), np.array([object()])):
        with (tmp_path / "parcel").open("wb") as file, pytest.raises(TypeError, match="does not carry"):
            parcel.write(value, file)


def dictionary_bomb(tokens: int = 2_000_000, text: int = 4096) -> bytes:
    """Parquet in which one long text stands once and is meant in every token: 49 kB took gigabytes so."""
    codes = pa.array(np.zeros(tokens, np.int32))
    column = pa.ListArray.from_arrays([0, tokens], pa.DictionaryArray.from_arrays(codes, ["x" * text]))
    zeros = pa.ListArray.from_arrays([0, tokens], pa.array(np.full(tokens, -1.0)))
    table = pa.table({"tokens": column, "logprobs": zeros, "old_logprobs": zeros, "advantage": [1.0]})
    out = io.BytesIO()
    pq.write_table(table, out, store_schema=False)  # it is then read as text, as most writers' files are
    return out.getvalue()


def wide_header(columns: int = 40_000) -> bytes:
    names = ["sequence", "token", "logprob", "old_logprob", "advantage", *(f"c{i}" for i in range(columns))]
    return (",".join(names) + "\n" + ",".join(["a", "b", "-1", "-1", "1", *["0"] * columns]) + "\n").encode()


def empty_rows(rows: int = 900_000) -> bytes:
    lists = pa.ListArray.from_arrays(np.zeros(rows + 1, np.int32), pa.array([], pa.float64()))
    texts = pa.ListArray.from_arrays(np.zeros(rows + 1, np.int32), pa.array([], pa.string()))
    out = io.BytesIO()
    pq.write_table(pa.table({"tokens": texts, "logprobs": lists, "old_logprobs": lists}), out)
    return out.getvalue()


def zip_bomb(size: int = 1 << 29) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a.jsonl", bytes(size))
    return out.getvalue()


HEAD = b"sequence,token,logprob,old_logprob,advantage\n"
BOMBS = {
    "one text meant a million times": lambda: dictionary_bomb(),
    "40,000 columns": lambda: wide_header(),
    "rows without tokens": lambda: empty_rows(),
    "empty lists": lambda: b'{"tokens": [' + b"[]," * 900_000 + b"[]]}",
    "small floats": lambda: b'{"tokens": ["a"], "logprobs": [' + b"1e1," * 900_000 + b"1]}",
    "brackets in a document": lambda: b"[" + b"[[]]," * 900_000 + b"[]]",
    "one key, many objects": lambda: b"[" + b'{"a":{}},' * 400_000 + b"{}]",
    "one quoted cell": lambda: HEAD + b'1,"' + b'""' * 5_000_000 + b'",-1,-1,1\n',
    "a quote that is never closed": lambda: HEAD + b'1,"' + b"x,\n" * 2_000_000,
    "a million nested keys": lambda: b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_000,
    "a number of a million digits": lambda: b'{"tokens": ["a"], "logprobs": [-' + b"1" * 1_000_000 + b"]}",
    "one list many times": lambda: b"\x80\x02]q\x00" + b"h\x00a" * 5_000_000 + b".",
    "compressed zeros": lambda: gzip.compress(bytes(1 << 30), 1),
    "a zip of zeros": lambda: zip_bomb(),
    "objects side by side": lambda: b"{}" * 2_000_000,
    "pickled lists": lambda: b"\x80\x04" + b"]" * 2_900_000 + b".",
}


@pytest.mark.parametrize("name", BOMBS)
def test_reading_a_bomb_takes_what_such_a_file_may_take(name: str) -> None:
    """Peak memory at most 5 × the file + 300 MB, processor time at most 2 s + 1 s for each 10 MB."""
    data = BOMBS[name]()
    took = measured(data)
    assert took.peak <= 5 * len(data) + 300 * MB, (took.peak / MB, took.message)
    assert took.seconds <= 2.0 + len(data) / 10e6 + 0.2, took  # looked at every hundredth of a second
    assert "stopped at an unexpected" not in took.message and "without an error message" not in took.message, (
        took.message
    )


def test_a_refusal_says_how_much_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b'{"tokens": ["a"], "logprobs": [' + b"1e1," * 5_000_000 + b"1]}"
    monkeypatch.setattr(asking, "_running", [])
    monkeypatch.setenv(MEMORY, "64")
    with pytest.raises(RolloutError) as caught:
        apart(data, "x.json")
    asking.keeper().close()
    message = str(caught.value)
    assert message.startswith("x.json: reading its 20 MB takes more than 167 MB of memory") and MEMORY in message


@pytest.mark.parametrize("name", FILES)
def test_mutated_files_are_read_or_refused_within_their_bars(name: str) -> None:
    """A sample of what `make fuzz` does ten thousand times."""
    chance = random.Random(name)
    for _ in range(4):
        data = mutated(FILES[name], chance) or b"x"
        took = measured(data, name)
        assert took.within(len(data)), took


def readers() -> list[psutil.Process]:
    return psutil.Process(asking.keeper().pid).children()


def within(seconds: float, holds: Any) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(holds())


@pytest.fixture
def slow() -> Iterator[bytes]:
    """A file that takes seconds, row by row."""
    head = "sequence,token,logprob,old_logprob,advantage\n"
    yield (head + 'a,"x",-1,-1,1\nb,y"z,-1,-1,1\n'.replace('y"z', "y") * 1_000_000 + 'c,"a"b",-1,-1,1\n').encode()


def test_letting_go_ends_the_reader(slow: bytes) -> None:
    steps = reading_apart([Given.of_bytes(slow, "x.csv")])
    assert within(20, lambda: next(steps) is None and readers())
    steps.close()
    assert within(20, lambda: not readers())


def test_others_wait_for_their_turn_and_get_it(slow: bytes) -> None:
    busy = [reading_apart([Given.of_bytes(slow, "x.csv")]) for _ in range(2)]
    assert within(20, lambda: [next(steps) for steps in busy] and len(readers()) == 2)
    third = reading_apart([Given.of_bytes(jsonl(sequence()), "y")])
    for _ in range(4):
        assert next(third) is None
    assert len(readers()) <= 2
    for steps in busy:
        steps.close()
    assert len(finish(third)) == 1


def test_the_keeper_ends_with_the_server() -> None:
    one = asking.KeeperProcess()
    assert psutil.pid_exists(one.pid)
    one.close()
    assert not psutil.pid_exists(one.pid)


def test_a_keeper_that_was_killed_is_started_again() -> None:
    assert len(apart(jsonl(sequence()))) == 1
    os.kill(asking.keeper().pid, 9)
    assert len(apart(jsonl(sequence()))) == 1


def test_a_file_that_is_gone_gets_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(jsonl(sequence()))
    given = Given.of_path(path, path.name)
    path.unlink()
    with pytest.raises(RolloutError, match=r"a\.jsonl: it cannot be opened"):
        finish(reading_apart([given]))


def test_a_name_of_any_length_ends_no_other_reader(slow: bytes) -> None:
    busy = reading_apart([Given.of_bytes(slow, "x.csv")])
    assert within(20, lambda: next(busy) is None and readers())
    keeper = asking.keeper().pid
    assert len(apart(jsonl(sequence()), "x" * 1_000_000)) == 1
    with asking.keeper().ask({"names": ["x" * 70_000], "size": 1}) as talk:  # longer than a message
        assert talk.recv(1) == b""
    assert next(busy) is None or readers()
    busy.close()
    assert asking.keeper().pid == keeper


def test_a_setting_that_means_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY, "much")
    with pytest.raises(SettingError, match=f"{MEMORY}: 'much'"):
        Allowance.of(1)
