"""The tokens page in AppTest: its four sources, its bad files, its address. The strip itself needs a browser."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.ui.tokens.source import sample_files, sample_runs
from tests.rollouts.conftest import jsonl, sequence
from tests.waiting import PATIENCE

SHELL = Path(__file__).parents[3] / "sapo_viz" / "ui" / "shell.py"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "runs"))
    return RunStore()


def open_tokens(**query: str) -> AppTest:
    app = AppTest.from_file(str(SHELL), default_timeout=PATIENCE).run()
    for key, value in query.items():
        app.query_params[key] = value
    app.switch_page("../../pages/tokens.py")
    return app.run()


def upload(app: AppTest, data: bytes, name: str = "mine.jsonl") -> AppTest:
    return app.file_uploader(key="tokens: upload").set_value((name, data, "")).run()


def address(app: AppTest, name: str) -> str | None:
    value: Any = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def shown(app: AppTest) -> str:
    """Everything that is written on the page."""
    return "\n".join(
        str(element.value) for kind in ("markdown", "caption", "error", "info") for element in app.get(kind)
    )


THREE = jsonl(sequence(id="one"), sequence(id="two", advantage=-1.0), sequence(id="three", advantage=0.0))


def test_an_uploaded_file_is_analysed() -> None:
    app = upload(open_tokens(source="file"), THREE)
    assert not app.exception and not app.error
    assert "1\\.2636" in shown(app), "s of the worked case"
    assert app.number_input(key="tokens: sequence").max == 3


def test_previous_next_and_the_number_walk_through_the_sequences() -> None:
    app = upload(open_tokens(source="file"), THREE)
    by_label = {button.label: button for button in app.button}
    by_label["Next"].click().run()
    assert "**two**" in shown(app) and address(app, "seq") == "2"
    app.number_input(key="tokens: sequence").set_value(3).run()
    assert "**three**" in shown(app) and address(app, "seq") == "3"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"\x80\x04junk", "pickle"),
        (jsonl(sequence(logprobs=[-1.0])), "1 entries"),
        (b'{"tokens": ["a"], "logprobs": [NaN], "old_logprobs": [-1], "advantage": 1}', "nan"),
        (b"sequence,token\n<b>,*x*\n", "is missing"),
    ],
)
def test_a_bad_file_is_one_sentence_and_the_view_before_stays(data: bytes, word: str) -> None:
    app = upload(open_tokens(source="file"), THREE)
    upload(app, data, "bad_*file*.jsonl")
    assert not app.exception
    assert len(app.error) == 1 and word in app.error[0].value.replace("\\", "")
    assert "bad\\_\\*file\\*" in app.error[0].value, "the name is data, not Markdown"
    assert "**one**" in shown(app)


def test_a_bad_file_on_a_first_visit_leaves_the_page_whole() -> None:
    app = upload(open_tokens(source="file"), b"[[[")
    assert not app.exception and len(app.error) == 1


def test_names_and_prompts_are_not_taken_for_markdown() -> None:
    app = upload(open_tokens(source="file"), jsonl(sequence(id="<b>*x*</b>", prompt="$y$ :material/home: <i>")))
    text = shown(app)
    assert "\\<b\\>\\*x\\*\\</b\\>" in text and "\\$y\\$ \\:material/home\\: \\<i\\>" in text


def scored(app: AppTest) -> AppTest:
    """Scoring is done by another process; a browser looks twice a second, this as often as it takes."""
    deadline = time.monotonic() + PATIENCE
    while any(button.label == "Cancel" for button in app.button) and time.monotonic() < deadline:
        time.sleep(0.2)
        app.run()
    return app


def test_a_typed_text_is_scored_by_the_two_policies() -> None:
    app = scored(open_tokens(source="text"))
    assert not app.exception and not app.error
    assert "addition\\-start to addition\\-rl" in shown(app)


def test_a_text_that_the_policies_cannot_read_is_one_sentence() -> None:
    app = scored(open_tokens(source="text", completion="été"))
    assert not app.exception and len(app.error) == 1 and "é" in app.error[0].value


def make_run(store: RunStore, name: str, steps: list[int]) -> None:
    folder = store.path(store.create(RunConfig(), name)) / "tokens"
    folder.mkdir()
    for step in steps:
        (folder / f"step-{step:05d}.jsonl").write_bytes(jsonl(sequence(id=f"{name} at {step}", step=step)))


def test_a_runs_steps_open_from_the_address_and_can_be_walked(store: RunStore) -> None:
    make_run(store, "alpha", [1, 10, 20])
    make_run(store, "beta", [5])
    app = open_tokens(run="alpha", step="10")
    assert not app.exception and not app.error and "alpha at 10" in shown(app)
    app.select_slider(key="step").set_value("20").run()
    assert "alpha at 20" in shown(app) and address(app, "step") == "20"
    app.selectbox(key="run").set_value("beta").run()
    assert not app.exception and "beta at 5" in shown(app) and address(app, "run") == "beta"


@pytest.mark.parametrize("run", ["nope", "../../etc", ""])
def test_a_run_that_is_not_there_is_one_sentence(store: RunStore, run: str) -> None:
    make_run(store, "alpha", [1])
    app = open_tokens(run=run)
    assert not app.exception and len(app.error) == 1 and "alpha at 1" in shown(app)


def test_without_an_objective_the_page_says_what_to_do() -> None:
    app = upload(open_tokens(source="file", objectives=""), THREE)
    assert not app.exception and "at least one objective" in shown(app)


def test_the_toy_objective_is_on_the_page(toy_objective: type) -> None:
    app = upload(open_tokens(source="file", objectives="toy,sapo"), THREE)
    assert not app.exception
    tables = [json.dumps(table.value.columns.tolist()) for table in app.dataframe]
    assert any("kept_toy" in columns for columns in tables)


def test_knobs_in_the_address_reach_the_numbers() -> None:
    soft = upload(open_tokens(source="file", objectives="sapo"), THREE)
    hard = upload(open_tokens(source="file", objectives="sapo", **{"sapo.tau_pos": "5"}), THREE)
    kept = [next(t.value for t in app.dataframe if "kept" in t.value)["kept"].iloc[0] for app in (soft, hard)]
    assert kept[1] < kept[0]


@pytest.mark.skipif(not sample_files(), reason="no sample files")
def test_every_sample_opens_and_a_first_visitor_sees_one() -> None:
    app = open_tokens()
    assert not app.exception and not app.error and not app.info
    for path in sample_files():
        app = open_tokens(sample=path.name)
        assert not app.exception and not app.error, path.name


def test_an_open_file_is_one_line_that_opens_where_it_came_from() -> None:
    app = open_tokens()
    button = app.button(key="tokens: choose another")
    assert "**smollm2-mood.jsonl** · Sample · 16 sequences" in shown(app).replace("\\", "")
    assert button.label == "Open another"
    assert button.click().run().button(key="tokens: choose another").label == "Keep this one"
    app = app.selectbox(key="sample").set_value("addition-step12.csv").run()
    assert app.button(key="tokens: choose another").label == "Open another"
    app.button(key="tokens: choose a file").click().run()
    assert address(app, "source") == "file" and "Rollout file, up to 200 MB" in str(app)
    app.segmented_control(key="source").set_value("text").run()
    assert not [button for button in app.button if button.key == "tokens: choose another"]


def test_a_verdict_is_not_taken_for_that_of_a_file_that_could_not_be_opened() -> None:
    app = upload(open_tokens(source="file"), THREE)
    verdict = lambda: next(str(m.value) for m in app.markdown if "as far as this file tells" in str(m.value))  # noqa: E731
    assert not app.error and verdict().startswith(":green")
    upload(app, b'{"tokens": []}', "broken.jsonl")
    assert str(app.error[0].value).startswith("broken")
    assert verdict().startswith(":material/history: **mine") and "broken" not in verdict()


def test_a_sample_run_is_walked_through_step_by_step_with_its_loss_held_against_trls() -> None:
    name = next(iter(sample_runs()))
    app = open_tokens(sample=name)
    assert address(app, "step") == "20" and "The loss matches TRL's" in str(app.success[0].value)
    app.button(key="tokens: :material/skip_previous:").click().run()
    assert not app.exception and address(app, "step") == "16"
    app.selectbox(key="sample").set_value("outlier.jsonl").run()
    assert not app.exception and address(app, "step") is None
