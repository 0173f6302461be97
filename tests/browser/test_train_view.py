"""Curves as people expect them, on runs written by hand: nothing trains here, so every number is known."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, Route, expect

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.folder.labels import annotate
from sapo_viz.runs.folder.log import append_event
from sapo_viz.runs.folder.store import RunStore
from scripts.browser import Server, settle
from tests.browser.conftest import SCHEMES, eventually, hold, listen, turn

Visit = Callable[..., Page]
FIRST = "document.querySelector('.live-plot')?"  # the reward's
BY_STEP = ".live-panel:not([hidden], [data-testid=panel-cost]) .live-plot"  # that one has KL on its x axis


@pytest.fixture(scope="module")
def store(server: Server) -> RunStore:
    return RunStore(server.log_file.parent / "runs")


def write(store: RunStore, name: str, config: RunConfig, rewards: list[float], last: str = "finished") -> str:
    """A run that ended. Tokens: 100 a step; seconds: 2 a step; log r of its snapshots: ±0.3 and one of 1."""
    shutil.rmtree(store.root / name, ignore_errors=True)  # of a first try
    run_id = store.create(config, name)
    folder = store.folder(run_id)
    append_event(folder, RunEvent("start", 0, {"config": config.to_dict(), "resumed": False}))
    for step, reward in enumerate(rewards, 1):
        metrics = {"reward": reward, "entropy": 0.2, "kl_old": 0.001 * step, "kl_start": 0.01, "grad_norm": 1.0}
        metrics |= {"ratio_p01": 0.9, "ratio_p50": 1.0, "ratio_p99": 1.1, "ratio_max": 1.5 + step, "gate_mean": 0.98}
        metrics |= {"clip_fraction": 0.02, "tokens": 100.0 * step, "seconds": 2.0 * step}
        append_event(folder, RunEvent("step", step, {"metrics": metrics}))
    for step in (1, 10, len(rewards)):
        snapshot(folder, step)
        append_event(folder, RunEvent("sample", step, {"file": f"tokens/step-{step:05d}.jsonl"}))
    append_event(folder, RunEvent(last, len(rewards), {"message": "the disk is full"} if last == "failed" else {}))  # type: ignore[arg-type]
    return run_id


def snapshot(folder: Path, step: int) -> None:
    (folder / "tokens").mkdir(exist_ok=True)
    moves = [0.3, -0.3, 0.0, 0.0, 1.0 if step > 1 else 0.0]
    common: dict[str, Any] = {"group": 0, "step": step, "tokens": list("a<b>\n"), "prompt": "^1+1=", "reward": 1.0}
    rows = [
        common
        | {"id": f"{step}-{sign}", "logprobs": [z - 2 for z in moves], "old_logprobs": [-2.0] * 5, "advantage": sign}
        for sign in (1.0, -1.0)
    ]  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "tokens" / f"step-{step:05d}.jsonl").write_text(text, encoding="utf-8")


def four_runs(store: RunStore, stem: str) -> str:
    """Three seeds of SAPO, of which one ended early, and one GRPO run; as `runs=` of the address."""
    ids = [
        write(store, f"{stem}-s{s}", RunConfig("sapo", seed=s, steps=20), [0.1 * s + 0.02 * i for i in range(n)])
        for s, n in ((0, 20), (1, 20), (2, 12))
    ]  # fmt: skip
    ids.append(write(store, f"{stem}-g", RunConfig("grpo", steps=20, lr=1e-3), [0.5] * 20))
    return ",".join(ids)


@pytest.fixture(scope="module")
def shown(store: RunStore) -> str:
    """Runs that nobody changes."""
    return four_runs(store, "shown")


@pytest.fixture(scope="module")
def page_of_shown(open_once: Visit, shown: str) -> Page:
    """Those runs on a page that is opened once; who changes what it shows puts it back."""
    page = open_page(open_once, f"runs={shown}")
    listen(page)  # all has come
    return page


def open_page(visit: Visit, query: str, **how: Any) -> Page:
    page = visit(f"/train?{query}", **how)
    expect(page.locator(".live[data-ready]")).to_be_visible()
    page.wait_for_function(f"() => {FIRST}.data?.some((t) => t.meta === 'mean' || t.mode === 'lines')")
    return page


def traces(page: Page, meta: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(
        "(meta) => document.querySelector('.live-plot').data.filter((t) => t.meta === meta)"
        ".map((t) => ({ x: t.x, y: t.y, opacity: t.opacity }))",
        meta,
    )
    return found


def test_seeds_are_one_mean_line_with_a_band_and_a_seed_that_ended_early_is_said(page_of_shown: Page) -> None:
    page = page_of_shown

    def a_line_in_two_parts_and_a_band() -> None:
        [band], [mean], [part] = traces(page, "band"), traces(page, "mean"), traces(page, "part")
        # seeds 0, 1, 2 at step 1: 0, 0.1, 0.2; from step 13 on seed 2 is not there
        assert mean["y"][0] == pytest.approx(0.1) and mean["y"][12] is None and part["y"][12] == pytest.approx(0.29)
        assert part["y"][11] == mean["y"][11], "the two parts meet"
        assert (min(band["y"][:40]), max(band["y"])) == (pytest.approx(0.0), pytest.approx(0.48))

    def a_band_of_one_standard_deviation() -> None:
        [band] = traces(page, "band")
        assert band["y"][0] == pytest.approx(0.2) and band["y"][-1] == pytest.approx(0.0)  # 0.1 ± 0.1

    eventually(page, a_line_in_two_parts_and_a_band)
    band = page.get_by_test_id("view-band")
    as_it_was = band.input_value()
    band.select_option("sd")
    eventually(page, a_band_of_one_standard_deviation)
    band.select_option("lines")
    eventually(page, lambda: (traces(page, "band"), traces(page, "mean")), ([], []))
    eventually(page, lambda: page.evaluate(f"{FIRST}.data.filter((t) => t.mode === 'lines').length"), 4)
    expect(page).to_have_url(re.compile("band=lines"))
    band.select_option(as_it_was)
    eventually(page, a_line_in_two_parts_and_a_band)


def test_smoothing_keeps_the_raw_line_behind_and_asks_the_server_nothing(visit: Visit, shown: str) -> None:
    page = open_page(visit, f"runs={shown.split(',')[3]}")
    asked = listen(page)
    slider = page.get_by_test_id("smooth")
    slider.focus()
    slider.press("End")
    eventually(page, lambda: [(raw["opacity"], raw["y"]) for raw in traces(page, "raw")], [(0.3, [0.5] * 20)])
    expect(page).to_have_url(re.compile(r"smooth=0\.99"))
    for axis, first, last in (("tokens", 100, 2000), ("time", 2, 40), ("step", 1, 20)):
        page.get_by_test_id("view-x").select_option(axis)
        ends = [first, last]
        eventually(page, lambda: [traces(page, "raw")[0]["x"][i] for i in (0, -1)], ends)
    assert asked == []


def test_the_address_restores_the_whole_view(visit: Visit, shown: str) -> None:
    page = open_page(visit, f"runs={shown}")
    listen(page)  # all has come
    page.get_by_test_id("view-x").select_option("tokens")
    page.get_by_test_id("panel-kl_old").get_by_role("button", name=re.compile("^Logarithmic")).click()
    page.get_by_test_id("legend").get_by_role("button", name=re.compile("GRPO")).click()
    page.locator(f'tr[data-run="{shown.split(",")[1]}"]').get_by_test_id("pin").click()
    page.get_by_test_id("smooth").fill("0.5")
    expect(page).to_have_url(re.compile("smooth=0.5"))
    state = """() => [...document.querySelectorAll('.live-panel:not([hidden]) .live-plot')].map((p) =>
        [p.data.length, p._fullLayout.yaxis.type, p._fullLayout.xaxis.range, p.data.map((t) => t.y.at(-1) ?? null)])"""
    page.wait_for_function(f"() => {FIRST}.data.some((t) => t.meta === 'raw')")
    before = page.evaluate(state)
    again = open_page(visit, page.url.split("?")[1])
    eventually(again, lambda: again.evaluate(state), before)
    expect(again.get_by_test_id("view-x")).to_have_value("tokens")
    expect(again.get_by_test_id("smooth")).to_have_value("0.5")
    expect(again.get_by_test_id("legend").get_by_role("button", pressed=False)).to_have_count(1)
    again.wait_for_function(
        "() => document.querySelector('[data-testid=panel-kl_old] .live-plot')._fullLayout.yaxis.type === 'log'"
    )
    first = again.locator("tr[data-run]").first
    expect(first.get_by_test_id("pin")).to_have_attribute("aria-pressed", "true")
    expect(first).to_contain_text("seed 1")


def test_a_run_that_is_pinned_is_drawn_at_once(visit: Visit, shown: str) -> None:
    drawn, other = shown.split(",")[:2]
    page = open_page(visit, f"runs={drawn}")
    row = page.locator(f'tr[data-run="{other}"]')
    expect(row.get_by_role("checkbox")).not_to_be_checked()
    row.get_by_test_id("pin").click()
    expect(row.get_by_role("checkbox")).to_be_checked()
    expect(page).to_have_url(re.compile(rf"runs=[^&]*{other}"))


def test_the_view_survives_a_rerun_of_the_page(visit: Visit, shown: str) -> None:
    page = open_page(visit, f"runs={shown}")
    page.get_by_test_id("view-x").select_option("time")
    page.get_by_test_id("smooth").fill("0.5")
    run_id = shown.split(",")[0]
    page.locator(f'tr[data-run="{run_id}"] input').first.uncheck()  # the choice of runs goes through Python
    expect(page).not_to_have_url(re.compile(re.escape(run_id)))
    settle(page)
    expect(page.get_by_test_id("view-x")).to_have_value("time")
    expect(page).to_have_url(re.compile("x=time"))
    expect(page).to_have_url(re.compile("smooth=0.5"))
    eventually(page, lambda: traces(page, "raw"), bool)


def test_the_table_finds_runs_and_ticks_those_it_has_found(visit: Visit, store: RunStore) -> None:
    ids = {
        (name, seed): write(store, f"{name}-{seed}", RunConfig(name, steps=20, seed=seed), [0.5] * 20)
        for name in ("grpo", "sapo")
        for seed in range(3)
    }
    for name, seed in ids:
        annotate(store, ids[name, seed], "of the trial" if seed else "of the trial, the odd one")
    page = open_page(visit, f"runs={ids['grpo', 0]}")
    rows, find = page.locator("tr[data-run]:visible"), page.get_by_test_id("find-runs")
    find.fill("trial SAPO finished")
    expect(rows).to_have_count(3)
    page.get_by_label("Draw all runs").check()
    drawn = lambda: len(page.evaluate("new URL(location).searchParams.get('runs')").split(","))  # noqa: E731
    eventually(page, drawn, 4)  # those three, beside the one that was drawn
    find.fill("sapo odd")
    expect(rows).to_have_count(1)
    find.fill("the trial")
    expect(rows).to_have_count(6)
    page.get_by_test_id("group-runs").select_option("objective")
    expect(page.get_by_role("button", name="GRPO 3")).to_have_attribute("aria-expanded", "true")
    find.fill("")
    page.get_by_role("button", name="GRPO").and_(page.locator(".live-fold")).click()
    eventually(page, lambda: {"by=objective", "fold=GRPO"} <= set(urlparse(page.url).query.split("&")), True)
    expect(rows.filter(has_text="GRPO, seed")).to_have_count(0)
    expect(rows.filter(has_text="SAPO, seed")).not_to_have_count(0)


def test_a_run_gets_a_name_and_a_note_that_stay_and_escape_leaves_it(visit: Visit, store: RunStore) -> None:
    run_id = write(store, "to-name", RunConfig("grpo", steps=20), [0.5] * 20)
    page = open_page(visit, f"runs={run_id}")
    row = page.locator(f'tr[data-run="{run_id}"]')
    row.get_by_test_id("rename").click()
    row.get_by_test_id("name").fill("thrown away")
    row.get_by_test_id("name").press("Escape")
    expect(row).to_contain_text("GRPO, seed 0")
    row.get_by_test_id("rename").click()
    row.get_by_test_id("name").fill("clip <b>off</b> & on")
    row.get_by_test_id("name").press("Enter")
    expect(page.get_by_test_id("legend")).to_contain_text("clip <b>off</b> & on")
    row.get_by_test_id("note").click()
    row.get_by_test_id("note-field").fill("lr <too> high?")
    row.get_by_test_id("note-field").press("Enter")
    expect(row.locator(".live-noted")).to_have_text("lr <too> high?")
    noted = store.folder(run_id) / "note"
    eventually(page, lambda: noted.exists() and noted.read_text("utf-8"), "lr <too> high?\n")
    label = store.folder(run_id) / "label"
    eventually(page, label.exists, True)
    assert label.read_text(encoding="utf-8") == "clip <b>off</b> & on\n"
    page.reload()
    expect(page.locator(f'tr[data-run="{run_id}"]')).to_contain_text("clip <b>off</b> & on")


def test_only_the_settings_that_differ_are_compared(page_of_shown: Page) -> None:
    page = page_of_shown
    table = page.get_by_test_id("compare")
    head = ["Setting", "Objective", "Learning rate", "Seeds", "Reward, last 10", "Collapsed"]
    expect(table.locator("thead th")).to_have_text(head)
    rows = [["SAPO", "0.0002", "3", "0.337 ± 0.050", "0 / 3"], ["GRPO", "0.001", "1", "0.500", "0 / 1"]]
    cells = "rows => rows.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent))"
    eventually(page, lambda: table.locator("tbody tr").evaluate_all(cells), rows)
    line = page.get_by_test_id("legend").get_by_role("button", name=re.compile("GRPO"))
    line.click()
    expect(line).to_have_attribute("aria-pressed", "false")
    eventually(page, lambda: table.locator("tbody tr").evaluate_all(cells), rows)  # hidden lines stay in the comparison
    line.click()
    expect(line).to_have_attribute("aria-pressed", "true")


def test_colours_stay_when_another_setting_joins_or_leaves(visit: Visit, store: RunStore, shown: str) -> None:
    first = shown.split(",")[0]
    other = write(store, f"{first}-other", RunConfig("sapo", lr=1e-3, steps=20), [0.5] * 20)
    page = open_page(visit, f"runs={first}")
    colour = "(id) => document.querySelector('.live-plot')?.data?.find((t) => t.meta === id)?.line.color"
    eventually(page, lambda: page.evaluate(colour, first), "#0072B2")
    page.locator(f'tr[data-run="{other}"] input').first.check()
    shade = eventually(page, lambda: page.evaluate(colour, other), lambda now: now not in (None, "#0072B2"))
    assert page.evaluate(colour, first) == "#0072B2"
    page.locator(f'tr[data-run="{first}"] input').first.uncheck()
    page.wait_for_function("() => document.querySelector('.live-plot')?.data?.length === 1")
    assert page.evaluate(colour, other) == shade
    expect(page).to_have_url(re.compile(rf"runs={re.escape(other)}(&|$)"))
    settle(page)
    page.reload()
    page.wait_for_function(f"(id) => ({colour})(id)", arg=other)
    assert page.evaluate(colour, other) == shade, "the address has it"


def test_a_tick_is_not_undone_by_the_answer_to_an_earlier_one(visit: Visit, shown: str) -> None:
    first, second = shown.split(",")[:2]
    page = open_page(visit, f"runs={first},{second}")
    listen(page)
    # The ticks of two runs are taken out and put back, the second while the server answers to the first.
    states = page.evaluate(
        """async ([first, second]) => {
          const tick = (id) => document.querySelector(`tr[data-run="${id}"] input`);
          const states = [];
          const look = () => { const now = tick(second).checked; if (now !== states.at(-1)) states.push(now); };
          const observe = setInterval(look, 1), wait = (ms) => new Promise((done) => setTimeout(done, ms));
          for (const ms of [255, 270, 290, 320]) {
            tick(first).click();
            await wait(ms);
            tick(second).click();
            await wait(1500);
          }
          clearInterval(observe);
          return states;
        }""",
        [first, second],
    )
    assert states == [True, False, True, False, True]
    eventually(page, lambda: set(parse_qs(urlparse(page.url).query)["runs"][0].split(",")), {first, second})


def test_a_collapse_and_a_failure_are_marked_with_what_happened(visit: Visit, store: RunStore) -> None:
    fall = [0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8, 0.8] + [0.0] * 12
    fallen = write(store, "marks-fallen", RunConfig("grpo", steps=20), fall)
    failed = write(store, "marks-failed", RunConfig("sapo", steps=20), [0.5] * 10, last="failed")
    page = open_page(visit, f"runs={fallen},{failed}")
    marks = f"{FIRST}.data.filter((t) => t.meta === 'mark').map((t) => [t.x[0], t.marker.symbol])"
    eventually(page, lambda: sorted(page.evaluate(marks)), [[10, "x-thin"], [11, "triangle-down"]])
    everywhere = f"""() => [...document.querySelectorAll('{BY_STEP}')]
        .every((p) => p.data.filter((t) => t.meta === 'mark').length === 2)"""
    page.wait_for_function(everywhere)
    story = page.get_by_test_id("story").locator("li")
    expect(story).to_have_count(2)
    told = "collapsed at step 11", "Reward 0.8 → 0", "Ratio, max 7.5 → 12.5", "failed at step 10", "the disk is full"
    for words in told:
        expect(page.get_by_test_id("story")).to_contain_text(words)
    expect(story.get_by_role("link").first).to_have_attribute("href", re.compile(r"tokens\?run=marks-.*&step=10"))
    expect(page.get_by_test_id("compare")).to_contain_text("1 / 1")


def test_every_metric_that_is_logged_can_be_drawn_and_explains_itself_without_a_mouse(page_of_shown: Page) -> None:
    page = page_of_shown
    drawn = page.get_by_test_id("panel-kl_old")
    drawn.get_by_role("button", name=re.compile("^About")).focus()
    expect(drawn.get_by_role("tooltip")).to_be_visible()
    expect(drawn.get_by_role("tooltip")).to_contain_text("mean(r − 1 − log r)")
    expect(drawn.locator(".live-plot")).to_have_attribute("aria-label", re.compile("^KL to old, by step"))
    before = page.locator(".live-plot:visible").count()
    page.get_by_test_id("view-more").check()
    page.wait_for_function("() => document.querySelector('[data-testid=panel-tokens] .live-plot').data?.length")
    expect(page.locator(".live-plot:visible")).to_have_count(before + 2)  # tokens, seconds; no other was logged
    panel = page.get_by_test_id("panel-tokens")
    panel.get_by_role("button", name=re.compile("^About")).focus()
    expect(panel.get_by_role("tooltip")).to_contain_text("sampled tokens since the start")
    expect(page.get_by_test_id("panel-lr")).to_be_hidden()
    expect(page).to_have_url(re.compile("more=1"))
    page.get_by_test_id("view-more").uncheck()
    expect(page.locator(".live-plot:visible")).to_have_count(before)


def test_the_cursor_goes_through_all_panels_by_keyboard_and_offers_the_nearest_tokens(page_of_shown: Page) -> None:
    page = page_of_shown
    plot = page.locator(".live-plot").first
    plot.focus()
    plot.press("Home")
    plot.press("PageUp")
    plot.press("ArrowLeft")
    pick = page.get_by_test_id("pick")
    expect(pick).to_contain_text("step 10")
    without = f"""[...document.querySelectorAll('{BY_STEP}')]
        .filter((p) => p.checkVisibility() && !p.querySelector('.hoverlayer .hovertext')).length"""
    eventually(page, lambda: page.evaluate(without), 0)
    link = pick.get_by_test_id("pick-tokens").first
    expect(link).to_have_attribute("href", re.compile(r"tokens\?run=.*&step=10$"))
    expect(page.get_by_test_id("legend")).to_contain_text("0.50")  # GRPO's reward at that step
    plot.press("Escape")
    expect(pick).to_be_hidden()


def test_scrubbing_shows_gates_closing_without_asking_the_server_again(page_of_shown: Page) -> None:
    page = page_of_shown
    scrub = page.get_by_test_id("scrub")
    scrub.scroll_into_view_if_needed()
    gate = scrub.get_by_test_id("scrub-gate")
    expect(gate).to_have_count(2)
    page.wait_for_function("() => document.querySelectorAll('[data-testid=scrub-tokens] span[data-w]').length === 10")
    asked = listen(page)
    slider = scrub.get_by_test_id("scrub-slider")
    slider.focus()
    slider.press("Home")
    expect(gate.first).to_have_attribute("aria-label", re.compile("step 1:"))
    weight = """() => Object.fromEntries([...document.querySelectorAll('.scrub-card')].map((card) => [
        card.querySelector('strong').textContent,
        [...card.querySelectorAll('span[data-w]')].map((s) => Number(s.dataset.w))]))"""
    first = page.evaluate(weight)
    slider.press("End")
    expect(gate.first).to_have_attribute("aria-label", re.compile("step (20|12):"))
    last = page.evaluate(weight)
    grpo = next(name for name in first if "GRPO" in name)
    sapo = next(name for name in first if "SAPO" in name)
    # log r of the last token: 0 at step 1, then 1, where GRPO (A > 0) is closed and SAPO's sech²((e − 1)/2) is left
    assert first[grpo][4] == 1 and last[grpo][4] == 0
    assert first[sapo][4] == 1 and last[sapo][4] == pytest.approx(math.cosh((math.e - 1) / 2) ** -2, abs=1e-4)
    expect(scrub.locator(".scrub-tokens").first).to_contain_text("a<b>⏎")
    expect(scrub.get_by_test_id("scrub-open").first).to_have_attribute("href", re.compile("step=(20|12)$"))
    assert asked == []
    expect(page).to_have_url(re.compile("scrub=20"))
    expect(gate.first).to_have_attribute("aria-label", re.compile("step (20|12)"))


def test_a_run_that_is_deleted_while_it_is_shown_leaves_the_others_right(visit: Visit, store: RunStore) -> None:
    four = four_runs(store, "one-goes")
    page = open_page(visit, f"runs={four}")
    store.delete(four.split(",")[2])
    page.reload()
    expect(page.get_by_text("Not found, or deleted since")).to_be_visible()

    def two_seeds_both_whole() -> None:
        [mean] = traces(page, "mean")
        assert mean["y"][0] == pytest.approx(0.05) and not traces(page, "part")

    eventually(page, two_seeds_both_whole)


def test_delete_asks_first(visit: Visit, store: RunStore) -> None:
    run_id = write(store, "to-delete", RunConfig("sapo", steps=20), [0.5] * 20, last="stopped")
    page = open_page(visit, f"runs={run_id}")
    row = page.locator(f'tr[data-run="{run_id}"]')
    row.get_by_test_id("delete").click()
    expect(row).to_contain_text("Delete for good?")
    row.get_by_test_id("keep").click()
    expect(row.get_by_test_id("delete")).to_be_visible()
    row.get_by_test_id("delete").click()
    row.get_by_test_id("delete-yes").click()
    expect(row).to_have_count(0)
    expect(page).not_to_have_url(re.compile(run_id))
    eventually(page, (store.root / run_id).exists, False)


def test_what_is_shown_can_be_downloaded_and_a_steps_rollout_opens_in_the_tokens_page(
    visit: Visit, store: RunStore, tmp_path: Path
) -> None:
    run_id = write(store, "to-save", RunConfig("sapo", steps=20), [0.05 * i for i in range(20)], last="stopped")
    page = open_page(visit, f"runs={run_id}")
    eventually(page, lambda: page.evaluate(f"{FIRST}.data[0].x.length"), 20)
    on_their_way: list[Route] = []
    page.route("**/api/runs/snapshots*", lambda route: on_their_way.append(route))
    saved = {}
    for kind in ("csv", "jsonl", "png", "svg"):
        with page.expect_download() as download:
            page.get_by_test_id(f"save-{kind}").click()
        saved[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[kind])
    rows = list(csv.DictReader(saved["csv"].read_text(encoding="utf-8").splitlines()))
    assert [(row["step"], float(row["reward"])) for row in rows] == [(str(i + 1), 0.05 * i) for i in range(20)]
    events = [json.loads(line) for line in saved["jsonl"].read_text(encoding="utf-8").splitlines()]
    assert events[0]["type"] == "start" and events[-1]["type"] == "stopped"
    assert saved["png"].read_bytes().startswith(b"\x89PNG") and b"<svg" in saved["svg"].read_bytes()[:500]
    choice = page.locator(f'tr[data-run="{run_id}"]').get_by_test_id("export-to")
    choice.locator("summary").click()
    with page.expect_download() as download:
        choice.get_by_text("verl", exact=True).click()
    assert download.value.suggested_filename == f"{run_id}-verl.zip"
    row = page.locator(f'tr[data-run="{run_id}"]')
    row.get_by_test_id("snapshot").select_option("1")
    link = row.get_by_test_id("open-tokens")
    expect(link).to_have_attribute("href", f"tokens?run={run_id}&step=1")
    # The cards above the table grow when their snapshots come. A link under a press waits for that where it stands:
    # otherwise it is let go beside the link, and the click is lost.
    hold(page, link)
    page.mouse.down()
    with page.expect_response("**/api/runs/snapshots*"):
        for route in on_their_way:
            route.continue_()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))")
    page.mouse.up()
    expect(page).to_have_url(re.compile(rf"/tokens\?.*run={run_id}"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_a_phone_shows_controls_story_and_gates_within_its_width_by_day_and_by_night(visit: Visit, shown: str) -> None:
    page = open_page(visit, f"runs={shown}", width=390)
    lefts = "[...document.querySelectorAll('.live-panel:not([hidden])')].map((p) => p.getBoundingClientRect().left)"
    eventually(page, lambda: page.evaluate(lefts), lambda found: len(set(found)) == 1)  # one column
    page.get_by_test_id("scrub").scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelectorAll('.scrub-gate rect').length > 4")
    wide = (
        "[...document.querySelectorAll('.live-controls, .live-legend, .live-panels, .live-after, .live-scrub')]"
        ".map((n) => n.getBoundingClientRect()).filter((b) => b.width && b.right > 391).length"
    )
    for scheme in SCHEMES:
        turn(page, scheme)
        eventually(page, lambda: page.evaluate(wide), 0)
        page.wait_for_function("() => document.querySelector('[data-testid=stMain]').scrollWidth <= 390")
