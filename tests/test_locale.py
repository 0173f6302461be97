"""Under a locale that knows ASCII alone, and a Python that does not put UTF-8 in its place: all is as elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sapo_viz.runs.folder.store import RunStore
from sapo_viz.ui.text import plain
from scripts.browser import serving

ROOT = Path(__file__).parents[1]
ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | ASCII | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", "sapo_viz", *arguments], cwd=cwd, env=environment, capture_output=True)


def test_python_is_as_narrow_as_this_test_says(tmp_path: Path) -> None:
    say = "import sys; print(sys.stdout.encoding, sys.getfilesystemencoding())"
    said = subprocess.run([sys.executable, "-c", say], env=os.environ | ASCII, capture_output=True, text=True)
    assert said.stdout.lower().split() in (["ansi_x3.4-1968", "ascii"], ["ascii", "ascii"], ["us-ascii", "utf-8"])


@pytest.mark.parametrize("name", ["train", "experiment", "inspect", "score", "app"])
def test_the_help_of_every_command_is_printed(tmp_path: Path, name: str) -> None:
    done = command(name, "--help", cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr
    done.stdout.decode("utf-8")


def test_a_run_with_a_name_of_its_own_is_trained_and_inspected(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "x"
    done = command(
        "train", "--steps", "1", "--prompts", "2", "--completions", "2", "--held-out", "2", "--label", "τ größer",
        "--out", str(out),
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert RunStore(out.parent).config("x").title == "τ größer"
    odd = tmp_path / "schön.jsonl"
    odd.write_bytes((out / "tokens" / "step-00001.jsonl").read_bytes())
    told = command("inspect", str(odd), "--json", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    json.loads(told.stdout.decode("utf-8"))
    missing = command("inspect", str(tmp_path / "größer.jsonl"), cwd=tmp_path)
    assert missing.returncode == 2 and b"Traceback" not in missing.stderr and missing.stderr.count(b"\n") == 1


def test_the_server_starts_and_answers(tmp_path: Path) -> None:
    (tmp_path / "läufe").mkdir()
    with serving(tmp_path, environment=ASCII | {"SAPO_VIZ_RUNS_DIR": str(tmp_path / "läufe")}) as server:
        import urllib.request

        with urllib.request.urlopen(f"{server.url}/train", timeout=30) as page:
            assert page.status == 200
        assert "Traceback" not in server.log() and "UnicodeE" not in server.log()


def test_a_name_that_the_locale_cannot_spell_is_shown_as_it_is() -> None:
    assert plain(os.fsencode("läufe").decode("ascii", "surrogateescape")) == "läufe"
    assert plain("a\ud800") == "a?"
