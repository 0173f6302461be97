"""A run that another program trains, beside our own: it appears, moves, ends, and is left to its owner."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from sapo_viz.runs.folder.store import RunStore
from tests.browser.conftest import watched_server
from tests.recorder.recording import batch, load_recorder, record_run
from tests.rollouts.audit.test_audit import RECORDED
from tests.runs.folder.test_damaged_runs import write_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from scripts.browser import Server

Visit = Callable[..., Page]
POINTS = "n => document.querySelector('.live-plot')?.data?.some((t) => t.x.length >= n)"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of runs, and of the owner's data."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "data").mkdir()
    write_run(RunStore(folder / "runs"), "own")
    return folder / "runs", folder / "data"


@pytest.fixture(scope="module")
def server_with_data(browser: Browser, folders: tuple[Path, Path]) -> Iterator[Server]:
    environment = {"SAPO_VIZ_RUNS_DIR": str(folders[0]), "SAPO_VIZ_DATA_DIR": str(folders[1])}
    with watched_server(folders[0].parent / "server", environment=environment) as server:
        yield server


def test_a_run_that_begins_elsewhere_appears_by_itself_streams_and_ends(
    server_with_data: Server, folders: tuple[Path, Path], visit: Visit
) -> None:
    page = visit("/train", server=server_with_data)
    expect(page.locator("tr[data-run=own]")).to_contain_text("finished")
    settings = {"learning_rate": 1e-5, "max_steps": 12}
    shutil.rmtree(folders[1] / "llama", ignore_errors=True)  # of a first try
    run = record_run(folders[1] / "llama", 4, end=None, framework="trl", version="1.16.0", settings=settings)
    run.note("on-policy", "TRL makes one update from each rollout here, so every ratio is 1.")
    row = page.locator('tr[data-run="data:llama"]')
    expect(row).to_have_attribute("data-status", "running")  # nothing was clicked and nothing reloaded
    expect(row.get_by_test_id("recorded")).to_have_text("recorded, TRL 1.16.0")
    row.get_by_role("checkbox").check()
    page.wait_for_function(POINTS, arg=4)
    run.add(batch(load_recorder(), 5))
    run.end_step(5)
    page.wait_for_function(POINTS, arg=5)
    expect(row).to_contain_text("5/12")
    expect(row).to_contain_text("every ratio is 1")
    for nothing in ("stop", "resume", "rename", "duplicate"):
        expect(row.get_by_test_id(nothing)).to_have_count(0)
    run.end()
    expect(row).to_have_attribute("data-status", "finished")
    expect(row.get_by_test_id("delete")).to_have_count(0)
    expect(page.locator("tr[data-run=own]").get_by_test_id("delete")).to_have_count(1)
    page.locator("tr[data-run=own]").get_by_role("checkbox").check()
    expect(page.get_by_test_id("compare")).to_contain_text("Trained by")
    expect(page.get_by_test_id("compare")).to_contain_text("TRL 1.16.0")
    row.get_by_test_id("open-tokens").click()  # the newest step with tokens, all of its ranks
    expect(page.get_by_test_id("strip")).to_be_visible()
    expect(page).to_have_url(re.compile("step=4"))
    page.get_by_role("button", name="Previous step").click()
    expect(page).to_have_url(re.compile("step=2"))
    expect(page.get_by_text("step2-rank0")).to_be_visible()


@pytest.mark.parametrize("goes_on", [False, True], ids=["ended", "between two steps"])
def test_a_run_with_a_faulty_loss_says_so_on_the_training_page_and_leads_to_its_tokens(
    server_with_data: Server, folders: tuple[Path, Path], visit: Visit, goes_on: bool
) -> None:
    """Recorded with TRL's own trainer, whose loss had lost the advantages: the reason is on the first screen."""
    name = "lost-on" if goes_on else "lost"
    folder = folders[1] / name
    shutil.copytree(RECORDED / "advantages", folder, dirs_exist_ok=True)
    lines = [dict(type="start", step=0, time=1.0)]
    lines += [dict(type="step", step=step, time=2.0, metrics=dict(reward=0.5)) for step in (1, 2, 3, 4)]
    lines += [dict(type="sample", step=step, time=2.0, file="") for step in (2, 4)]
    lines += [] if goes_on else [dict(type="finished", step=4, time=3.0, kind="trained")]
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = visit(f"/train?runs=data:{name}", server=server_with_data)
    row = page.locator(f'tr[data-run="data:{name}"]')
    expect(row.get_by_test_id("alerts")).to_contain_text("the advantages are missing")
    told = page.get_by_test_id("story")
    expect(told).to_contain_text("the advantages are missing")
    expect(told).not_to_contain_text("`")  # names are set as code
    expect(told).to_be_in_viewport()
    expect(page.get_by_text("Not logged").first).to_be_visible()  # all but the reward
    expect(told.get_by_role("link").first).to_have_attribute("href", re.compile(rf"run=data%3A{name}&step=\d$"))
    row.get_by_test_id("open-tokens").click()
    expect(page.get_by_test_id("strip")).to_be_visible()
    expect(page.get_by_text("the advantages are missing")).to_be_visible()
    page.get_by_role("button", name="Previous step").click()
    expect(page).to_have_url(re.compile("step=2"))
    expect(page.get_by_text("the advantages are missing")).to_be_visible()


def test_a_recorded_runs_tokens_are_scrubbed_through_and_not_all_of_them_are_read(
    server_with_data: Server, folders: tuple[Path, Path], visit: Visit
) -> None:
    """Of 60 steps with tokens every fourth is read ahead, and the last: 16. Another is read where the slider rests."""
    folder = folders[1] / "long"
    shutil.rmtree(folder, ignore_errors=True)  # of a first try
    record_run(folder, 1)
    lines = [dict(type="start", step=0, time=1.0)]
    for step in range(1, 61):
        name = f"tokens/step-{step:05d}.rank-0.parquet"
        if step > 1:
            shutil.copyfile(folder / "tokens" / "step-00001.rank-0.parquet", folder / name)
        lines += [dict(type="step", step=step, time=2.0, metrics=dict(reward=0.5))]
        lines += [dict(type="sample", step=step, time=2.0, file=name)]
    lines += [dict(type="finished", step=60, time=3.0, kind="trained")]
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = visit("/train?runs=data:long", server=server_with_data)
    asked: list[str] = []
    page.on("request", lambda request: asked.extend(re.findall(r"[?&]step=(\d+)", request.url)))
    scrub = page.get_by_test_id("scrub")
    scrub.scroll_into_view_if_needed()
    expect(scrub).to_contain_text("long: 16 of 60 steps with tokens are side by side here")
    gate = scrub.get_by_test_id("scrub-gate")
    expect(gate).to_have_attribute("aria-label", re.compile("step 60:"))
    expect(scrub.get_by_test_id("scrub-tokens")).to_contain_text("Largest move")
    assert set(asked) == {str(step) for step in (*range(1, 60, 4), 60)}
    slider = scrub.get_by_test_id("scrub-slider")
    slider.press("ArrowLeft")
    expect(gate).to_have_attribute("aria-label", re.compile("step 59:"))
    expect(scrub).to_contain_text("long: 17 of 60 steps")
    expect(scrub.get_by_test_id("scrub-open")).to_have_attribute("href", re.compile(r"run=data%3Along&step=59$"))
    slider.press("Home")
    expect(gate).to_have_attribute("aria-label", re.compile("step 1:"))
    expect(page).to_have_url(re.compile("scrub=1"))
