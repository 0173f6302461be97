"""Do the curves follow the hand? Slider input → repaint on the curves page, and what a drag sends to the server."""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import Row, Section, beside, occupied
from scripts.browser import chromium, free_port, serving, settle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Page

KNOB = '[data-testid="knob-sapo-tau_pos"]'
STEPS = 300
SECONDS = 3
HERTZ = 125  # moves a second, as a usual mouse sends them
# Six objectives, both signs, surrogate and weight: 24 curves, and where the tokens are.
PICTURE = "/curves?objectives=sapo,grpo,gspo,dapo,dual_clip,cispo"

# Exhibit -> the slider that is dragged in it.
EXHIBITS = {"outlier": "knob-sapo-tau_pos", "coherence": "knob-numbers-tau", "asymmetry": "knob-knobs-tau_neg"}

# Input event → the frame that shows it: the message is handled after the frame of this input was painted.
# Every sample must have moved a line, or it would measure an empty frame.
INPUT_TO_PAINT = """async ([knob, steps]) => {
  const slider = document.querySelector(knob), figure = document.querySelector('.lab :is(.lab-figure, .exh-figure)');
  let moved = false;
  new MutationObserver(() => { moved = true; })
    .observe(figure, { subtree: true, attributes: true, childList: true, characterData: true });
  const low = Number(slider.min), high = Number(slider.max);
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => done(performance.now());
    channel.port2.postMessage(0);
  }));
  const samples = [];
  let still = 0;
  for (let i = 0; i < steps; i++) {
    moved = false;
    slider.value = low + (high - low) * (0.5 + 0.4 * Math.sin(i / 9));
    const began = performance.now();
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    samples.push(await painted() - began);
    if (!moved) still += 1;
  }
  return { samples, still };
}"""

# Frames in which a line moved, and the inputs that the mouse made, while a real mouse drags.
WATCH_FRAMES = """(knob) => {
  window.sapoFrames = [];
  window.sapoInputs = 0;
  let moved = false;
  document.querySelector(knob).addEventListener('input', () => { window.sapoInputs += 1; });
  new MutationObserver(() => { moved = true; })
    .observe(document.querySelector('.lab'), { subtree: true, attributes: true, attributeFilter: ['d'] });
  const look = (now) => {
    if (moved) window.sapoFrames.push(now);
    moved = false;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


@dataclass(frozen=True)
class Drag:
    """`per_second` repaints, `gaps` between them in ms, `inputs` of the mouse, what was `sent` before release."""

    per_second: list[float]
    gaps: list[float]
    inputs: int
    sent: int


def measure() -> Section:
    rows, notes = _measured()
    with occupied():
        busy, busy_notes = _measured()
    return Section(
        "Slider input → repaint while dragging",
        "24 curves (six objectives, both signs, surrogate and weight) and the exhibits as they open, at 1440 px, "
        "Chromium without GPU (it paints on the CPU). Input event → end of the frame that shows it, "
        f"{STEPS} inputs on a slider, one after the other; then, on the curves, a mouse drag of {SECONDS} seconds, "
        f"{HERTZ} moves a second that wait for no answer, of which the browser makes one input a frame. "
        "*Busy* is the same beside one process that keeps a core occupied.",
        beside(rows, busy),
        [
            *notes,
            *(f"Busy: {note}" for note in busy_notes),
            "A native slider with `st.plotly_chart` shows nothing until release and follows 250–350 ms after it "
            "(measured for the design).",
        ],
    )


def _measured() -> tuple[list[Row], list[str]]:
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder)) as server,
        chromium(f"--remote-debugging-port={port}") as browser,
    ):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        traffic: list[str] = []
        page.on("request", lambda request: traffic.append(request.url))
        page.on("websocket", lambda socket: _listen(socket, traffic))
        page.goto(server.url + PICTURE)
        settle(page)
        page.wait_for_selector(".lab[data-ready=true]")
        page.wait_for_timeout(1000)
        result = page.evaluate(INPUT_TO_PAINT, [KNOB, STEPS])
        page.wait_for_timeout(2000)
        drag = _drag(page, port, traffic)
        page.close()
        exhibits = {name: _exhibit(browser, f"{server.url}/{name}", knob) for name, knob in EXHIBITS.items()}
    rows = [
        Row("input → repaint", "ms", result["samples"], digits=1),
        *(Row(f"input → repaint, exhibit {name}", "ms", r["samples"], digits=1) for name, r in exhibits.items()),
        Row("between repaints during a mouse drag", "ms", drag.gaps, digits=1),
        Row("repaints a second during a mouse drag", "/s", drag.per_second),
    ]
    notes = [
        f"Inputs after which nothing had moved: {sum(r['still'] for r in (result, *exhibits.values()))} of "
        f"{STEPS * (1 + len(exhibits)):,}.",
        f"The drag made {drag.inputs} inputs and {sum(drag.per_second):.0f} repaints in {SECONDS} seconds.",
        f"Requests and WebSocket frames during the drag, before release: {drag.sent}.",
    ]
    return rows, notes


def _exhibit(browser: Browser, url: str, knob: str) -> dict[str, Any]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(url)
    settle(page)
    page.wait_for_timeout(500)
    result: dict[str, Any] = page.evaluate(INPUT_TO_PAINT, [f'[data-testid="{knob}"]', STEPS])
    page.close()
    return result


def _listen(socket: Any, traffic: list[str]) -> None:
    socket.on("framesent", lambda _: traffic.append("frame sent"))
    socket.on("framereceived", lambda _: traffic.append("frame received"))


def _drag(page: Page, port: int, traffic: list[str]) -> Drag:
    """To and fro over the slider for three seconds."""
    box = page.locator(KNOB).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.wait_for_timeout(700)  # what the press itself sets off is not the drag
    page.evaluate(WATCH_FRAMES, KNOB)
    before = len(traffic)
    with ThreadPoolExecutor(1) as hand:  # Playwright's two ways of asking need a thread each
        began = hand.submit(asyncio.run, _move(port, box)).result()
    times = [moment - began for moment in page.evaluate("window.sapoFrames") if moment >= began]
    inputs = page.evaluate("window.sapoInputs")
    sent = len(traffic) - before
    page.mouse.up()
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    per_second = [float(sum(second <= moment / 1000 < second + 1 for moment in times)) for second in range(SECONDS)]
    return Drag(per_second, gaps, inputs, sent)


async def _move(port: int, box: FloatRect) -> float:
    """A hand like a mouse: it waits for no answer. That of `page.mouse.move` comes with a frame, so that a hand which
    waits makes no more inputs than the page has shown, and misses a frame with each that is late.

    Returns when it began, by the page's clock.
    """
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        (page,) = [page for context in browser.contexts for page in context.pages]
        devtools = await page.context.new_cdp_session(page)
        move = {"type": "mouseMoved", "button": "left", "buttons": 1, "y": box["y"] + box["height"] / 2}
        moment = await page.evaluate("performance.now()")
        began, moves = time.monotonic(), []
        while (spent := time.monotonic() - began) < SECONDS:
            x = box["x"] + box["width"] * (0.5 + 0.4 * math.sin(2 * math.pi * spent))  # to and fro in a second
            moves.append(asyncio.create_task(devtools.send("Input.dispatchMouseEvent", {**move, "x": x})))
            await asyncio.sleep(max(0.0, len(moves) / HERTZ - (time.monotonic() - began)))
        await asyncio.gather(*moves)
        return float(moment)
