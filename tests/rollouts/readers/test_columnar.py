"""Whole columns and record by record are two ways to one result; sums in chunks are those of one batch."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sapo_viz import CATALOG
from sapo_viz.core.token_view import token_view
from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.analysis import passes
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.build import build
from sapo_viz.rollouts.columns import Columns, NotPlain
from sapo_viz.rollouts.readers.files import csv_blocks, csv_file, json_file, jsonl_blocks, jsonl_file, parquet_file
from sapo_viz.rollouts.readers.read import parse_rollouts
from sapo_viz.rollouts.schema import DISK, UPLOAD, Limits, Rollouts
from sapo_viz.rollouts.vocabulary import Tokens
from sapo_viz.rollouts.write import write_rollouts
from tests.rollouts.conftest import jsonl, sequence

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
logprob = st.floats(-50, 0) | st.sampled_from([0.0, -0.0, 5e-4, -1e-300, -1e300])
number = st.floats(-1e6, 1e6)


@st.composite
def sequences(draw: Any) -> list[dict[str, Any]]:
    """A valid file: each sequence draws which optional fields it has."""
    out = []
    for index in range(draw(st.integers(1, 5))):
        length = draw(st.integers(1, 6))
        item: dict[str, Any] = {"id": f"s{index}"}

        def column(values: Any, length: int = length) -> list[Any]:
            return draw(st.lists(values, min_size=length, max_size=length))

        item["tokens"] = column(texts)
        mask = column(st.sampled_from([0, 1])) if draw(st.booleans()) else None
        if mask is not None:
            mask[0] = 1  # in CSV a column that is empty throughout a sequence is one that is missing
            item["mask"] = mask
        for name in ("logprobs", "old_logprobs"):
            item[name] = [
                value if mask is None or mask[i] or draw(st.booleans()) else None
                for i, value in enumerate(column(logprob))
            ]
        if draw(st.booleans()):
            item["token_ids"] = column(st.integers(0, 2**53 - 1))
        if draw(st.booleans()):
            item["ref_logprobs"] = column(logprob)
            item["sampler_logprobs"] = column(logprob)
        item["step"] = draw(st.none() | st.integers(-5, 10**6))
        item["reward"] = draw(st.none() | number)
        item["group"] = draw(st.none() | st.sampled_from(["p", "q q", "1"]))
        if item["reward"] is None or item["group"] is None or draw(st.booleans()):
            item["advantages"] = column(number)
        out.append({name: value for name, value in item.items() if value is not None})
    return out


def same(a: Rollouts, b: Rollouts) -> None:
    assert a.tokens == b.tokens
    for name in ("ids", "prompts", "rewards", "groups", "steps", "notes"):
        assert getattr(a, name) == getattr(b, name), name
    for name in (
        "offsets",
        "logprobs",
        "old_logprobs",
        "advantages",
        "mask",
        "token_ids",
        "sampler_logprobs",
        "ref_logprobs",
    ):
        one, other = getattr(a, name), getattr(b, name)
        if one is None or other is None:
            assert one is other is None, name
        else:
            assert one.dtype == other.dtype and not one.flags.writeable
            np.testing.assert_array_equal(one, other, err_msg=name)


def by_columns(data: bytes, format: str) -> Rollouts:
    columns = Columns("x")
    if format == "csv":
        found = csv_blocks.blocks("x", data, columns)
    elif format == "jsonl":
        found = jsonl_blocks.blocks(data, columns)
    else:
        found = parquet_file.blocks("x", io.BytesIO(data), UPLOAD, columns)
    for block in found:
        columns.add_block(block)
    return columns.finish()


def by_records(data: bytes, format: str) -> Rollouts:
    if format == "csv":
        return build("x", csv_file.records("x", data))
    if format == "jsonl":
        return build("x", jsonl_file.records("x", data))
    return build("x", parquet_file.records("x", io.BytesIO(data), UPLOAD))


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
@settings(max_examples=60, deadline=None)
@given(items=sequences())
def test_whole_columns_give_what_single_records_give(format: str, items: list[dict[str, Any]]) -> None:
    rollouts = parse_rollouts(json.dumps(items).encode(), "x")
    data = write_rollouts(rollouts, format)
    try:
        fast = by_columns(data, format)
    except NotPlain:
        assert format == "csv" and any("\r" in t or "\x00" in t for item in items for t in item["tokens"])
        fast = parse_rollouts(data, "x")
    same(fast, by_records(data, format))


@settings(max_examples=60, deadline=None)
@given(items=sequences(), data=st.data())
def test_a_parquet_file_with_nulls_anywhere_gives_the_same_both_ways(items: list[dict[str, Any]], data: Any) -> None:
    """Rows that pandas or Spark would write: missing lists, missing numbers, numbers for names, empty sequences."""
    if data.draw(st.booleans()):
        items = [*items, {"tokens": [], "logprobs": [], "old_logprobs": [], "advantages": []}]
    names = {name for item in items for name in item}
    out = io.BytesIO()
    pq.write_table(pa.table({name: [item.get(name) for item in items] for name in sorted(names)}), out)
    same(parse_rollouts(out.getvalue(), "x"), by_records(out.getvalue(), "parquet"))


def test_rows_of_a_csv_file_may_be_interleaved() -> None:
    head = b"sequence,token,logprob,old_logprob,reward,group\n"
    rows = [b"b,1,-1,-2,0,g\n", b"a,2,-3,-4,1,g\n", b'b,"x,\n""",-5,-6,0,g\n', b"a,NA,-7,-8,1,g\n"]
    fast, slow = (read(head + b"".join(rows), "csv") for read in (by_columns, by_records))
    same(fast, slow)
    assert fast.ids == ("b", "a") and list(fast.tokens) == ["1", 'x,\n"', "2", "NA"]
    assert fast.logprobs.tolist() == [-1, -5, -3, -7]


