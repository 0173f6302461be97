"""The Experiments page in AppTest: what its button starts, and that what it says is what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from sapo_viz.errors import RunError
from sapo_viz.experiments import measured
from sapo_viz.experiments import runs as experiment_runs
from sapo_viz.experiments.analysis import analyse, keys_of
from sapo_viz.experiments.conclusion import conclusion
from sapo_viz.experiments.design import Preset
from sapo_viz.experiments.measured import Measured
from sapo_viz.experiments.presets import PRESETS, SAME_CLIP
from sapo_viz.experiments.records import RunRecord
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.folder.log import append_event
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.folder.worker_file import write_worker
from sapo_viz.runs.workers import launcher
from sapo_viz.ui.experiments import page as experiments
from sapo_viz.ui.experiments import pair as experiments_pair
from sapo_viz.ui.text import plain
from tests.ui.test_apptest import assert_no_fault, open_page

OUTLIER = PRESETS["outlier"]


@pytest.fixture(autouse=True)
def launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """What the page launches; folders are made, no process is started."""
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("SAPO_VIZ_SLOTS", "2")
    configs: list[RunConfig] = []

    def launch(config: RunConfig, store: RunStore | None = None, table: object = None) -> str:
        configs.append(config)
        return (store or RunStore()).create(config)

    monkeypatch.setattr(launcher, "launch", launch)
    return configs


@pytest.fixture
def nothing_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "measured", lambda name: None)


def finish(preset: Preset, seeds: int, rewards: dict[str, float], switches: tuple[str, ...] = ()) -> None:
    """All runs of the experiment, done, with the same reward in every step."""
    store = RunStore()
    for (arm, _seed), config in preset.configs(seeds, switches).items():
        run_id = store.create(config)
        for step in range(1, config.steps + 1):
            metrics: dict[str, Any] = {"reward": rewards[arm], "entropy": 0.1, "seconds": float(step)}
            append_event(store.path(run_id), RunEvent("step", step, {"metrics": metrics}))
        append_event(store.path(run_id), RunEvent("finished", config.steps, {}))
        write_worker(store.path(run_id), "ended")


def button(app: AppTest) -> Any:
    [found] = [button for button in app.button if button.key == "run-experiment"]
    return found


def verdict(app: AppTest) -> str:
    [found] = [text.value for text in app.markdown if text.value.startswith("#### ")]
    return found.removeprefix("#### ")


@pytest.mark.parametrize("name", PRESETS)
def test_every_experiment_opens_by_its_address_with_its_question(name: str) -> None:
    app = open_page("experiments", {"preset": name})
    assert_no_fault(app)
    assert [header.value for header in app.header] == [PRESETS[name].question]
    assert any(plain(PRESETS[name].paper) in text.value for text in app.markdown)


@pytest.mark.parametrize("name", PRESETS)
def test_before_anything_ran_here_the_shipped_result_is_shown_with_its_date(name: str) -> None:
    app = open_page("experiments", {"preset": name})
    shipped = measured.measured(name)
    assert shipped is not None
    seeds = measured.seeds_of(PRESETS[name], shipped)
    assert verdict(app) == plain(conclusion(analyse(PRESETS[name], seeds, shipped.records)))
    assert any(plain(f"Measured {shipped.date} with {shipped.machine}") in caption.value for caption in app.caption)


def test_without_its_model_an_experiment_shows_what_was_measured_and_says_how_to_run_it(
    launched: list[RunConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SAPO_VIZ_MODELS_DIR", raising=False)
    app = open_page("experiments", {"preset": "mood"})
    assert_no_fault(app)
    assert not [button for button in app.button if button.key == "run-experiment"], "none that could not be pressed"
    assert any("`make smollm2`" in info.value and "SAPO_VIZ_MODELS_DIR" in info.value for info in app.info)
    assert any("likeliest answer" in text.value for text in app.markdown)
    (tmp_path / "SmolLM2-135M-Instruct").mkdir()
    monkeypatch.setenv("SAPO_VIZ_MODELS_DIR", str(tmp_path))
    app = open_page("experiments", {"preset": "mood", "seeds": "3"})
    button(app).click().run()
    assert launched == list(PRESETS["mood"].configs(3).values()) and not app.info


def test_one_press_starts_every_arm_with_every_seed_and_a_second_one_nothing(launched: list[RunConfig]) -> None:
    app = open_page("experiments")
    assert "12 runs" in button(app).label
    button(app).click().run()
    assert launched == list(OUTLIER.configs(4).values())
    assert button(app).disabled and button(app).label == "Running …"
    assert_no_fault(app)


def test_switches_and_seeds_reach_the_runs(launched: list[RunConfig]) -> None:
    app = open_page("experiments", {"preset": "mismatch", "seeds": "3", "switch": "recompute,lower-off"})
    assert "9 runs" in button(app).label
    button(app).click().run()
    assert launched == list(PRESETS["mismatch"].configs(3, ["recompute", "lower-off"]).values())


def test_switches_that_contradict_each_other_are_said_and_nothing_can_be_started(launched: list[RunConfig]) -> None:
    app = open_page("experiments", {"switch": "adam,lr-0.1"})
    assert button(app).disabled
    assert [w.value.replace("\\", "") for w in app.warning] == ["adam and lr-0.1 both set lr; choose one of them."]


def test_what_was_measured_here_is_shown_with_what_was_measured_before(launched: list[RunConfig]) -> None:
    finish(OUTLIER, 4, {"sapo": 0.25, "grpo": 0.75, "gspo": 0.25})
    app = open_page("experiments")
    assert verdict(app).replace("\\", "").startswith("GRPO ends 0.50 above SAPO (95 % interval 0.50 to 0.50, n = 4)")
    assert any("Measured before" in caption.value for caption in app.caption)
    assert button(app).disabled and button(app).label == "All runs are done"


def test_more_seeds_run_only_what_is_missing(launched: list[RunConfig]) -> None:
    finish(OUTLIER, 4, {"sapo": 0.5, "grpo": 0.5, "gspo": 0.5})
    app = open_page("experiments", {"seeds": "8"})
    assert "the other 12" in button(app).label
    button(app).click().run()
    assert sorted({config.seed for config in launched}) == [4, 5, 6, 7] and len(launched) == 12


@pytest.mark.usefixtures("nothing_shipped")
def test_without_any_result_the_page_says_what_to_do() -> None:
    app = open_page("experiments")
    assert_no_fault(app)
    assert "Run it" in app.info[0].value


def test_all_can_be_stopped_after_one_question(launched: list[RunConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[int] = []
    monkeypatch.setattr(experiment_runs, "stop", lambda preset, seeds, switches, store: stopped.append(seeds))
    app = open_page("experiments")
    button(app).click().run()
    [stop] = [button for button in app.button if button.key == "stop-experiment"]
    assert stop.label == "Stop 12 runs"
    stop.click().run()
    assert stopped == [4]


def test_a_run_that_cannot_be_started_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: RunConfig, store: RunStore | None = None) -> str:
        raise RunError("the disk is full; delete some runs.")

    monkeypatch.setattr(launcher, "launch", refuse)
    app = open_page("experiments")
    button(app).click().run()
    assert [w.value.replace("\\", "") for w in app.warning] == ["the disk is full; delete some runs."]


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "file" / "runs"))
    app = open_page("experiments")
    button(app).click().run()
    assert_no_fault(app)
    assert len(app.warning) == 1 and "SAPO_VIZ_RUNS_DIR" in app.warning[0].value.replace("\\", "")


@pytest.mark.parametrize("query", [{"preset": "nope"}, {"seeds": "-1"}, {"switch": "nope,dual-clip"}, {"runs": "a,b"}])
def test_nonsense_in_the_address_does_not_break_it(query: dict[str, str]) -> None:
    app = open_page("experiments", query)
    assert_no_fault(app)
    assert [header.value for header in app.header] == [OUTLIER.question]


def test_a_switch_of_another_experiment_is_forgotten_when_one_changes_over(launched: list[RunConfig]) -> None:
    app = open_page("experiments", {"switch": "grad-clip"})
    [choice] = [group for group in app.get("button_group") if group.key == "preset"]
    choice.set_value("calm").run()
    assert_no_fault(app)
    assert [header.value for header in app.header] == [PRESETS["calm"].question]
    button(app).click().run()
    assert launched == list(PRESETS["calm"].configs(4).values())


def shipped_pair() -> dict[str, Measured]:
    """Both presets of the pair: whoever has its gate switched earns 0.9 in the first, 0.2 in the second."""
    made = {}
    for name, switched in zip(SAME_CLIP.presets, (0.9, 0.2), strict=True):
        opened = PRESETS[name].opened(SAME_CLIP.switches)
        records = {
            key: RunRecord(key[0], key[1], "done", 40, (switched if "-" in arm else 0.6,) * 40, (0.1,) * 40)
            for (arm, _seed), key in keys_of(opened, 4).items()
        }
        made[name] = Measured("2026-11-22", "a machine", records)
    return made


def test_two_experiments_stand_side_by_side_with_a_sentence_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments_pair, "measured", shipped_pair().get)
    for name in SAME_CLIP.presets:
        app = open_page("experiments", {"preset": name})
        assert_no_fault(app)
        said = [text.value.replace("\\", "") for text in app.markdown]
        assert any(text.startswith("**GRPO (lower clip off) ends 0.30 above GRPO") for text in said)
        assert any(text.startswith("**GRPO ends 0.40 above GRPO (lower clip off)") for text in said)
    app = open_page("experiments", {"preset": "calm"})
    assert SAME_CLIP.title not in [header.value for header in app.subheader]
    app = open_page("experiments", {"preset": "updates"})
    [across] = [button for button in app.button if (button.key or "").startswith("pair-open")]
    across.click().run()
    assert [header.value for header in app.header] == [PRESETS["mismatch"].question]


def test_what_a_switch_changes_is_a_table_of_its_own(launched: list[RunConfig]) -> None:
    finish(OUTLIER, 4, {"sapo": 0.5, "grpo": 0.25, "gspo": 0.5})
    finish(OUTLIER, 4, {"sapo": 0.5, "grpo": 0.5, "gspo": 0.5}, ("dual-clip",))
    app = open_page("experiments", {"switch": "dual-clip"})
    assert "GRPO (dual clip) gains 0.25 by the change" in verdict(app).replace("\\", "")
    assert any(text.value.startswith("| Changed |") and r"\+0\.250" in text.value for text in app.markdown)
