"""The samples that the page offers are files of every format, small, and read as such."""

from __future__ import annotations

import pytest

from sapo_viz.rollouts.formats import FORMATS, recognise
from scripts.make_format_samples import FOLDER, files


def test_every_format_has_a_sample_of_less_than_five_kilobytes() -> None:
    found = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    assert set(found) == set(files()), "run python -m scripts.make_format_samples"
    assert all(len(data) < 5000 for data in found.values())
    known = [recognise(name, data) for name, data in found.items()]
    assert {item[0].name for item in known if item} == {format.name for format in FORMATS}


@pytest.mark.parametrize("name", [name for name in files() if name.endswith((".json", ".jsonl"))])
def test_a_sample_is_current(name: str) -> None:
    assert (FOLDER / name).read_bytes() == files()[name], "run python -m scripts.make_format_samples"
