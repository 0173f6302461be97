"""What is said of a run's starting policy before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sapo_viz.errors import ModelError, RunError
from sapo_viz.models.source import list_run_policies, local_folder
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.starting import check_start
from tests.models.tiny import byte_level, save_adapter, save_model


def said(task: str, policy: str, root: Path | None = None) -> str:
    return check_start(RunConfig(task=task, policy=policy), root or Path())


def test_the_tasks_own_policies_pass_without_a_word() -> None:
    fitting = {"addition": ("auto", "addition-start", "addition-rl", "addition-moe-start")}
    fitting |= {"chain": ("auto", "chain-start"), "synonyms": ("auto", "addition-rl")}
    assert {said(task, policy) for task, policies in fitting.items() for policy in policies} == {""}


def test_a_bundled_policy_of_another_task_is_said_to_score_nothing() -> None:
    """Measured: 0 of 128, for both; with addition-rl on the synonyms 121 of 128."""
    assert said("addition", "chain-start").startswith("chain-start never saw the task addition and is right in 0 of")
    assert "take auto, which is chain-start." in said("chain", "addition-rl")


def test_a_toy_task_is_no_task_for_a_language_model(tmp_path: Path) -> None:
    save_model(tmp_path / "lm", byte_level())
    text = said("addition", "lm", tmp_path)
    assert "lm has 2" in text and "would stay at 0" in text and "…;1258$" in text
    assert said("addition", "someone/large").startswith("someone/large is a language model; the task addition")
    assert said("mood", "lm", tmp_path) == said("questions", "someone/large") == ""


def test_a_chat_template_that_is_asked_for_has_to_be_there(tmp_path: Path) -> None:
    save_model(tmp_path / "lm", byte_level())
    asked = RunConfig(task="mood", policy="lm", chat="on")
    with pytest.raises(ModelError, match="'lm' has no chat template in its tokenizer; set the chat template to off"):
        check_start(asked, tmp_path)
    (tmp_path / "lm" / "chat_template.jinja").write_text("{{ messages }}")
    assert check_start(asked, tmp_path) == ""


def test_texts_are_no_task_for_a_policy_of_digits() -> None:
    for task in ("mood", "questions"):
        with pytest.raises(RunError, match="name a language model"):
            said(task, "auto")
    with pytest.raises(RunError, match="knows 26 symbols and no words"):
        said("mood", "addition-start")
    assert said("questions", "addition-start") == ""  # questions may be sums


def test_pictures_are_for_the_policy_that_looks_at_them_and_texts_are_not() -> None:
    assert said("grid", "auto") == said("grid", "grid-start") == ""
    for policy in ("addition-start", "someone/large"):
        with pytest.raises(
            RunError, match="looks at no pictures, and the task grid has one in each prompt; .*grid-start"
        ):
            said("grid", policy)
    for task in ("addition", "mood"):
        with pytest.raises(RunError, match="which looks at pictures, and the task .* has none; take the task grid"):
            said(task, "grid-start")


def test_what_is_not_here_is_refused_and_what_a_run_has_trained_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path))
    model = save_model(tmp_path / "20260102-whole" / "policy", byte_level())
    save_model(tmp_path / "20260101-older" / "policy", byte_level())
    save_adapter(tmp_path / "low-rank" / "policy", model)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "policy").symlink_to("/etc")
    assert list_run_policies() == ["run:20260102-whole", "run:20260101-older"]
    assert list_run_policies(adapters=True) == ["run:low-rank"]
    assert local_folder("run:20260102-whole", Path()) == tmp_path / "20260102-whole" / "policy"
    for name in ("run:elsewhere", "run:linked", "run:../x", "run:", "run:/etc"):
        with pytest.raises(ModelError, match="there is no model"):
            said("mood", name)
