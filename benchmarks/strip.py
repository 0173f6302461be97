"""Do 50,000 tokens follow the hand? Input → repaint on the token strip, and the bytes that one sequence sends."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import Row, Section, beside, occupied
from scripts.browser import chromium, serving, settle

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIZES = (10_000, 50_000)
STEPS = 100
PAGE = "/tokens?source=file&objectives=sapo,grpo,gspo"

# As in drag.py: the message is handled after the frame of this input was painted. The tokens or their bars must
# look another way after each input, or an empty frame would be measured.
INPUT_TO_PAINT = """async ([kind, steps]) => {
  const look = () => document.querySelector('.tok').dataset.show
    + [...document.querySelectorAll('.tok-cell')].map((cell) => cell.style.backgroundColor).join()
    + [...document.querySelectorAll('.tok-bars path')].map((path) => path.getAttribute('d')).join();
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => done(performance.now());
    channel.port2.postMessage(0);
  }));
  const press = (ids) => (i) => document.querySelector(`[data-testid="${ids[i % ids.length]}"]`).click();
  const slider = document.querySelector('[data-testid="knob-sapo-tau_pos"]');
  const low = Number(slider.min), high = Number(slider.max);
  const act = {
    knob: (i) => {
      slider.value = low + (high - low) * (0.5 + 0.4 * Math.sin(i / 3));
      slider.dispatchEvent(new Event('input', { bubbles: true }));
    },
    show: press(['show-coefficient', 'show-ratio', 'show-change', 'show-weight']),
    view: press(['view-sapo', 'view-grpo', 'view-gspo', 'view-compare']),
  }[kind];
  const samples = [];
  let still = 0;
  for (let i = 0; i < steps; i++) {
    const before = look();
    const began = performance.now();
    act(i);
    samples.push(await painted() - began);
    if (look() === before) still += 1;
  }
  return { samples, still };
}"""


def measure() -> Section:
    rows, notes = _measured()
    with occupied():
        busy, _ = _measured()
    return Section(
        "Token strip: input → repaint",
        "One sequence as running text, three objectives with a bar each under every token, at 1440 px, Chromium "
        "without GPU. Input event → end of the frame that "
        f"shows it, {STEPS} inputs each, one after the other: τ₊ of SAPO, what is coloured (w, c, r, z in turn), which "
        "objective is shown (each alone and all compared in turn). Numbers and shares are computed for all "
        "tokens; the lines in sight are in the document. *Busy* is the same beside one process that keeps a core "
        "occupied.",
        beside(rows, busy),
        notes,
    )


def _measured() -> tuple[list[Row], list[str]]:
    rows, notes = [], []
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server, chromium() as browser:
        for size in SIZES:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            received: list[int] = []
            page.on("websocket", lambda socket, into=received: socket.on("framereceived", lambda f: _note(f, into)))
            page.goto(server.url + PAGE)
            settle(page)
            _open(page, size)
            sent = max(received)
            still = 0
            for kind, what in (("knob", "knob"), ("show", "what is coloured"), ("view", "objective")):
                page.wait_for_timeout(1000)
                result = page.evaluate(INPUT_TO_PAINT, [kind, STEPS])
                rows.append(Row(f"{size:,} tokens, {what}: input → repaint", "ms", result["samples"], digits=1))
                still += result["still"]
            notes.append(
                f"{size:,} tokens: the message that holds the sequence is {sent / 1e3:,.0f} kB; "
                f"inputs after which no token looked another way: {still} of {3 * STEPS}."
            )
            page.close()
    return rows, notes


def _note(frame: Any, into: list[int]) -> None:
    """The size of a message that holds the strip's data, known by its key (file, sequence, part)."""
    if isinstance(frame, bytes) and b'"key":"long.jsonl:0:0' in frame:
        into.append(len(frame))


def _open(page: Page, size: int) -> None:
    files = [{"name": "long.jsonl", "mimeType": "application/octet-stream", "buffer": _rollout(size)}]
    page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    page.wait_for_selector(".tok[data-ready=true]", timeout=60_000)
    settle(page)


def _rollout(size: int) -> bytes:
    """A sequence with the texts, ids and log-probs of a language model's vocabulary in mind: 6,000 different tokens."""
    rng = random.Random(0)
    words = [("" if k % 3 else " ") + "".join(rng.choices("etaoinshrdlu", k=rng.randint(1, 8))) for k in range(6000)]
    ids = [min(5999, int(rng.paretovariate(0.7))) for _ in range(size)]
    old = [-rng.expovariate(1) - 0.05 for _ in ids]
    new = [min(0.0, value + rng.gauss(0, 0.3)) for value in old]
    item = {"tokens": [words[i] for i in ids], "token_ids": ids, "logprobs": new, "old_logprobs": old, "advantage": 1.0}
    return json.dumps(item).encode() + b"\n"
