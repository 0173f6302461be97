"""After a run: from a prompt of one's own to both policies' answers, to their tokens, and home with what it trained."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.workers.worker import work
from scripts.browser import settle
from tests.browser.test_train_view import store  # noqa: F401  # a fixture
from tests.runs.small_runs import small

Visit = Callable[..., Page]
LONG = 180_000  # ms: a busy machine needs long to import PyTorch


def test_a_finished_run_answers_ones_own_prompts_beside_its_start_and_goes_home_merged(
    store: RunStore,  # noqa: F811
    visit: Visit,
) -> None:
    run_id = store.create(small(steps=2, lr=1e-2, lora_rank=4, label="asked"))
    assert work(store.path(run_id)).type == "finished"
    page = visit(f"/train?runs={run_id}&after={run_id}")
    prompts = page.get_by_role("textbox", name="Ask the starting and the trained policy")
    expect(prompts).to_have_value(re.compile(r"^\^\d{3}\+\d{3}=\n\^\d{3}\+\d{3}=$"))  # held out, as it is asked them
    prompts.fill("^864+394=\n^100+100=")
    page.get_by_role("button", name="Ask both").click()
    asked = page.get_by_test_id("asked")
    expect(asked.get_by_role("link", name="Tokens")).to_have_count(4, timeout=LONG)
    expect(asked).to_contain_text("^100+100=")
    expect(page).to_have_url(re.compile(f"after={run_id}&asked=1"))

    page.get_by_role("button", name="Merge with its start").click()
    merged = page.get_by_role("link", name="Merged model")
    expect(merged).to_be_visible(timeout=LONG)
    with page.expect_download() as download:
        merged.click()
    names = zipfile.ZipFile(Path(download.value.path())).namelist()
    assert {f"{run_id}-merged/model.safetensors", f"{run_id}-merged/README.md"} <= set(names)

    page.reload()  # the address has it all
    expect(asked).to_contain_text("^864+394=")
    asked.get_by_role("link", name="Tokens").nth(3).click()  # the trained policy's, to the second prompt
    page.wait_for_url("**/tokens?**")
    settle(page)
    expect(page.get_by_role("strong").filter(has_text="prompt 2, trained")).to_be_visible()
    expect(page.get_by_text("Own prompts")).to_be_visible()
