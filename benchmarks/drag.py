"""Do the curves follow the hand? Slider input → repaint on the curves page, and what a drag sends to the server."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import Row, Section
from scripts.browser import chromium, serving, settle

if TYPE_CHECKING:
    from playwright.sync_api import Page

KNOB = '[data-testid="knob-sapo-tau_pos"]'
STEPS = 300
# Six objectives, both signs, surrogate and weight: 24 curves, and where the tokens are.
PICTURE = "/curves?objectives=sapo,grpo,gspo,dapo,dual_clip,cispo"

# Input event → the frame that shows it: the message is handled after the frame of this input was painted.
# Every sample must have moved a line, or it would measure an empty frame.
INPUT_TO_PAINT = """async ([knob, steps]) => {
  const slider = document.querySelector(knob);
  const paths = () => [...document.querySelectorAll('.lab .main-svg path.js-line')];
  const lines = () => paths().map((path) => path.getAttribute('d')).join();
  const low = Number(slider.min), high = Number(slider.max);
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => done(performance.now());
    channel.port2.postMessage(0);
  }));
  const samples = [];
  let still = 0;
  for (let i = 0; i < steps; i++) {
    const before = lines();
    slider.value = low + (high - low) * (0.5 + 0.4 * Math.sin(i / 9));
    const began = performance.now();
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    samples.push(await painted() - began);
    if (lines() === before) still += 1;
  }
  return { samples, still };
}"""

# Frames in which a line moved, while a real mouse drags.
WATCH_FRAMES = """() => {
  window.sapoFrames = [];
  let last = null;
  const look = (now) => {
    const d = [...document.querySelectorAll('.lab .main-svg path.js-line')].map((p) => p.getAttribute('d')).join();
    if (d !== last) window.sapoFrames.push(now);
    last = d;
    window.sapoWatch = requestAnimationFrame(look);
  };
  window.sapoWatch = requestAnimationFrame(look);
}"""


def measure() -> Section:
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server, chromium() as browser:
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
        frames, gaps, sent = _drag(page, traffic)
        page.close()
    return Section(
        "Slider input → repaint while dragging",
        "24 curves (six objectives, both signs, surrogate and weight) at 1440 px, Chromium without GPU (it paints on "
        "the CPU). Input event → end of the "
        f"frame that shows it, {STEPS} inputs on τ₊, one after the other; then a real mouse drag of three seconds.",
        [
            Row("input → repaint", "ms", result["samples"], digits=1),
            Row("between repaints during a mouse drag", "ms", gaps, digits=1),
            Row("repaints a second during a mouse drag", "/s", frames),
        ],
        [
            f"Inputs after which no line had moved: {result['still']} of {STEPS}.",
            f"Requests and WebSocket frames during the drag, before release: {sent}.",
            "A native slider with `st.plotly_chart` shows nothing until release and follows 250–350 ms after it "
            "(measured for the design).",
        ],
    )


def _listen(socket: Any, traffic: list[str]) -> None:
    socket.on("framesent", lambda _: traffic.append("frame sent"))
    socket.on("framereceived", lambda _: traffic.append("frame received"))


def _drag(page: Page, traffic: list[str]) -> tuple[list[float], list[float], int]:
    """Repaints of each second, gaps between them in ms, and how much traffic there was before release."""
    box = page.locator(KNOB).bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.wait_for_timeout(700)  # what the press itself sets off is not the drag
    page.evaluate(WATCH_FRAMES)
    before = len(traffic)
    began = page.evaluate("performance.now()")
    step = 0
    while page.evaluate("performance.now()") - began < 3000:
        step += 1
        share = 0.5 + 0.4 * (((step * 2) % 200) / 100 - 1) * (1 if (step // 100) % 2 else -1)
        page.mouse.move(box["x"] + box["width"] * share, middle)
    page.evaluate("cancelAnimationFrame(window.sapoWatch)")
    sent = len(traffic) - before
    page.mouse.up()
    times = [time - began for time in page.evaluate("window.sapoFrames") if time >= began]
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    per_second = [float(sum(1 for time in times if second <= time / 1000 < second + 1)) for second in range(3)]
    return per_second, gaps, sent
