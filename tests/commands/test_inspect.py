"""`inspect` gives the page's numbers, and one line with status 2 for what it cannot use."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from sapo_viz import CATALOG
from sapo_viz.cli import main
from sapo_viz.commands.inspect_numbers import as_text, json_parts
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.analysis.fit import match
from sapo_viz.rollouts.findings.summary import summarise
from sapo_viz.rollouts.readers.describe import EXAMPLE_CSV, EXAMPLE_JSONL, document
from sapo_viz.rollouts.readers.read import parse_rollouts, read_rollouts
from sapo_viz.rollouts.schema import FIELDS
from tests.rollouts.conftest import jsonl, sequence
from tests.rollouts.made import rollouts


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


JSON_FIELDS = [
    "file",
    "objectives",
    "correction",
    "batch",
    "findings",
    "advantages",
    "audit",
    "groups",
    "matches",
    "apart",
    "sequences",
]


def test_json_has_the_fields_that_the_guide_names_quick_or_not(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", file, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert main(["inspect", file, "--json", "--quick"]) == 0
    quick = json.loads(capsys.readouterr().out)
    assert list(whole) == list(quick) == JSON_FIELDS
    assert (quick["findings"], quick["matches"], quick["apart"]["tokens"]) == (None, None, None)
    same = [name for name in JSON_FIELDS if name not in ("findings", "matches", "apart")]
    assert all(whole[name] == quick[name] for name in same)
    guide = (Path(__file__).parents[2] / "docs" / "inspect.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_]+)`", guide.split("## The fields of `--json`")[1].split("\n## ")[0]))
    inside = [whole["findings"][:1], whole["matches"][:1], [whole["advantages"]], [whole["apart"]]]
    assert {key for rows in inside for row in rows for key in row} | set(JSON_FIELDS) <= named


def test_findings_and_matches_are_those_of_the_functions(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = rollouts()
    objectives = {name: CATALOG[name]() for name in ("sapo", "grpo", "gspo")}
    summary = summarise(analyse(made, objectives))
    parts = json.loads("".join(json_parts(summary)))
    assert summary.findings and [one["id"] for one in parts["findings"]] == [one.id for one in summary.findings]
    assert parts["findings"][0]["remedy"] == summary.findings[0].remedy
    wanted = match(made, objectives["grpo"], "sapo", -1)
    got = next(one for one in parts["matches"] if (one["source"], one["sign"]) == ("grpo", -1))
    assert (got["target"], got["knob"], got["found"]) == ("sapo", "tau_neg", wanted.found)
    assert got["sentence"] == wanted.sentence and (got["value"] == wanted.value or not wanted.found)
    text = as_text(summary)
    assert all(one.title in text and one.remedy in text for one in summary.findings)
    assert all(one.sentence in text for one in summary.matches or ())
    assert summary.normalisation.sentence in text
    assert [row["id"] for row in parts["apart"]["sequences"]] == summary.sequences_apart["id"].tolist()


def test_text_of_a_file_cannot_steer_a_terminal() -> None:
    item = sequence(tokens=["\x1b[2J", "\u202e", "b", "c"], id="\x1b]0;x\x07", group="\x9b1m")
    out = as_text(
        summarise(analyse(parse_rollouts(jsonl(item), "\x1b[1m\n"), {n: CATALOG[n]() for n in ("sapo", "grpo")}))
    )
    assert not [char for char in out if char != "\n" and not char.isprintable()]


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
        "run python -m sapo_viz.rollouts.readers.describe > docs/rollout-files.md"
    )
    assert all(f"`{field.name}`" in document() for field in FIELDS.values())
    a, b = (parse_rollouts(text.encode(), "x") for text in (EXAMPLE_JSONL, EXAMPLE_CSV))
    assert a.tokens == b.tokens and (a.logprobs == b.logprobs).all() and (a.advantages == b.advantages).all()


def dictionary_bomb(path: Path) -> str:
    from tests.rollouts.apart.test_apart import dictionary_bomb as bomb

    path.write_bytes(bomb())
    return str(path)


def test_a_bomb_ends_its_own_reading_and_the_command_says_how_to_read_it_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = dictionary_bomb(tmp_path / "bomb.parquet")
    assert main(["inspect", file]) == 2
    said = capsys.readouterr().err
    assert said.startswith("sapo_viz inspect: bomb.parquet: reading its") and said.count("\n") == 1
    assert "takes more than 269 MB of memory" in said and said.endswith("split it, or give --no-bounds.\n")


def test_without_bounds_the_numbers_are_the_same(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", file, "--json"]) == 0
    bounded = capsys.readouterr().out
    assert main(["inspect", file, "--json", "--no-bounds"]) == 0
    assert capsys.readouterr().out == bounded


def test_a_link_of_ones_own_is_followed(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "link.jsonl").symlink_to(file)
    assert main(["inspect", str(tmp_path / "link.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"]["name"] == "link.jsonl"


def test_a_correction_for_the_sampler_weighs_the_shares_and_says_what_it_drops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two tokens and twenty, each 0.1 nats likelier to the trainer than to the sampler: ρ = e^0.2, and e^2 > 3."""
    long, short = ({"tokens": ["a"] * n, "logprobs": [-1.0] * n, "old_logprobs": [-1.0] * n, "advantage": 1.0,
                    "sampler_logprobs": [-1.1] * n} for n in (20, 2))  # fmt: skip
    path = tmp_path / "two.jsonl"
    path.write_bytes(jsonl(long, short))
    assert main(["inspect", str(path), "--correction", "sequence-mask", "--objective", "grpo"]) == 0
    text = capsys.readouterr().out
    assert (
        "sequence-mask: 1 of 2 answers (50%) are dropped whole; they have 20 tokens on average, the others 2." in text
    )
    assert "by sign of A: sequence-mask, ρ from 0 to 3: w and c are times its weight." in text
    command = ["inspect", str(path), "--json", "--quick", "--objective", "grpo", "--correction", "sequence-mask"]
    assert main([*command, "--correction-high", "8"]) == 0
    got = json.loads(capsys.readouterr().out)
    assert (got["correction"]["choice"], got["correction"]["low"], got["correction"]["high"]) == ("sequence-mask", 0, 8)
    assert got["correction"]["sequences_dropped"] == 0
    assert got["batch"][0]["kept"] == pytest.approx((20 * math.exp(2) + 2 * math.exp(0.2)) / 22)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--correction", "token"], "the correction is 'token'; it takes off, token-truncate, token-mask"),
        (["--correction-high", "3"], "the correction is off, and its high is 3; choose one of token-truncate"),
        (["--correction", "token-mask", "--correction-low", "2"], "low (ρ_low) is 2.0; it takes values from 0 to 1."),
        (["--correction", "token-mask"], "worked.jsonl has no sampler_logprobs: it does not say who drew its tokens"),
    ],
)
def test_a_correction_that_cannot_be_is_refused(
    file: str, flags: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", file, *flags]) == 2
    assert says in capsys.readouterr().err