def test_a_first_line_with_half_a_character_for_a_name_goes_to_the_reader_of_records() -> None:
    line = jsonl(sequence() | {"\ud83d": 1})
    with pytest.raises(NotPlain):
        by_columns(line, "jsonl")
    assert len(parse_rollouts(line, "x")) == 1


@pytest.mark.parametrize(
    "line",
    [
        '{"tokens": ["a"], "logprobs": [-1], "old_logprobs": [-1], "advantage": 1, "advantage": 2}',
        '{"tokens": ["\\ud83d"], "logprobs": [-1], "old_logprobs": [-1], "advantage": 1}',
        '{"tokens": ["a"], "logprobs": ["-1"], "old_logprobs": [-1], "advantage": 1}',
        '{"tokens": ["a"], "logprobs": [NaN], "old_logprobs": [-1], "advantage": 1}',
        '{"tokens": ["a"], "logprobs": [-1], "old_logprobs": [-1]}',
        '[{"tokens": ["a"], "logprobs": [-1], "old_logprobs": [-1], "advantage": 1}]',
        '{"tokens": ["a"], "logprobs": [-1], "old_log',
        '{"error": "timeout"}',
        '{"tokens": ["a"], "logprobs": [-1], "old_logprobs": [-1], "advantage": 1, "x": ' + '{"a": ' * 300_000,
        "null",
    ],
)
def test_an_unusual_line_of_jsonl_goes_to_the_reader_of_records(line: str) -> None:
    usual = jsonl(sequence())
    assert len(by_columns(usual, "jsonl")) == 1
    with pytest.raises(NotPlain):
        by_columns(usual + line.encode(), "jsonl")


def test_a_reward_without_a_group_is_said_before_the_rest_is_read() -> None:
    """A file of a million sequences would be read twice before it is refused."""
    seen = []
    lines = jsonl(*[sequence(advantage=None, reward=1.0)] * 3)
    with pytest.raises(NotPlain):
        by_columns(lines, "jsonl")
    with pytest.raises(RolloutError, match="x, line 1: group is missing and there is no advantage"):
        build("x", (seen.append(record) or record for record in jsonl_file.records("x", lines)))
    assert len(seen) == 1


@pytest.mark.parametrize("row", [b'a,b"c,-1,-1\n', b'a,"b"c,-1,-1\n', b'a,"b,-1,-1\n', b"a,b,1_0,-1\n"])
def test_what_pyarrow_would_forgive_goes_to_the_strict_reader(row: bytes) -> None:
    with pytest.raises(NotPlain):
        by_columns(b"sequence,token,logprob,old_logprob\n" + row, "csv")


def long_and_short(rng: np.random.Generator) -> list[dict[str, Any]]:
    items = []
    for number_, length in enumerate([*rng.integers(1, 40, size=25), 3000]):
        old = -rng.exponential(1.0, length)
        new = np.minimum(old + rng.standard_t(2, length), 0)
        item = sequence(tokens=["t"] * int(length), logprobs=new.tolist(), old_logprobs=old.tolist(), advantage=None)
        if number_ % 3:
            item |= {"advantages": (rng.normal(size=length) * (rng.random(length) > 0.2)).tolist()}
        else:
            item |= {"advantage": float(number_ % 2), "mask": [1] + rng.integers(0, 2, length - 1).tolist()}
        items.append(item)
    return items


