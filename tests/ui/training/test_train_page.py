"""The Training page in AppTest: what its controls ask for, and that whatever is wrong is one calm sentence.

The live component is unknown to AppTest; tests/browser/test_train.py drives it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import ModelError, RunError
from sapo_viz.models.policy import load_policy
from sapo_viz.models.source import POLICIES
from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.folder.store import RunStore, RunSummary
from sapo_viz.runs.settings import Setting
from sapo_viz.runs.workers import launcher
from sapo_viz.ui.text import plain
from sapo_viz.ui.training import form as train_form
from sapo_viz.ui.training.runs import estimate
from tests.ui.tokens.test_tokens_page import open_tokens

ROOT = Path(__file__).parents[3]
SHELL = ROOT / "sapo_viz" / "ui" / "shell.py"


@pytest.fixture
def launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """What the page launches; folders are made, no process is started."""
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "runs"))
    configs: list[RunConfig] = []

    def launch(config: RunConfig, store: RunStore | None = None, table: object = None) -> str:
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


def test_how_long_a_model_of_ones_own_takes_is_told_by_a_run_here_alone() -> None:
    config = RunConfig(task="mood", policy="someone/language-model")
    assert estimate([config], []) == "1 run; the time left shows with the first steps"
    ran = RunSummary("ran", config, "finished", 0.0, 20, {"seconds": 3000.0}, "", "", stopping=False)
    assert estimate([replace(config, steps=40)], [ran]) == "1 run, roughly 100 min"


def test_each_objective_runs_with_each_seed_and_the_page_says_how_many_that_is(launched: list[RunConfig]) -> None:
    app = open_page(objectives="sapo,gspo", seed="5")
    app.number_input(key="set-seeds").set_value(3).run()
    assert "6 runs" in hint(app)
    start(app)
    assert [(c.objective, c.seed) for c in launched] == [
        ("sapo", 5), ("gspo", 5), ("sapo", 6), ("gspo", 6), ("sapo", 7), ("gspo", 7),
    ]  # fmt: skip


def test_what_the_owner_does_not_allow_is_said_and_nothing_is_started(
    launched: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPO_VIZ_RUNS_PER_VISIT", "1")
    app = start(open_page())
    assert launched == []
    assert any("SAPO\\_VIZ\\_RUNS\\_PER\\_VISIT" in str(warning.value) for warning in app.warning)


def test_a_folder_outside_is_refused_in_the_words_for_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the start on the page, and by the launcher, which trusts no page."""
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "runs"))
    said = []
    for policy in ("/etc", "/no-such-folder"):
        app = open_page(policy=policy)
        assert app.button[0].disabled
        with pytest.raises(ModelError, match="there is no model"):
            launcher.launch(RunConfig(policy=policy))
        said.append(hint(app).replace(plain(policy), "…"))
    assert said[0] == said[1] and "there is no model" in said[0] and not RunStore().list()


def test_the_starting_policy_is_chosen_from_the_list_of_the_tokens_page_or_typed(launched: list[RunConfig]) -> None:
    left = RunStore().create(RunConfig("sapo"), "left")
    shutil.copytree(POLICIES / "addition-rl", RunStore().folder(left) / "policy")
    app = open_page(objectives="sapo")
    box, scored = app.selectbox(key="set-policy"), open_tokens(source="text").selectbox[0]
    assert box.options == ["auto", *scored.options] and "run:left" in box.options
    start(box.set_value("run:left").run())
    assert launched[0].policy == "run:left" and app.query_params["policy"] == "run:left"
    assert launched[0].make_objective() and load_policy("run:left", root=Path()).parameters == 75_776
    start(open_page(objectives="sapo", policy="someone/typed-by-hand"))
    assert launched[1].policy == "someone/typed-by-hand"


def test_what_would_keep_the_reward_at_0_is_said_above_the_button(launched: list[RunConfig]) -> None:
    app = open_page(policy="chain-start")
    [warning] = [str(warning.value).replace("\\", "") for warning in app.warning]
    assert "chain-start never saw the task addition" in warning and not app.button[0].disabled
    assert not open_page(policy="addition-rl").warning


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


def test_every_setting_has_a_control(launched: list[RunConfig]) -> None:
    """Those of questions where the task has any; a file of them is uploaded or chosen."""
    helps = {}
    for task in ("addition", "mood"):
        app = open_page(task=task)
        helps |= {widget.key: widget.help for widget in [*app.number_input, *app.selectbox, *app.text_input]}
    assert [name for name in SETTINGS if not helps.get(f"set-{name}")] == ["data"]


def test_the_toy_tasks_show_no_settings_of_questions(launched: list[RunConfig]) -> None:
    keys = {widget.key for widget in open_page().text_input}
    assert "set-label" in keys and "set-reward" not in keys


def test_questions_of_the_data_folder_are_shown_with_what_their_answers_earn(
    launched: list[RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"^{100 + n}+{200 + n}=,{300 + 2 * n}" for n in range(10)]
    (tmp_path / "sums.csv").write_text("\n".join(["question,answer", *rows]))
    monkeypatch.setenv("SAPO_VIZ_DATA_DIR", str(tmp_path))
    asked = {"task": "questions", "policy": "addition-start", "data": "sums.csv", "objectives": "sapo"}
    app = open_page(**asked, reward="numeric")
    said = " ".join(caption.value for caption in app.caption).replace("\\", "")
    assert "8 questions to train on, 2 held out. Reward: numeric" in said and "of memory at its peak" in said
    assert list(app.dataframe[0].value.iloc[:, 2]) == [1.0] * 5
    start(app)
    assert [config.task for config in launched] == ["questions"]
    wrong = open_page(**asked, answer_column="solution")
    assert wrong.button[0].disabled and "answer_column is 'solution'" in hint(wrong).replace("\\", "")


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
        "Not found, or deleted since: no-such-run, ../../etc."
    ]
    assert not app.error and not app.exception


def test_settings_that_do_not_go_together_are_said_in_place_of_the_estimate(launched: list[RunConfig]) -> None:
    app = open_page(prompts="1", completions="2", minibatches="4")
    assert "minibatches is 4; with 1 × 2 completions" in hint(app).replace("\\", "")
    assert app.button[0].disabled


def test_a_run_that_cannot_be_started_is_one_sentence(
    launched: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(config: RunConfig, store: RunStore | None = None, table: object = None) -> str:
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
    groups = [g for g in open_page().get("button_group") if str(g.key).startswith("objectives: ")]
    assert sum(len(group.options) for group in groups) == len(CATALOG)


def test_the_second_case_of_what_to_notice_is_one_press_away(launched: list[RunConfig]) -> None:
    app = open_page(objectives="sapo", epochs="3")
    [button] = [button for button in app.button if "second case" in button.label]
    start(button.click().run())
    [config] = launched
    assert (config.optimizer, config.lr, config.grad_clip, config.steps) == ("sgd", 0.05, 0.0, 40)
    assert config.epochs == 1, "the other settings are back at their defaults"
