"""Files as they come to hand: cut short, written one object after the other, compressed, in an archive, in UTF-16."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from random import Random

import pyarrow as pa
import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.files.packed import members
from sapo_viz.rollouts.readers.formats import read_pair
from sapo_viz.rollouts.readers.read import parse_rollouts
from sapo_viz.rollouts.schema import Limits
from scripts.fuzz_readers import mutated
from tests.rollouts.conftest import jsonl, sequence

ROWS = [sequence(id=str(i)) for i in range(5)]
LINES = jsonl(*ROWS)
SPREAD = "\n".join(json.dumps(row, indent=2) for row in ROWS).encode()
LIST = json.dumps(ROWS).encode()
SIDE_BY_SIDE = b"".join(json.dumps(row).encode() for row in ROWS)
TABLE = b"sequence,token,logprob,old_logprob,advantage\n" + b"".join(
    b"%s,t,-0.5,-0.6,1\n" % name for name in (b"a", b"a", b"b", b"b")
)


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


WHOLE: dict[str, Callable[[], bytes]] = {
    "objects over several lines, one after the other": lambda: SPREAD,
    "the same with other line ends": lambda: SPREAD.replace(b"\n", b"\r\n"),
    "objects side by side": lambda: SIDE_BY_SIDE,
    "a list a line": lambda: b"".join(json.dumps([row]).encode() + b"\n" for row in ROWS),
    "gzip": lambda: gzip.compress(LINES),
    "two gzip streams": lambda: gzip.compress(jsonl(*ROWS[:2])) + gzip.compress(jsonl(*ROWS[2:])),
    "zstd": lambda: pa.compress(LINES, codec="zstd", asbytes=True),
    "xz": lambda: lzma.compress(LINES),
    "two xz streams": lambda: lzma.compress(jsonl(*ROWS[:2])) + bytes(4) + lzma.compress(jsonl(*ROWS[2:])),
    "a tar in xz": lambda: lzma.compress(tarred({"a.json": LIST})),
    "UTF-16": lambda: LINES.decode().encode("utf-16"),
    "UTF-16, the other end first": lambda: b"\xfe\xff" + LINES.decode().encode("utf-16-be"),
    "a zip of one file": lambda: zipped({"run/notes.txt": b"x", "run/a.jsonl": LINES, "__MACOSX/._a.jsonl": b"x"}),
    "a tar of one file": lambda: tarred({"run/a.jsonl": LINES}),
    "a compressed tar": lambda: gzip.compress(tarred({"a.json": LIST})),
    "a name that leads out": lambda: zipped({"../../a.jsonl": LINES}),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_all_of_it_is_read(kind: str) -> None:
    found = parse_rollouts(WHOLE[kind](), "x")
    assert found.ids == tuple("01234") and found.notes == ()


CUT: dict[str, Callable[[], bytes]] = {
    "the last line": lambda: LINES + LINES[:60],
    "the last line, within a character": lambda: LINES + b'{"tokens": ["\xe4\xbd',
    "zeros that a crash left": lambda: LINES + bytes(400),
    "a line in the middle, where a killed process went on": lambda: (
        LINES.splitlines(True)[0][:50] + LINES.splitlines(True)[0] + LINES
    ),
    "objects over several lines": lambda: SPREAD + SPREAD[:60],
    "objects side by side": lambda: json.dumps([*ROWS, ROWS[0]]).encode()[:-40],
    "a list": lambda: b"[" + LIST[1:-1] + b", " + LIST[1:40],
    "a list over several lines": lambda: json.dumps([*ROWS, ROWS[0]], indent=1).encode()[:-40],
}


@pytest.mark.parametrize("kind", CUT)
def test_what_is_cut_short_is_counted_and_the_rest_is_read(kind: str) -> None:
    found = parse_rollouts(CUT[kind](), "x")
    assert len(found) == 5
    assert "left out because something in them is wrong: 1; the first is x, line" in found.notes[-1]


@pytest.mark.parametrize("cut", [TABLE[:-8], TABLE + b'b,"to', TABLE + b"b"])
def test_a_table_that_ends_within_a_row_says_whose_tokens_may_be_missing(cut: bytes) -> None:
    found = parse_rollouts(cut, "x.csv")
    assert found.ids == ("a", "b")
    assert "the file ends within this row, so the sequence 'b' may lack its last tokens" in found.notes[-1]


@pytest.mark.parametrize("lines", [True, False], ids=["JSONL", "JSON"])
def test_an_object_may_be_one_token(lines: bool) -> None:
    """The same as in CSV; pandas saves a frame of its columns so."""
    rows = [
        {"sequence": name, "token": f"t{i}", "logprob": -0.5, "old_logprob": -0.5 - i, "reward": reward, "group": "p"}
        for name, reward in (("a", 1), ("b", 0))
        for i in range(3)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows) if lines else json.dumps(rows)
    head = "sequence,token,logprob,old_logprob,reward,group\n"
    table = head + "".join(",".join(map(str, row.values())) + "\n" for row in rows)
    one, other = parse_rollouts(text.encode(), "x"), parse_rollouts(table.encode(), "x")
    assert one.ids == other.ids == ("a", "b") and list(one.tokens) == list(other.tokens)
    assert (one.old_logprobs == other.old_logprobs).all() and (one.advantages == other.advantages).all()
    interleaved = "".join(json.dumps(rows[i]) + "\n" for i in (0, 3, 1))
    with pytest.raises(RolloutError, match=r"x, line 3: sequence is 'a' again; rows of one sequence follow one anoth"):
        parse_rollouts(interleaved.encode(), "x")


def test_a_table_without_a_last_line_end_is_whole() -> None:
    assert parse_rollouts(TABLE[:-1], "x.csv").notes == ()


@pytest.mark.parametrize(("codec", "pack"), [("gzip", gzip.compress), ("xz", lzma.compress)])
def test_a_stream_that_ends_too_early_is_read_up_to_there(codec: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(jsonl(*(sequence(id=str(i), logprobs=[-i / 7919] * 4) for i in range(2_000))))
    found = parse_rollouts(packed[: len(packed) // 2], "x")
    assert 500 < len(found) < 2_000 and f"The {codec} stream ends too early" in found.notes[-1]


def test_xz_that_asks_for_much_memory_is_refused() -> None:
    """Its header says how large a window to keep, which is taken before a byte is unpacked."""
    packed = lzma.compress(LINES, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 512 * 1024**2}])
    with pytest.raises(RolloutError, match=r"x: this is xz and damaged \(Memory usage limit exceeded\)"):
        parse_rollouts(packed, "x")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_of_steps_is_one_run(pack: Callable[[Mapping[str, bytes]], bytes]) -> None:
    found = parse_rollouts(pack({f"out/step-0000{i}.jsonl": LINES for i in (1, 2, 4, 5)}), "x")
    assert found.steps == (1,) * 5 + (2,) * 5 + (4,) * 5 + (5,) * 5
    assert found.notes == ("Steps that are not in the folder: 3.",)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (lambda: zipped({"a.jsonl": LINES, "b.csv": TABLE}), "2 files (a.jsonl, b.csv) that are not the steps of one"),
        (lambda: zipped({"weights.npy": b"x"}), "holds no JSON, JSONL"),
        (lambda: zipped({"a.jsonl": bytes(3_000_000)}), "more than 1 MB"),
        (lambda: gzip.compress(bytes(3_000_000)), "more than 1 MB"),
        (lambda: gzip.compress(gzip.compress(gzip.compress(gzip.compress(LINES)))), "this is binary"),
    ],
)
def test_what_is_not_taken_is_said(data: Callable[[], bytes], says: str) -> None:
    with pytest.raises(RolloutError) as caught:
        parse_rollouts(data(), "x", Limits(1 << 20, 10_000))
    assert says in str(caught.value)


def test_a_path_in_an_archive_does_not_fill_a_sentence_nor_command_a_terminal() -> None:
    with pytest.raises(RolloutError) as error:
        parse_rollouts(zipped({"d/" * 29_000 + "a\nb\x1b[31m\u202e.jsonl": b'{"tokens": ["a"]}\n'}), "x.zip")
    said = str(error.value)
    assert len(said) < 400 and said.isprintable() and "b�[31m�.jsonl, line 1" in said


def test_a_pair_may_be_compressed() -> None:
    answer = {"logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]}}
    choice = {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"} | answer
    body = json.dumps({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]}).encode() + b"\n"
    assert len(read_pair(gzip.compress(body), "new", body, "old")) == 1


def archives() -> Iterator[bytes]:
    """Each method of zip and each dialect of tar, with names beyond ASCII."""
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("läufe/ü.json", LIST)
        yield out.getvalue()
    for dialect in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=dialect) as tar:
            info = tarfile.TarInfo("läufe/" + "ü" * 20 + ".json")
            info.size, info.mtime = len(LIST), 1.5
            tar.addfile(info, io.BytesIO(LIST))
        yield out.getvalue()


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_archive_gives_its_files_or_one_sentence(seed: int) -> None:
    """zipfile and tarfile raise whatever they meet: a name that is no UTF-8, a place before the first."""
    chance, whole, refused = Random(seed), list(archives()), 0
    for _ in range(400):
        data = mutated(chance.choice(whole), chance)[: 1 << 20]
        try:
            members("x", data, 1 << 20)
        except RolloutError as error:
            refused += 1
            assert str(error).startswith("x: ")
    assert refused > 50
