"""A recorded run on the Tokens page: all ranks of a step, and walking through the steps."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from sapo_viz.paths import ASSETS
from sapo_viz.runs.folder import outside
from tests.recorder.recording import batch, load_recorder, made, record_run
from tests.rollouts.audit.test_audit import RECORDED
from tests.ui.tokens.test_tokens_page import address, open_tokens, shown


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("SAPO_VIZ_DATA_DIR", str(tmp_path / "data"))
    outside._found.clear()
    return tmp_path


def said(app: AppTest) -> str:
    """Without what Markdown needs."""
    return shown(app).replace("\\", "")


def button(app: AppTest, label: str) -> object:
    [found] = [button for button in app.button if button.label == label]
    return found


def test_sequence_objectives_and_view_are_kept_while_one_walks_through_the_steps(runs: Path) -> None:
    record_run(runs / "data" / "llama", 6)
    app = open_tokens(run="data:llama", step="4", objectives="gspo")
    assert not app.exception and "step4-rank0" in said(app)
    app.number_input(key="tokens: sequence").set_value(2).run()
    button(app, "Next step").click().run()  # type: ignore[attr-defined]
    assert address(app, "step") == "6" and "step6-rank0-1" in said(app)
    assert app.number_input(key="tokens: sequence").value == 2
    assert button(app, "Next step").disabled  # type: ignore[attr-defined]
    button(app, "Previous step").click().run()  # type: ignore[attr-defined]
    button(app, "Previous step").click().run()  # type: ignore[attr-defined]
    assert address(app, "step") == "2" and "step2-rank0-1" in said(app)
    assert address(app, "objectives") == "gspo" and not app.exception


def test_all_ranks_of_a_step_are_one_file_and_a_missing_one_is_named(runs: Path) -> None:
    recorder = load_recorder()
    folder = runs / "runs" / "two"
    ranks = [made(recorder, folder, rank=rank, world=2, sequences=8) for rank in (0, 1)]
    for rank, run in enumerate(ranks):
        run.begin()
        run.add(batch(recorder, rank))
        run.end_step(1)
    for run in reversed(ranks):
        run.end()
    app = open_tokens(run="two")
    assert "of 6" in app.number_input(key="tokens: sequence").label  # each rank kept 3 of its first 4 sequences
    (folder / "tokens" / "step-00001.rank-1.parquet").unlink()
    app = open_tokens(run="two")
    assert "Ranks that have no tokens of this step here: 1." in said(app)


def test_a_recorded_runs_loss_is_held_against_what_it_says(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of TRL's own trainer: a healthy run, and one whose advantages were lost; in the report too."""
    makes: dict[str, Callable[[], bytes]] = {}
    monkeypatch.setattr(st, "download_button", lambda label, make, **more: makes.update({more["key"]: make}))
    for kind in ("healthy", "advantages"):
        shutil.copytree(RECORDED / kind, runs / "data" / kind)
    app = open_tokens(run="data:healthy", step="4")
    assert not app.exception and "matches TRL's `sapo`" in app.success[0].value.replace("\\", "")
    app = open_tokens(run="data:advantages", step="4")
    assert "the advantages are missing" in app.error[0].value.replace("\\", "")
    assert "the advantages are missing" in makes["tokens: report"]().decode()


def test_what_a_correction_would_drop_is_shown_with_its_names(runs: Path) -> None:
    record_run(runs / "data" / "llama", 2)  # its sampler is 0.25 nats a token above the trainer
    app = open_tokens(run="data:llama", step="2", look="batch")
    assert not app.exception and "sequence-mask: none of" in said(app)
    assert "vllm_importance_sampling_mode" in said(app)
    app = open_tokens(run="data:llama", step="2", look="batch", correction="token-mask")
    assert not app.exception and "loss.token_mask_low" in said(app).replace("\\", "")


def test_the_correction_of_a_link_is_in_force_in_every_look_and_in_the_report(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makes: dict[str, Callable[[], bytes]] = {}
    monkeypatch.setattr(st, "download_button", lambda label, make, **more: makes.update({more["key"]: make}))
    record_run(runs / "data" / "llama", 2)  # ρ is e^-0.25 = 0.78 for each token
    link = {"run": "data:llama", "step": "2", "correction": "token-mask", "correction.low": "0.9"}
    app = open_tokens(**link)
    assert not app.exception and not app.warning
    report = makes["tokens: report"]().decode()
    assert "token-mask, ρ from 0.9 to 8: w and c are times its weight" in report
    assert "Here, with token-mask, SAPO cuts 100" in said(app)
    app = open_tokens(**link, look="batch")
    app.segmented_control(key="correction: choice").set_value("sequence-truncate").run()
    assert address(app, "correction") == "sequence-truncate" and address(app, "correction.low") is None
    app = open_tokens(run="data:llama", step="2", correction="tis")
    assert "correction=tis is unknown here" in app.warning[0].value.replace("\\", "")


def test_a_frameworks_own_dumps_are_walked_through_step_by_step(runs: Path) -> None:
    for step, ranks in ((0, (0, 1)), (1, (0,)), (3, (0, 1))):
        folder = runs / "data" / "token_exports" / f"step_{step}"
        folder.mkdir(parents=True)
        for rank in ranks:
            shutil.copy(ASSETS / "samples" / "formats" / "prime-rl-rank_0.jsonl", folder / f"rank_{rank}.jsonl")
    app = open_tokens(source="folder")
    assert not app.exception and address(app, "step") == "3"
    assert "Steps that are not in the folder: 2." in said(app) and "Ranks without a file: 1 at step 1." in said(app)
    button(app, "Previous step").click().run()  # type: ignore[attr-defined]
    assert address(app, "step") == "1" and not app.exception
    assert "Ranks that have no tokens of this step here: 1" in said(app)
