"""A run's link opens the form with its settings: what starts from there is the same run again."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.workers import launcher
from sapo_viz.ui.training.duplicate import form_link

SHELL = Path(__file__).parents[3] / "sapo_viz" / "ui" / "shell.py"


@pytest.mark.parametrize(
    "config",
    [
        RunConfig(),
        RunConfig("grpo", {"eps_high": 0.28}, seed=7, steps=12, lr=3e-3, optimizer="sgd", grad_clip=0.0),
        RunConfig("sapo", {"tau_neg": 1.2}, sampler_noise=0.55, old_logprobs="recomputed", staleness=4),
    ],
)
def test_the_link_of_a_run_starts_it_again(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path))
    launched: list[RunConfig] = []
    monkeypatch.setattr(
        launcher, "launch", lambda config, store=None, table=None: launched.append(config) or RunStore().create(config)
    )
    original = RunStore().create(config)
    path, _, query = form_link(config, original).partition("?")
    assert path == "train"
    app = AppTest.from_file(str(SHELL), default_timeout=120).run()
    for key, value in parse_qsl(query):
        app.query_params[key] = value
    app.switch_page("../../pages/train.py").run()
    assert not app.warning
    app.button[0].click().run()
    assert launched == [config]
    assert original in app.query_params["runs"]  # the two are drawn beside one another
