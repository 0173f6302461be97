"""Damaged runs among healthy ones, in a browser, under a locale that knows ASCII alone: each page shows what it can."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from sapo_viz.runs.folder.store import RunStore
from tests.browser.conftest import eventually, watched_server
from tests.runs.folder.test_damaged_runs import DAMAGE, write_run
from tests.test_locale import ASCII

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from scripts.browser import Server
    from tests.browser.conftest import Visit

FILES = {"config": "config.json", "events": "events.jsonl", "tokens": "tokens/step-00001.jsonl"}


@pytest.fixture
def server_of_damaged_runs(browser: Browser, tmp_path: Path) -> Iterator[Server]:
    """A healthy run, and one for every way in which a file of a run can be damaged."""
    store = RunStore(tmp_path / "läufe")
    whole = write_run(store, "good")
    for damage, make in DAMAGE.items():
        for name, file in FILES.items():
            run = store.root / f"{name}-{damage}".replace(" ", "-").replace(",", "")
            shutil.copytree(whole, run)
            make(run / file)
            os.utime(run, (1e9, 1e9))
    with watched_server(tmp_path / "server", environment=ASCII | {"SAPO_VIZ_RUNS_DIR": str(store.root)}) as server:
        yield server


def test_every_page_shows_the_healthy_run_and_says_which_are_damaged(
    server_of_damaged_runs: Server, visit: Visit
) -> None:
    everyone = ",".join(["good", *(f"{name}-{damage}" for name in FILES for damage in DAMAGE)]).replace(" ", "-")
    page = visit(f"/train?runs={everyone}", server=server_of_damaged_runs)
    row = page.locator("tr[data-run=good]")
    expect(row).to_contain_text("finished")
    expect(page.locator("tr[data-run=config-pipe]")).to_contain_text("damaged")
    expect(page.locator("tr[data-run=config-pipe]")).to_contain_text("it is no regular file")
    expect(page.locator("tr[data-run=events-no-metrics]")).to_contain_text("it is a step without metrics")
    eventually(page, lambda: page.locator("[data-testid=live-note]").inner_text(), lambda text: "No answer" not in text)
    for path in ("/experiments", "/tokens?source=run&run=good", "/tokens?source=run", "/curves"):
        visit(path, server=server_of_damaged_runs)
