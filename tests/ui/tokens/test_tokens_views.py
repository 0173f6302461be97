"""The views of a file: whole file, groups, findings, which τ; the pair of files; the data folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sapo_viz.errors import ModelError
from sapo_viz.paths import ASSETS
from tests.rollouts.readers.formats.samples import chat_trl
from tests.ui.tokens.test_tokens_page import address, open_tokens, shown, upload

SAMPLE = "addition-step12.jsonl"
FORMATS = ASSETS / "samples" / "formats"


@pytest.mark.parametrize("look", ["sequence", "batch", "groups", "findings", "fit"])
@pytest.mark.parametrize("sample", [SAMPLE, "outlier.jsonl"])
def test_every_view_of_every_kind_of_file_runs_to_its_end(look: str, sample: str) -> None:
    app = open_tokens(sample=sample, look=look)
    assert not app.exception and not app.error


@pytest.mark.parametrize("look", ["batch", "groups", "findings", "fit"])
def test_one_objective_alone_is_enough(look: str) -> None:
    app = open_tokens(sample=SAMPLE, look=look, objectives="gmpo")
    assert not app.exception and not app.error


def test_a_finding_says_number_rule_and_remedy_and_opens_its_sequence() -> None:
    app = open_tokens(sample=SAMPLE, look="findings")
    assert "GSPO" in shown(app) and "What to do." in shown(app) and "Rule" in shown(app)
    button = next(b for b in app.button if b.label.startswith("Sequence"))
    number = int(button.label.split()[1])
    button.click().run()
    assert not app.exception
    assert app.number_input(key="tokens: sequence").value == number


def test_the_sequence_is_still_chosen_after_a_look_at_the_whole_file() -> None:
    app = open_tokens(sample=SAMPLE)
    app.number_input(key="tokens: sequence").set_value(7).run()
    app.segmented_control(key="look").set_value("batch").run()
    app.segmented_control(key="look").set_value("sequence").run()
    assert app.number_input(key="tokens: sequence").value == 7


def test_the_match_can_be_taken_over() -> None:
    app = open_tokens(sample=SAMPLE, look="fit")
    button = app.button(key="tokens: take over")
    assert "τ₋" in button.label
    value = float(button.label.split("=")[1].split()[0])
    button.click().run()
    assert not app.exception
    assert float(address(app, "sapo.tau_neg") or "nan") == value


def test_one_policys_file_asks_for_the_other_and_the_two_make_a_ratio() -> None:
    app = upload(open_tokens(source="file"), (FORMATS / "openai-new.json").read_bytes(), "new.json")
    assert not app.exception and not app.error
    assert "one policy" in shown(app)
    second = ("old.json", (FORMATS / "openai-old.json").read_bytes(), "")
    app.file_uploader(key="tokens: second upload").set_value(second).run()
    assert not app.exception and not app.error
    assert "logprobs from old" in shown(app).replace("\\", "")


def test_the_data_folder_is_there_only_where_the_owner_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = open_tokens().segmented_control(key="source").options
    assert "Data folder" not in options
    shutil.copy(ASSETS / "samples" / SAMPLE, tmp_path / "mine.jsonl")
    monkeypatch.setenv("SAPO_VIZ_DATA_DIR", str(tmp_path))
    app = open_tokens(source="folder")
    assert not app.exception and not app.error
    assert app.selectbox(key="file").options == ["mine.jsonl"]
    assert app.number_input(key="tokens: sequence").max == 32


@pytest.mark.parametrize("file", ["../secret.jsonl", "/etc/passwd"])
def test_a_link_does_not_lead_out_of_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    (tmp_path / "data").mkdir()
    shutil.copy(ASSETS / "samples" / SAMPLE, tmp_path / "secret.jsonl")
    shutil.copy(ASSETS / "samples" / "outlier.jsonl", tmp_path / "data" / "mine.jsonl")
    monkeypatch.setenv("SAPO_VIZ_DATA_DIR", str(tmp_path / "data"))
    app = open_tokens(source="folder", file=file)
    assert not app.exception
    assert app.selectbox(key="file").value == "mine.jsonl"


def test_the_open_file_can_be_laid_under_the_curves() -> None:
    app = open_tokens(sample=SAMPLE, look="fit")
    app.query_params["ratios"] = "tokens"
    app.switch_page("../../pages/curves.py").run()
    assert not app.exception and not app.error
    assert app.selectbox(key="ratios").value == "tokens"
    assert f"{SAMPLE}, open on Tokens" in app.selectbox(key="ratios").options


def test_a_large_files_findings_come_after_the_view_and_are_then_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sapo_viz.ui.tokens.findings._IN_A_MOMENT", 0)
    for look in ("sequence", "batch", "groups", "findings", "fit"):
        app = open_tokens(sample=SAMPLE, look=look)
        assert not app.exception and not app.error
        labels = [option.content for option in app.segmented_control(key="look").proto.options]
        assert any(label.startswith("Findings (") for label in labels), labels
        assert app.segmented_control(key="look").value == look


def test_ids_are_shown_as_texts_when_their_tokenizer_is_named() -> None:
    data = (FORMATS / "prime-rl-rank_0.jsonl").read_bytes()
    app = upload(open_tokens(source="file"), data, "rank_0.jsonl")
    choice = next(box for box in app.selectbox if "token ids" in box.label)
    choice.set_value("addition-rl").run()
    assert not app.exception and not app.error
    assert "tokenizer of addition\\-rl" in shown(app) and address(app, "tokenizer") == "addition-rl"
    app.segmented_control(key="source").set_value("sample").run()
    assert address(app, "tokenizer") is None and not any("token ids" in box.label for box in app.selectbox)


def test_a_tokenizer_that_is_not_there_is_one_sentence_and_the_ids_stay() -> None:
    data = (FORMATS / "prime-rl-rank_0.jsonl").read_bytes()
    app = upload(open_tokens(source="file", tokenizer="no such *model*"), data, "rank_0.jsonl")
    assert not app.exception and len(app.error) == 1 and "no such \\*model\\*" in app.error[0].value
    assert "⟨id⟩" in shown(app)


def test_a_link_asks_the_hub_for_no_tokenizer_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def no_texts(_rollouts: object, name: str, _root: object) -> Iterator[None]:
        asked.append(name)
        raise ModelError("not here.")
        yield

    monkeypatch.setattr("sapo_viz.ui.tokens.decoding.decoded", no_texts)
    data = (FORMATS / "prime-rl-rank_0.jsonl").read_bytes()
    app = upload(open_tokens(source="file", tokenizer="somebody/model"), data, "rank_0.jsonl")
    assert not app.exception and not app.error and not asked
    next(button for button in app.button if "somebody/model" in button.label).click().run()
    assert asked == ["somebody/model"] and "not here" in app.error[0].value


def test_chat_messages_ask_for_the_template() -> None:
    app = upload(open_tokens(source="file"), chat_trl(), "completions.parquet")
    assert not app.exception and not app.error
    assert "chat templates" in shown(app)
    assert next(box for box in app.checkbox if box.label == "Chat template").value


def _search_before_and_after_a_tokenizer() -> None:
    from dataclasses import replace

    import streamlit as st

    from sapo_viz.rollouts.analysis.analyse import unweighed
    from sapo_viz.rollouts.readers.read import parse_rollouts
    from sapo_viz.rollouts.vocabulary import Tokens
    from sapo_viz.ui import session
    from sapo_viz.ui.tokens import strip
    from tests.rollouts.conftest import jsonl, sequence

    ids = parse_rollouts(jsonl(sequence(), sequence()), "x.jsonl")
    texts = replace(ids, tokens=Tokens(ids.tokens.codes, tuple("cat" for _ in ids.tokens.vocabulary)))
    session.put(strip._SOUGHT, "cat")
    hits = [strip._elsewhere(unweighed(each, {}), 0).hits for each in (ids, texts, texts)]
    st.text(f"{hits[0]}, {hits[1] > 0}, {hits[2] == hits[1]}")


def test_text_is_sought_again_when_a_tokenizer_gives_the_file_other_texts() -> None:
    app = AppTest.from_function(_search_before_and_after_a_tokenizer).run()
    assert not app.exception and app.text[0].value == "0, True, True"
