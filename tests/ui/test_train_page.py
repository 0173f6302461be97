"""The Training page in AppTest: what its controls ask for, and that whatever is wrong is one calm sentence.

The live component is unknown to AppTest; tests/browser/test_train.py drives it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import RunError
from sapo_viz.runs import launcher
from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.settings import Setting
from sapo_viz.runs.store import RunStore
from sapo_viz.ui import train_form

ROOT = Path(__file__).parents[2]
SHELL = ROOT / "sapo_viz" / "ui" / "shell.py"


@pytest.fixture
def launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """What the page launches; folders are made, no process is started."""
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "runs"))
    configs: list[RunConfig] = []

    def launch(config: RunConfig, store: RunStore | None = None) -> str:
        configs.append(config)
        return (store or RunStore()).create(config)

    monkeypatch.setattr(launcher, "launch", launch)
    return configs


def open_page(**query: str) -> AppTest:
    app = AppTest.from_file(str(SHELL), default_timeout=120).run()
    for key, value in query.items():
        app.query_params[key] = value
    return app.switch_page("../../pages/train.py").run()


def start(app: AppTest) -> AppTest:
    return app.button[0].click().run()


def hint(app: AppTest) -> str:
    """What stands under the start button."""
    return str(app.caption[1].value)


def test_one_press_on_a_first_visit_starts_sapo_and_grpo_with_the_defaults(launched: list[RunConfig]) -> None:
    app = open_page()
    assert "2 runs" in hint(app) and "roughly" in hint(app)
    start(app)
    assert launched == [RunConfig("sapo"), RunConfig("grpo")]
    assert set(app.query_params["runs"].split(",")) == {run.id for run in RunStore().list()}


def test_each_objective_runs_with_each_seed_and_the_page_says_how_many_that_is(launched: list[RunConfig]) -> None:
    app = open_page(objectives="sapo,gspo", seed="5")
    app.number_input(key="set-seeds").set_value(3).run()
    assert "6 runs" in hint(app)
    start(app)
    assert [(c.objective, c.seed) for c in launched] == [
        ("sapo", 5), ("gspo", 5), ("sapo", 6), ("gspo", 6), ("sapo", 7), ("gspo", 7),
    ]  # fmt: skip


def test_more_runs_than_one_press_may_start_cannot_be_started(launched: list[RunConfig]) -> None:
    app = open_page(objectives="sapo,grpo,gspo", seeds="12")
    assert "36 runs" in hint(app)
    assert app.button[0].disabled


def test_without_an_objective_the_button_waits_and_says_for_what(launched: list[RunConfig]) -> None:
    app = open_page(objectives="")
    assert app.button[0].disabled and "at least one objective" in hint(app)


def test_knobs_and_settings_reach_the_run_and_the_address(launched: list[RunConfig]) -> None:
    app = open_page(objectives="sapo")
    app.number_input(key="box-sapo-tau_neg").set_value(1.5)
    app.number_input(key="set-lr").set_value(0.001)
    app.selectbox(key="set-optimizer").set_value("sgd")
    start(app.run())
    [config] = launched
    assert (config.knobs["tau_neg"], config.lr, config.optimizer) == (1.5, 0.001, "sgd")
    assert app.query_params["sapo.tau_neg"] == "1.5" and app.query_params["optimizer"] == "sgd"


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_a_control(launched: list[RunConfig], name: str) -> None:
    app = open_page()
    widgets = [*app.number_input, *app.selectbox, *app.text_input]
    [widget] = [widget for widget in widgets if widget.key == f"set-{name}"]
    assert widget.help


def test_a_setting_that_is_declared_appears_by_itself(
    launched: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = Setting("noise", "float", 0.25, "Toy noise", "For this test.", "toys", lo=0.0, hi=1.0, step=0.05)
    monkeypatch.setitem(train_form.SETTINGS, "noise", spec)
    app = open_page()
    assert app.number_input(key="set-noise").value == 0.25
    assert app.number_input(key="set-noise").label == "Toy noise"


def test_an_objective_that_joins_the_catalogue_can_be_trained(launched: list[RunConfig], toy_objective: type) -> None:
    app = open_page(objectives="toy")
    assert app.number_input(key="box-toy-kappa").value == toy_objective.knobs()["kappa"].default
    start(app)
    assert [config.objective for config in launched] == ["toy"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"lr": "-1"}, "lr is -1.0; it takes values from"),
        ({"steps": "many"}, "steps is 'many'; it takes whole numbers"),
        ({"device": "tpu"}, "device is 'tpu'; it takes auto or cpu or cuda"),
        ({"sapo.tau_neg": "nan"}, "SAPO: tau_neg"),
    ],
)
def test_nonsense_in_the_address_is_said_and_the_default_used(
    launched: list[RunConfig], query: dict[str, str], sentence: str
) -> None:
    app = open_page(**query)
    [warning] = [w.value.replace("\\", "") for w in app.warning]
    assert sentence in warning
    start(app)
    assert launched[0] == RunConfig("sapo")


def test_runs_of_the_address_that_are_not_there_are_named_calmly(launched: list[RunConfig]) -> None:
    app = open_page(runs="no-such-run,../../etc")
    assert [info.value.replace("\\", "") for info in app.info] == [
        "Not here, or deleted since: no-such-run, ../../etc."
    ]
    assert not app.error and not app.exception


def test_settings_that_do_not_go_together_are_said_in_place_of_the_estimate(launched: list[RunConfig]) -> None:
    app = open_page(prompts="1", completions="2", minibatches="4")
    assert "minibatches is 4; with 1 × 2 completions" in hint(app).replace("\\", "")
    assert app.button[0].disabled


def test_a_run_that_cannot_be_started_is_one_sentence(
    launched: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(config: RunConfig, store: RunStore | None = None) -> str:
        raise RunError("the disk is full; delete some runs.")

    monkeypatch.setattr(launcher, "launch", refuse)
    app = start(open_page())
    assert [w.value.replace("\\", "") for w in app.warning] == ["the disk is full; delete some runs."]
    assert not app.exception


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "file" / "runs"))
    app = start(open_page())
    assert len(app.warning) == 1 and "SAPO_VIZ_RUNS_DIR" in app.warning[0].value.replace("\\", "")
    assert not app.exception and not app.error


def test_the_page_does_not_import_torch() -> None:
    """The worker trains; the server needs no second or third of a gigabyte for showing it."""
    code = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(SHELL)!r}, default_timeout=120).run()\n"
        "app.switch_page('../../pages/train.py').run()\n"
        "assert app.title[0].value.startswith('Which'), app.title\n"
        "print(*sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert answer.stdout.strip() == ""


def test_the_catalogue_is_offered_whole(launched: list[RunConfig]) -> None:
    [pills] = [group for group in open_page().get("button_group") if group.key == "objectives"]
    assert len(pills.options) == len(CATALOG)


def test_the_second_case_of_what_to_notice_is_one_press_away(launched: list[RunConfig]) -> None:
    app = open_page(objectives="sapo", epochs="3")
    [button] = [button for button in app.button if "second case" in button.label]
    start(button.click().run())
    [config] = launched
    assert (config.optimizer, config.lr, config.grad_clip, config.steps) == ("sgd", 0.05, 0.0, 40)
    assert config.epochs == 1, "the other settings are back at their defaults"
