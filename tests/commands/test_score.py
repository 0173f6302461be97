"""`python -m sapo_viz score`: a framework's log of texts in, a rollout file out, one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sapo_viz.cli import main
from sapo_viz.models.policy import load_policy
from sapo_viz.models.scoring.score import score_text
from sapo_viz.rollouts.readers.read import read_rollouts
from tests.rollouts.readers.formats.samples import chat_trl

MODELS = ["--old-policy", "addition-start", "--policy", "addition-rl"]


@pytest.fixture
def log(tmp_path: Path) -> str:
    """As verl dumps a step: two prompts with two completions each."""
    rows = [{"input": f"^{p}+1=", "output": f"{c};$", "gts": "", "score": c, "step": 3} for p in (1, 2) for c in (0, 1)]
    (tmp_path / "3.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(tmp_path / "3.jsonl")


def test_a_log_becomes_a_rollout_file(log: str, tmp_path: Path) -> None:
    assert main(["score", log, *MODELS, "--out", str(tmp_path / "o.parquet")]) == 0
    rollouts = read_rollouts(tmp_path / "o.parquet")
    assert len(rollouts) == 4 and rollouts.rewards == (0, 1, 0, 1) and rollouts.steps == (3,) * 4
    first = rollouts[0]
    for got, model in ((first.logprobs, "addition-rl"), (first.old_logprobs, "addition-start")):
        alone = score_text(load_policy(model), "^1+1=", "0;$").logprobs
        assert got.tolist() == pytest.approx(alone, abs=1e-5)  # a batch of four rounds in another order
    assert first.advantages[0] < 0 < rollouts[1].advantages[0]
    assert not list(tmp_path.glob("*.part"))


def test_a_text_goes_to_stdout_as_jsonl(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["score", "--prompt", "^1+1=", "--completion", "2;$", "--advantage", "-2", *MODELS]) == 0
    row = json.loads(capfdbinary.readouterr().out)
    assert row["tokens"] == ["2", ";", "$"] and row["advantage"] == -2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to score"),
        (["LOG", "--prompt", "a"], "takes one of them"),
        (["LOG", "--limit", "0"], "--limit is 0"),
        (["LOG", "--out", "x.txt"], "its ending tells the format"),
        (["LOG", "--out", "/nowhere/x.json"], "there is no such folder"),
        (["LOG", "--device", "cuda:77"], "which torch does not have here"),
        (["--prompt", "^1", "--completion", "é"], "U+00E9"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], says: str, log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", *(log if word == "LOG" else word for word in arguments), *MODELS]) == 2
    said = capsys.readouterr().err.strip()
    assert says in said and "\n" not in said


def test_a_file_with_log_probs_is_not_scored_again(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "o.jsonl")
    assert main(["score", log, *MODELS, "--limit", "3", "--out", out]) == 0
    assert len(read_rollouts(out)) == 2, "one whole group"
    assert main(["score", out, *MODELS]) == 2
    assert "inspect" in capsys.readouterr().err.splitlines()[-1]


def test_a_log_of_chat_messages_is_scored_and_asks_for_the_template(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked, answer = [{"role": "user", "content": "^1+1="}], [{"role": "assistant", "content": "2;$"}]
    (tmp_path / "c.parquet").write_bytes(chat_trl(prompt=[asked, asked], completion=[answer, answer]))
    assert main(["score", str(tmp_path / "c.parquet"), *MODELS]) == 0
    said = capfd.readouterr()
    assert len(said.out.splitlines()) == 2 and "--chat-template" in said.err
