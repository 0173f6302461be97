"""docs/inspect.md: every Python block runs as it stands, one after the other, and its commands are accepted."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from sapo_viz.cli import main

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
SAMPLE = "assets/samples/addition-step12.jsonl"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that has the samples and the package, where a report may be written; and no network."""
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    (tmp_path / "sapo_viz").symlink_to(ROOT / "sapo_viz")
    monkeypatch.chdir(tmp_path)

    def refused(*args: object, **kwargs: object) -> None:
        raise AssertionError("the guide went to the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    return tmp_path


def test_the_python_blocks_run_as_they_stand(here: Path) -> None:
    code = [text for language, text in BLOCKS if language == "python"]
    assert len(code) >= 6
    names: dict[str, Any] = {}
    for text in code:
        exec(compile(text, "docs/inspect.md", "exec"), names)
    assert [finding["id"] for finding in names["problems"]] == ["engine_mismatch"] and names["status"] == 1
    assert names["found"].found and names["picture"].figure.layout.width == 700
    assert (here / "report.html").stat().st_size > 4_000_000


def sampled_elsewhere(here: Path) -> str:
    """The sample as an engine would have drawn it whose log-probs lie .01 higher; a correction needs to know."""
    rows = [json.loads(line) for line in (here / SAMPLE).read_text(encoding="utf-8").splitlines() if line.strip()]
    drawn = [row | {"sampler_logprobs": [min(x + 0.01, 0.0) for x in row["old_logprobs"]]} for row in rows]
    (here / "drawn.jsonl").write_text("".join(json.dumps(row) + "\n" for row in drawn), encoding="utf-8")
    return "drawn.jsonl"


def test_the_commands_are_accepted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for language, text in BLOCKS if not language for line in text.splitlines()]
    commands = [line.split("#")[0].split()[3:] for line in lines if line.startswith("python -m sapo_viz")]
    assert len(commands) >= 5
    for command in commands:
        file = sampled_elsewhere(here) if "--correction" in command else SAMPLE
        assert main([file if part == "FILE" else part for part in command]) == 0
    assert (here / "report.html").exists()
    assert "Which τ, which ε" in capsys.readouterr().out