@pytest.mark.parametrize("name", CATALOG)
def test_sums_in_chunks_are_those_of_one_padded_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rollouts = parse_rollouts(jsonl(*long_and_short(np.random.default_rng(3))), "x")
    shape = (len(rollouts), int(rollouts.lengths.max()))
    inside = np.arange(shape[1]) < rollouts.lengths[:, None]
    batch = []
    for values in (rollouts.logprobs, rollouts.old_logprobs, rollouts.advantages, rollouts.mask):
        out = np.zeros(shape, values.dtype)
        out[inside] = values
        batch.append(torch.from_numpy(out))
    cls = CATALOG[name]
    view = token_view(cls(), *batch, alone=cls.reads_batch and not cls.within_sequence)  # as files are shown
    weight, c = view.gate_weight.numpy(), view.coefficient.numpy()
    size = np.where(batch[3].numpy(), np.abs(batch[2].numpy()), 0)
    monkeypatch.setattr(passes, "CHUNK", 256)
    result = analyse(rollouts, {name: CATALOG[name]()})
    total = size.sum(1)
    with np.errstate(invalid="ignore"):
        kept = (size * weight).sum(1) / total
    np.testing.assert_allclose(result.sequences[f"kept_{name}"], kept, rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(result.sequences[f"dropped_{name}"], ((size > 0) & (c == 0)).sum(1))
    for sign in (0, 1, -1):
        chosen = (size > 0) & ((np.sign(batch[2].numpy()) == sign) | (sign == 0))
        share = result.share(name, sign)
        assert share.tokens == chosen.sum()
        assert share.kept == pytest.approx((size * weight)[chosen].sum() / size[chosen].sum(), rel=1e-10)
        assert share.clip_fraction == pytest.approx((c[chosen] == 0).mean())
        squares = (c[chosen] ** 2).sum()  # 0 where a switch for whole sequences is off in all of them
        ess = c[chosen].sum() ** 2 / (chosen.sum() * squares) if squares else 0.0
        assert share.ess == pytest.approx(ess, rel=1e-10)
    for column, expected in (("weight", weight), ("coefficient", c), ("ratio", view.ratio.numpy())):
        numbers = getattr(result.tokens[name], column)
        np.testing.assert_allclose(numbers[:], expected[inside], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(numbers[17:2900], expected[inside][17:2900], rtol=1e-12, atol=1e-15)
        assert numbers[-1] == pytest.approx(expected[inside][-1], rel=1e-12)


def test_a_file_of_zero_advantages_has_token_numbers_and_no_share() -> None:
    result = analyse(parse_rollouts(jsonl(sequence(advantage=0.0)), "x"), {"sapo": CATALOG["sapo"]()})
    assert result.tokens["sapo"].weight[0] > 0.99 and result.share("sapo").tokens == 0


@pytest.mark.parametrize(("what", "count"), [("log_ratio", 3400), ("log_s", 26), ("variance", 26)])
def test_a_histogram_counts_every_value_once(what: Any, count: int) -> None:
    items = long_and_short(np.random.default_rng(4))
    items[5]["logprobs"][0] = -1e6  # one wild token does not widen the bins
    rollouts = parse_rollouts(jsonl(*items), "x")
    result = analyse(rollouts, {"sapo": CATALOG["sapo"]()})
    found = result.histogram(what, bins=20)
    counted = sum(int(counts.sum()) for counts in found.counts.values())
    beyond = sum(found.below.values()) + sum(found.above.values())
    expected = int(rollouts.mask.sum()) if what == "log_ratio" else len(rollouts)
    assert counted + beyond == expected
    assert len(found.edges) == 21 and (np.diff(found.edges) > 0).all()
    if what == "log_ratio":
        assert found.edges[0] > -1e5 and set(found.counts) == {"A > 0", "A < 0", "A = 0"}
        z, a = rollouts.log_ratio, rollouts.advantages
        own = z[rollouts.mask & (a > 0) & (z >= found.edges[0]) & (z <= found.edges[-1])]
        np.testing.assert_array_equal(found.counts["A > 0"], np.histogram(own, found.edges)[0])


def token_frame(names: list[Any]) -> dict[str, list[Any]]:
    count = len(names)
    return {
        "sequence": names, "token": [f"t{i}" for i in range(count)], "logprob": [-0.5 - i for i in range(count)],
        "old_logprob": [-0.25] * count, "reward": [1.0 if name in ("a", 1) else 0.0 for name in names],
        "group": ["p"] * count,
    }  # fmt: skip


@pytest.mark.parametrize("names", [["a", "a", "b"], ["a", "b", "a"], [1, 1, 0]])
def test_a_parquet_file_may_have_a_row_a_token(names: list[Any]) -> None:
    """The same as the CSV of its columns; names may be numbers, and rows need not follow one another."""
    table = pa.table(token_frame(names))
    text = io.BytesIO()
    pa.csv.write_csv(table, text)
    one, other = parse_rollouts(_parquet(table), "x"), parse_rollouts(text.getvalue(), "x")
    assert one.ids == other.ids and list(one.tokens) == list(other.tokens) and one.rewards == other.rewards
    assert (one.logprobs == other.logprobs).all() and (one.advantages == other.advantages).all()


def test_what_is_wrong_in_such_a_file_is_said_with_its_row() -> None:
    table = pa.table(token_frame(["a", "a", "b"]) | {"logprob": [-0.5, 1.5, -0.5]})
    with pytest.raises(RolloutError, match=r"x, row 1 on: logprobs\[1\] is 1\.5"):
        parse_rollouts(_parquet(table), "x")
    with pytest.raises(RolloutError, match=r"x: unpacked it holds more than 2 tokens"):
        parse_rollouts(_parquet(pa.table(token_frame(["a", "a", "b"]))), "x", Limits(10**9, 2))


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def test_a_histogram_of_one_value_has_one_full_bin() -> None:
    rollouts = parse_rollouts(jsonl(sequence(logprobs=[-2.0] * 4)), "x")
    for what in ("log_ratio", "log_s", "variance"):
        found = analyse(rollouts, {"sapo": CATALOG["sapo"]()}).histogram(what)
        assert (np.diff(found.edges) > 0).all() and math.isfinite(found.edges.sum())
    assert analyse(rollouts, {}).histogram("log_ratio").counts["A > 0"].max() == 4


def test_tokens_are_a_sequence_of_texts_that_keeps_each_once() -> None:
    plain = ["a", "b", "a", "", "\ud83d", "�"]
    tokens = Tokens.of(plain)
    assert list(tokens) == ["a", "b", "a", "", "�", "�"] and len(tokens.vocabulary) == 4
    assert tokens[0] == tokens[-4] == "a" and tokens[1:3] == ["b", "a"] and tokens.cut(slice(1, 3)) == ("b", "a")
    assert tokens != ["a"] and "b" in tokens and tokens.index("b") == 1


LIMITS: dict[str, tuple[Callable[[], Any], str]] = {
    "a long line": (
        lambda: parse_rollouts(jsonl(sequence()) + b'{"tokens": ["' + b"x" * 400 + b'"]}\n', "x"),
        "line 2: it has 0 MB; the limit is 0 MB per line",
    ),
    "brackets in a line": (
        lambda: list(jsonl_file.records("x", b'{"a": [' + b"[]," * 1_000_001 + b"[]]}\n")),
        "x, line 1: it has more than 1,000,000 opening brackets",
    ),
    "brackets in a document": (
        lambda: list(json_file.records("x", "[" + "{}," * 10_000_001 + "{}]")),
        "x: it has more than 10,000,000 opening brackets",
    ),
    "a long sequence": (
        lambda: parse_rollouts(jsonl(sequence(tokens=["a"] * 9, logprobs=[-1] * 9, old_logprobs=[-1] * 9)), "x"),
        "a sequence has 9 tokens; at most 8 are taken",
    ),
    "many sequences": (lambda: parse_rollouts(jsonl(*[sequence()] * 4), "x"), "more than 3 sequences"),
}


@pytest.mark.parametrize("case", LIMITS)
def test_a_limit_is_one_sentence(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if case == "a long line":
        monkeypatch.setattr(jsonl_file, "MAX_LINE", 300)
    monkeypatch.setattr("sapo_viz.rollouts.columns.MAX_LENGTH", 8)
    monkeypatch.setattr("sapo_viz.rollouts.columns.MAX_SEQUENCES", 3)
    make, words = LIMITS[case]
    with pytest.raises(RolloutError) as caught:
        make()
    assert words in str(caught.value) and str(caught.value).endswith(".")


def test_a_text_that_is_meant_many_times_is_refused_while_it_unpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's dictionary holds one text of a megabyte; its 400 uses would be 400 MB."""
    monkeypatch.setattr(parquet_file, "unpacked", lambda limits: 50_000_000)
    offsets = np.arange(0, 401, 10)
    tokens = pa.DictionaryArray.from_arrays(np.zeros(400, np.int8), ["x" * 1_000_000])
    numbers = pa.ListArray.from_arrays(offsets, pa.array(np.full(400, -1.0)))
    table = pa.table(
        {"tokens": pa.ListArray.from_arrays(offsets, tokens), "logprobs": numbers, "old_logprobs": numbers}
    )
    out = io.BytesIO()
    pq.write_table(table, out, store_schema=False)  # else pyarrow would read a dictionary again
    assert len(out.getvalue()) < 200_000
    before = pa.total_allocated_bytes()
    with pytest.raises(RolloutError, match="unpacked it holds more than"):
        parse_rollouts(out.getvalue(), "x")
    assert pa.total_allocated_bytes() - before < 200_000_000


def test_files_opened_by_path_may_hold_more() -> None:
    assert DISK.tokens > UPLOAD.tokens and DISK.bytes > UPLOAD.bytes
