"""Lines that are told apart, and an axis that comes back: what was wrong once on the live figure."""

from __future__ import annotations

import math
import re

from playwright.sync_api import Page, expect

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.folder.log import append_event
from sapo_viz.runs.folder.store import RunStore
from tests.browser.conftest import eventually
from tests.browser.test_train_view import Visit, open_page, store, write  # noqa: F401  # a fixture

DRAWN = "document.querySelector('.live-plot').data.filter((t) => t.mode === 'lines')"
LINES = f"{DRAWN}.map((t) => [t.line.color, t.line.dash])"
RANGE = "document.querySelector('.live-plot')?.layout?.xaxis.range"


def test_settings_of_one_objective_differ_in_colour_and_line_style_in_figure_and_legend(
    visit: Visit,
    store: RunStore,  # noqa: F811
) -> None:
    taus = (1.05, 1.0, 0.95, 1 / 3, 3.0)
    ids = [
        write(store, f"looks-{i}", RunConfig("sapo", {"tau_neg": tau}, steps=10), [0.1 * i] * 10)
        for i, tau in enumerate(taus)
    ]
    ids.append(write(store, "looks-grpo", RunConfig("grpo", steps=10), [0.9] * 10))
    page = open_page(visit, f"runs={','.join(ids)}")
    eventually(page, lambda: [len(set(looks)) for looks in zip(*page.evaluate(LINES), strict=True)], [6, 6])
    drawn = page.evaluate(LINES)  # settled: six lines, each with its own look
    assert ["#0072B2", "solid"] in drawn and ["#D55E00", "dash"] in drawn
    legend = page.get_by_test_id("legend")
    dashes = lambda: {chip.get_attribute("stroke-dasharray") for chip in legend.locator("line").all()}  # noqa: E731
    eventually(page, lambda: len(dashes()), 6)
    names = ["GRPO", "SAPO, τ₋ 0.333", "SAPO, τ₋ 0.95", "SAPO, τ₋ 1", "SAPO, τ₋ 1.05", "SAPO, τ₋ 3"]
    eventually(page, lambda: sorted(legend.locator(".live-name").all_inner_texts()), names)


def test_a_double_click_goes_back_to_the_whole_of_the_runs_that_are_drawn_now(
    visit: Visit,
    store: RunStore,  # noqa: F811
) -> None:
    """Not to the axis of the first drawing: a longer run has come since."""
    short = write(store, "whole-short", RunConfig("sapo", steps=20), [0.5] * 20)
    long = write(store, "whole-long", RunConfig("grpo", steps=90), [0.5] * 90)
    page = open_page(visit, f"runs={short}")
    eventually(page, lambda: page.evaluate(RANGE), [0, 20])
    page.locator(f'tr[data-run="{long}"] input').first.check()
    eventually(page, lambda: page.evaluate(RANGE), [0, 90])
    drag(page)
    expect(page).to_have_url(re.compile("zoom="))

    def double_click() -> list[float]:
        """Two clicks that a busy machine takes in late are two single ones to Plotly, and the first of them holds a
        step, whose line moves the panel down: one clicks again, where the panel is now."""
        box = plot_box(page)
        page.mouse.dblclick(box["x"] + 200, box["y"] + 60)
        page.wait_for_timeout(1000)
        return page.evaluate(RANGE)

    eventually(page, double_click, [0, 90])
    expect(page).not_to_have_url(re.compile("zoom="))
    height = "document.querySelector('.live-plot').layout.yaxis.range"
    eventually(page, lambda: page.evaluate(height), [0, 1.02])  # the y axis of that panel too


def test_the_same_answers_are_followed_over_the_snapshots(visit: Visit, store: RunStore) -> None:  # noqa: F811
    """A token is told with its likelihood at the snapshot that is scrubbed to, and the whole answer with both."""
    run_id = write(store, "probes", RunConfig("sapo", steps=10), [0.5] * 10)
    answer = {"prompt": "^1+1=", "reward": 1.0, "tokens": ["2", "$"], "start_logprobs": [math.log(0.5), 0.0]}
    for step, now in ((1, 0.5), (10, 0.9)):
        told = [answer | {"logprobs": [math.log(now), 0.0]}]
        append_event(store.folder(run_id), RunEvent("sample", step, {"file": f"step-{step}", "probes": told}))
    page = open_page(visit, f"runs={run_id}")
    page.get_by_test_id("scrub").scroll_into_view_if_needed()  # its snapshots are read when it is in sight
    probes = page.get_by_test_id("scrub-probes")
    expect(probes).to_contain_text("reward 1, π 0.5 → 0.9")
    page.get_by_test_id("scrub-slider").press("Home")
    expect(probes.locator("[data-p]").first).to_have_attribute("data-p", "0.5000")
    expect(probes).to_contain_text("π 0.5 → 0.5")


def test_answers_to_held_out_questions_stand_beside_the_starts(visit: Visit, store: RunStore) -> None:  # noqa: F811
    """Two objectives from one start: a question stands once, each policy's answer below it, what is new marked."""
    ids = []
    for name, after in (("sapo", "It is 1258."), ("grpo", "It is 1249.")):
        run_id = write(store, f"answers-{name}", RunConfig(name, steps=10), [0.5] * 10)
        start, look = ({"prompt": "<b>864+394</b>", "completion": text, "reward": worth} for text, worth in
                       (("It is 1249.", 0.0), (after, float(after == "It is 1258."))))  # fmt: skip
        append_event(store.folder(run_id), RunEvent("start", 0, {"answers": [start]}))
        append_event(store.folder(run_id), RunEvent("step", 11, {"metrics": {"reward": 0.5}, "answers": [look]}))
        ids.append(run_id)
    page = open_page(visit, f"runs={','.join(ids)}")
    answers = page.get_by_test_id("answers")
    expect(answers.locator("tbody th")).to_have_text(["<b>864+394</b>"])
    rows = answers.locator("tbody tr").filter(has_not=page.locator("th"))
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("It is 1249.0")
    marked = rows.filter(has=page.locator("ins"))
    expect(marked).to_have_count(1)  # the other still says what the start says
    expect(marked).to_contain_text("step 11It is 1258.1")
    expect(marked.locator("ins")).to_have_text(["58"])


def plot_box(page: Page) -> dict[str, float]:
    plot = page.locator(".live-plot").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    return dict(box)


def drag(page: Page) -> None:
    box = plot_box(page)
    page.mouse.move(box["x"] + 80, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 220, box["y"] + 90, steps=8)
    page.mouse.up()
