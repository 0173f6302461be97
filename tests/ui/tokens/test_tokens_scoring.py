"""Scoring on the page: models from the address, one sentence for what fails, a dump's first whole groups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sapo_viz.rollouts.scored import first_groups
from sapo_viz.rollouts.texts import TextDump
from tests.models.tiny import byte_level, save_adapter, save_model
from tests.ui.tokens.test_tokens_page import address, open_tokens, scored, shown, upload


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    model = save_model(root / "base", byte_level())
    save_model(root / "step-9", byte_level(), seed=7)
    save_adapter(root / "lora", model)
    return root


@pytest.fixture(autouse=True)
def folder(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPO_VIZ_MODELS_DIR", str(models))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def press(app: AppTest, label: str = "Score") -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return app.run()


def test_a_link_names_the_models_and_starts_nothing_by_itself() -> None:
    app = open_tokens(source="text", old="base", new="base", adapter="lora", prompt="the", completion=" cat 們")
    assert not app.exception and not app.error and "base to base" not in shown(app)
    assert [box.value for box in app.selectbox][:3] == ["base", "base", "lora"]
    scored(press(app))
    assert not app.exception and not app.error
    assert "base to base \\+ lora" in shown(app)
    assert address(app, "adapter") == "lora" and address(app, "old") == "base"


def test_a_failure_is_one_sentence_and_what_was_shown_stays() -> None:
    app = scored(open_tokens(source="text"))
    assert "addition\\-start to addition\\-rl" in shown(app)
    app.query_params["new"] = "someone/nothing"
    app.run()
    scored(press(app))
    assert not app.exception and len(app.error) == 1 and "someone/nothing" in app.error[0].value.replace("\\", "")
    assert "addition\\-start to addition\\-rl" in shown(app)


@pytest.mark.parametrize("name", ["../models", "/etc", "<b>*x*</b>"])
def test_a_folder_elsewhere_is_refused(name: str) -> None:
    app = scored(press(open_tokens(source="text", old=name)))
    assert not app.exception and len(app.error) == 1 and "there is no model" in app.error[0].value
    assert "<b>" not in app.error[0].value


def test_a_text_dump_is_scored_in_whole_groups() -> None:
    rows = [
        {"input": f"the {i // 4}", "output": f" cat {i}", "gts": "", "score": float(i % 2), "step": 1}
        for i in range(10)
    ]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    app = upload(open_tokens(source="file", old="base", new="step-9"), data, "1.jsonl")
    assert not app.exception and not app.error and "10 completions without log" in shown(app).replace("\\", "")
    app.number_input[0].set_value(9)
    scored(press(app))
    assert not app.exception and not app.error
    text = shown(app)
    assert "first 8 of 10" in text and "Scored by step\\-9" in text and "Prompt: the" in text


def dump(groups: str) -> TextDump:
    n = len(groups)
    nothing = (None,) * n
    return TextDump("x", "y", ("p",) * n, tuple(map(str, range(n))), nothing, tuple(groups), nothing, nothing)


@pytest.mark.parametrize(
    ("groups", "limit", "taken"), [("aabb", 3, "01"), ("abab", 2, "02"), ("aaaa", 3, "012"), ("abc", 9, "012")]
)
def test_the_first_whole_groups_are_taken(groups: str, limit: int, taken: str) -> None:
    assert "".join(first_groups(dump(groups), limit).completions) == taken


def test_whose_texts_a_dump_holds_is_not_guessed() -> None:
    row = {"input": "Who?", "output": " A cat.", "gts": "", "score": 1.0, "step": 1}
    app = upload(open_tokens(source="file"), json.dumps(row).encode() + b"\n", "1.jsonl")
    assert [box.value for box in app.selectbox][:3] == [None, None, None]
    press(app)
    assert not app.exception and not app.error
    assert any("Choose both models" in warning.value for warning in app.warning)
