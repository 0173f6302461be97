"""`inspect` gives the page's numbers, and one line with status 2 for what it cannot use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sapo_viz import CATALOG
from sapo_viz.cli import main
from sapo_viz.rollouts.analysis import analyse
from sapo_viz.rollouts.describe import EXAMPLE_CSV, EXAMPLE_JSONL, document
from sapo_viz.rollouts.read import parse_rollouts, read_rollouts
from sapo_viz.rollouts.schema import FIELDS
from tests.rollouts.conftest import jsonl, sequence


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "worked.jsonl"
    path.write_bytes(jsonl(sequence(), sequence(advantage=0.0, id="\x1b[2J\nevil")))
    return str(path)


def test_json_has_the_numbers_of_the_analysis(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", file, "--json", "--tokens", "--objective", "sapo:tau_pos=2,gspo"]) == 0
    got = json.loads(capsys.readouterr().out)
    result = analyse(read_rollouts(file), {"sapo": CATALOG["sapo"](tau_pos=2.0), "gspo": CATALOG["gspo"]()})
    assert got["batch"][0]["kept"] == result.share("sapo").kept
    assert got["sequences"][0]["per_token"][3]["weight_sapo"] == result.tokens["sapo"].weight[3]
    assert got["sequences"][1]["kept_sapo"] is None
    assert got["objectives"]["sapo"] == {"name": "sapo", "tau_pos": 2.0, "tau_neg": 1.05}


def test_a_knob_flag_goes_to_every_objective_that_has_it(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", file, "--json", "--objective", "grpo,gspo,sapo", "--eps-high", "2"]) == 0
    got = json.loads(capsys.readouterr().out)["objectives"]
    assert got["grpo"]["eps_high"] == got["gspo"]["eps_high"] == 2.0


def test_the_table_lists_every_objective_and_no_control_characters(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", file, "--objective", ",".join(CATALOG)]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name} " in out for name in CATALOG) and "\x1b" not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--objective", "nope"], "catalogue has sapo"),
        (["--objective", ""], "at least one"),
        (["--objective", "sapo:tau=1"], "tau_pos, tau_neg"),
        (["--objective", "sapo:tau_neg"], "knob=value"),
        (["--objective", "sapo:tau_neg=x"], "not a number"),
        (["--objective", "sapo:tau_neg=-1"], "0.05 to 20"),
        (["--objective", "sapo,sapo"], "twice"),
        (["--objective", "grpo", "--tau-neg", "1"], "none of grpo"),
    ],
)
def test_a_wrong_choice_is_one_line_and_status_2(
    file: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", file, *arguments]) == 2
    caught = capsys.readouterr()
    assert words in caught.err and caught.err.count("\n") == 1 and not caught.out


def test_a_bad_file_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b"\x80\x05junk")
    assert main(["inspect", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_toy_objective_reaches_the_command(
    toy_objective: type, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", file, "--json", "--objective", "toy", "--kappa", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["objectives"]["toy"]["kappa"] == 3.0


def test_the_document_is_current_and_its_examples_are_files() -> None:
    path = Path(__file__).parents[2] / "docs" / "rollout-files.md"
    assert path.read_text(encoding="utf-8") == document(), (
        "run python -m sapo_viz.rollouts.describe > docs/rollout-files.md"
    )
    assert all(f"`{field.name}`" in document() for field in FIELDS.values())
    a, b = (parse_rollouts(text.encode(), "x") for text in (EXAMPLE_JSONL, EXAMPLE_CSV))
    assert a.tokens == b.tokens and (a.logprobs == b.logprobs).all() and (a.advantages == b.advantages).all()
