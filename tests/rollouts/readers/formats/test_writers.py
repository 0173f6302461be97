"""How a framework's function is taken out of its file, and that every writer is in the manifest."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

import scripts.format_writers
from scripts.format_writers.__main__ import FOLDER
from scripts.format_writers.source import Source

FILE = """
import no_such_server
from no_such_trainer import Base, decorated

LIMIT = 3
BROKEN = no_such_server.start()[0] | None


def helper(values):
    return values[:LIMIT]


class Trainer(Base):
    def train(self):
        raise RuntimeError("not here")

    @decorated
    def log(self, values: no_such_server.Values) -> None:
        self.written = helper(values)
"""


def source(tmp_path: Path) -> Source:
    (tmp_path / "trainer.py").write_text(FILE, encoding="utf-8")
    return Source(tmp_path)


def test_a_method_runs_without_what_its_file_imports(tmp_path: Path) -> None:
    taken = source(tmp_path).take("trainer.py", "Trainer.log", "helper", "LIMIT")
    trainer = taken.Trainer()
    trainer.log([1, 2, 3, 4])
    assert trainer.written == [1, 2, 3] and not hasattr(trainer, "train")


def test_what_is_given_stands_in_for_what_the_file_defines(tmp_path: Path) -> None:
    taken = source(tmp_path).take("trainer.py", helper=lambda values: "given")
    taken.Trainer.log(trainer := taken.Trainer(), [])
    assert trainer.written == "given"


def test_another_version_without_the_function_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="it does not define gone"):
        source(tmp_path).take("trainer.py", "gone")
    with pytest.raises(SystemExit, match=r"it does not define Trainer\.moved; is this another version\?"):
        source(tmp_path).take("trainer.py", "Trainer.log", "Trainer.moved")


def test_every_writer_has_written_a_sample() -> None:
    folder = Path(scripts.format_writers.__file__).parent
    names = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__", "answers", "source"}
    frameworks = {importlib.import_module(f"scripts.format_writers.{name}").FRAMEWORK for name in names}
    manifest = json.loads(FOLDER.with_suffix(".json").read_text(encoding="utf-8"))
    assert frameworks == {entry["framework"] for entry in manifest.values()}
