"""Pictures on pages: beside the examples before a run, and beside the prompt of a step's tokens."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from sapo_viz.browser.link import FOLDER
from sapo_viz.models.pictures import CELL, INK, PALE, PAPER
from sapo_viz.models.tasks import PICTURE
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.store import RunStore
from tests.ui.tokens.test_tokens_page import open_tokens, shown
from tests.ui.training.test_train_page import launched, open_page, start  # noqa: F401

ROW = (
    '{"prompt": "⟨image 0110 1000 0000 0001⟩?", "tokens": ["<|image_pad|>", "b", "1"], "mask": [0, 1, 1], '
    '"logprobs": [0, -0.1, -0.2], "old_logprobs": [0, -0.1, -0.3], "advantage": 1, "reward": 1}\n'
)


def test_before_a_run_its_first_pictures_stand_beside_answers_and_what_they_earn(
    launched: list[RunConfig],  # noqa: F811
) -> None:
    app = open_page(task="grid", objectives="sapo")
    rows = app.dataframe[0].value.to_dict("records")
    assert {row["Earns"] for row in rows} == {0.0, 1.0}
    for row in rows:
        kind, _, data = row["Picture"].partition(",")
        assert kind == "data:image/svg+xml;base64" and base64.b64decode(data).startswith(b"<svg")
    start(app)
    assert launched[0].task == "grid" and launched[0].policy == "auto"
    assert "engine trl is given texts here" in open_page(task="grid", engine="trl").caption[1].value


def test_a_steps_tokens_have_the_picture_beside_the_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path))
    folder = RunStore().folder(RunStore().create(RunConfig(task="grid"), "seen"))
    (folder / "tokens").mkdir()
    (folder / "tokens" / "step-00001.jsonl").write_text(ROW, encoding="utf-8")
    app = open_tokens(run="seen", step="1")
    [picture] = app.get("image")
    assert picture.proto.imgs[0].alt == "Picture of 4 × 4 cells; occupied: b1, c1, a2, d4"
    assert picture.proto.imgs[0].url.startswith("data:image/svg+xml;base64,")
    assert "⟨image⟩" in shown(app) and "0110" not in shown(app)


def test_the_browser_draws_what_the_policy_sees() -> None:
    code = (FOLDER / "shared" / "prompt_picture.js").read_text(encoding="utf-8")
    assert f"/{PICTURE.pattern}/" in code and f"const CELL = {CELL};" in code
    colours = ", ".join(f'"rgb{colour}"' for colour in (PAPER, PALE, INK))
    assert f"[PAPER, PALE, INK] = [{colours}]" in code
