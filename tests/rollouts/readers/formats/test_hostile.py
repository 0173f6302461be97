"""Nothing in a pickle or a torch file is run, and what is built to break a reader gets a sentence."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.describe import CONVERT, formats_markdown
from sapo_viz.rollouts.readers.formats import FORMATS
from sapo_viz.rollouts.readers.formats import pickled as machine
from sapo_viz.rollouts.readers.read import parse_rollouts
from tests.rollouts.readers.formats import samples


def refusal(data: bytes) -> str:
    with pytest.raises(RolloutError) as caught:
        parse_rollouts(data, "x")
    message = str(caught.value)
    assert message.startswith("x") and message.endswith(".") and "\n" not in message and len(message) < 400, message
    return message


class Trap:
    """What an attacker pickles: opening it runs a command that leaves a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("place", ["alone", "in a slime sample", "in SkyRL's metadata", "as a torch file"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_command_in_a_pickle_does_not_run(place: str, protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    trap = Trap(marker)
    if place == "alone":
        data = pickle.dumps(trap, protocol)
    elif place == "in SkyRL's metadata":
        data = pickle.dumps({"batch_dict": {}, "metadata": trap}, protocol)
    else:
        value: Any = trap if place == "as a torch file" else {"rollout_id": 1, "samples": [{"metadata": trap}]}
        out = io.BytesIO()
        torch.save(value, out, pickle_protocol=protocol)
        data = out.getvalue()
    assert "asks for posix.system, which is not data" in refusal(data)
    assert not marker.exists()
    if place == "alone":  # the trap is a real one
        pickle.loads(data)
        assert marker.exists()


def test_a_name_that_frameworks_use_is_not_imported_or_called_either(tmp_path: Path) -> None:
    marker = str(tmp_path / "ran")
    reduce = (
        b"\x80\x02ctorch.hub\ndownload_url_to_file\nX" + struct.pack("<I", len(marker)) + marker.encode() + b"\x85R."
    )
    assert "not SkyRL's" in refusal(reduce)
    assert "not SkyRL's" in refusal(b"\x80\x04\x8c\x05numpy\x8c\x04load\x93\x8c\x01x\x85R.")
    assert not Path(marker).exists()


def archive(data_pkl: bytes, *, compress: int = zipfile.ZIP_STORED, storage: bytes = bytes(16)) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as file:
        file.writestr("archive/data.pkl", data_pkl)
        file.writestr("archive/byteorder", b"little")
        file.writestr("archive/data/0", storage)
    return out.getvalue()


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"


def tensor(size: bytes, stride: bytes, offset: bytes = b"K\x00") -> bytes:
    """A pickle of {"rollout_id": <tensor>} on a storage of four floats."""
    inside = STORAGE + offset + size + stride + b"\x89}t"
    return b"\x80\x02}X\x0a\x00\x00\x00rollout_idctorch._utils\n_rebuild_tensor_v2\n(" + inside + b"Rs."


HUGE = b"\x8a\x06\x00\x00\x00\x00\x00\x01\x85"  # (2**40,)
HOSTILE = {
    "tuples a million deep as a dict key": (
        b"\x80\x02}" + b")" + b"\x85" * 1_000_000 + b"K\x01s.",
        "neither text nor number",
    ),
    "lists a million deep": (b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b".", "is not SkyRL's"),
    "five million lists in five megabytes": (b"\x80\x02" + b"]" * 5_000_000 + b".", "more than 3,000,000"),
    "no end": (b"\x80\x02" + b"N0" * 1000, "cut short"),
    "a number of a gigabyte": (b"\x80\x02\x8b\x00\x00\x00\x40.", "whole number of 1,073,741,824 bytes"),
    "a text of exabytes": (b"\x80\x04\x8d" + b"\xff" * 8 + b".", "cut short"),
    "an unknown operation": (b"\x80\x02\xff.", "0xff"),
    "an extension": (b"\x80\x02\x82\x01.", "0x82"),
    "the memo without an entry": (b"\x80\x02h\x07.", "cut short"),
    "an empty stack": (b"\x80\x02.", "cut short"),
    "a mark as the value": (b"\x80\x02(.", "cut short"),
    "items for a number": (b"\x80\x02K\x01NNs.", "cut short"),
    "calling a number": (b"\x80\x02K\x01)R.", "cut short"),
    "a state for a list": (b"\x80\x02]}b.", "cut short"),
    "an unprintable name": (b"\x80\x02c\x1b[31m\n\x07\n.", "asks for"),
    "torch: tensor of 2**40 numbers": (archive(tensor(HUGE, b"K\x00\x85")), "more than 40,000,000 numbers"),
    "torch: tensor beyond its storage": (archive(tensor(b"K\x04\x85", b"K\x02\x85")), "beyond its storage"),
    "torch: offset beyond its storage": (archive(tensor(b"K\x04\x85", b"K\x01\x85", b"K\x01")), "beyond its storage"),
    "torch: negative offset": (
        archive(tensor(b"K\x04\x85", b"K\x01\x85", b"J\xff\xff\xff\xff")),
        "cut short or damaged",
    ),
    "torch: negative stride": (archive(tensor(b"K\x04\x85", b"J\xff\xff\xff\xff\x85")), "cut short or damaged"),
    "torch: compressed": (
        archive(b"\x80\x02}.", compress=zipfile.ZIP_DEFLATED, storage=bytes(50_000_000)),
        "compressed, encrypted or overlaps",
    ),
    "torch: no such storage": (
        archive(tensor(b"K\x04\x85", b"K\x01\x85").replace(b"\x00\x00\x000X", b"\x00\x00\x009X")),
        "damaged",
    ),
    "torch: encrypted": (
        archive(b"\x80\x02}.").replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
        "compressed, encrypted or overlaps",
    ),
    "torch: before 1.6": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02", "before 1.6"),
    "torch: a checkpoint": (samples.saved({"model": {"weight": torch.zeros(3)}}), "is not slime's"),
    "a plain pickle": (pickle.dumps([1, 2]), "is not SkyRL's"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_built_to_break_the_reader_gets_a_sentence(case: str) -> None:
    data, words = HOSTILE[case]
    assert words in refusal(data)


def test_a_tensor_inside_its_storage_is_read() -> None:
    """The same archive as in the cases above, so that they are refused for the reason they name."""
    assert "rollout_id" not in refusal(archive(tensor(b"K\x04\x85", b"K\x01\x85")))


def test_an_archive_whose_parts_share_their_bytes_is_refused() -> None:
    good = samples.slime_train()
    at = good.index(b"PK\x01\x02")
    end = good.rindex(b"PK\x05\x06")
    directory = good[at:end]
    head = bytearray(good[end : end + 22])
    times = 200
    count = struct.unpack("<H", head[10:12])[0] * times
    head[8:12] = struct.pack("<HH", count, count)
    head[12:16] = struct.pack("<I", len(directory) * times)
    assert refusal(good[:at] + directory * times + bytes(head))


def test_the_number_of_operations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MAX_OPERATIONS", 1000)
    assert "more than 1,000 operations" in refusal(b"\x80\x02" + b"N0" * 1000 + b"N.")


def test_the_machine_reads_what_pickle_writes() -> None:
    value = {"a": [1, -2, 3.5, None, True, "é\ud800", b"\x00\xff", 2**60, (), (1, 2, 3, 4)], 7: {"b": []}, None: (1,)}
    value["again"] = value["a"]
    for protocol in (2, 3, 4, 5):
        read = machine.load(
            "x", pickle.dumps(value, protocol), {"_codecs.encode": lambda text, _: text.encode("latin-1")}
        )
        assert read == value and read["again"] is read["a"]


def test_every_format_says_where_its_fields_are_documented() -> None:
    assert len({f.name for f in FORMATS}) == len(FORMATS)
    assert all(f.docs.startswith("https://") and f.marks and f.taken and f.file for f in FORMATS)


def test_the_documented_way_round_gives_what_the_reader_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = samples.slime_train(1)
    (tmp_path / "train.pt").write_bytes(whole)
    monkeypatch.chdir(tmp_path)
    exec(CONVERT, {})
    converted, read = parse_rollouts(capsys.readouterr().out.encode(), "x"), parse_rollouts(whole, "x")
    for name in ("mask", "advantages", "log_ratio"):
        assert getattr(converted, name).tolist() == getattr(read, name).tolist()
    assert [f"⟨{token}⟩" for token in converted[0].tokens] == list(read[0].tokens)


def test_the_documentation_lists_every_format() -> None:
    text = formats_markdown()
    assert all(f.docs in text and f.taken in text for f in FORMATS)
