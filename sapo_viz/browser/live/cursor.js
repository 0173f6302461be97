// One cursor in all panels: the hovered step, or one that is held by a click, a tap, or the arrow keys. A step that
// is held offers its tokens: the nearest snapshot of each run.

import { el } from "../shared/dom.js";
import { linkTo } from "../shared/link_to.js";
import { isNumber, nearestOf } from "./math.js";
import { lineOf } from "./traces.js";

/** @type {Record<string, number>} steps that a key goes */
const BY = { ArrowRight: 1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };

const DOUBLE = 300; // ms that Plotly waits for a second click

export class LiveCursor {
  /** @param {LiveLab} lab */
  constructor(lab) {
    this.lab = lab;
    /** @type {number | undefined} where it is */
    this.step = undefined;
    this.following = false; // it moves the panels' hover, whose events are not to come back here
    this.held = false;
    this.host = el("div", { class: "live-pick", role: "status", "data-testid": "pick" });
    this.host.hidden = true;
  }

  /** @param {LivePanel} panel */
  listen(panel) {
    const { plot } = panel;
    plot.tabIndex = 0;
    /** @type {(event: any, then: (step: number | undefined) => void) => void} of Plotly's events */
    const at = (event, then) => {
      const [point] = event.points ?? [];
      if (point) then(this.stepAt(point.x)); // none: the hover is older than the lines
    };
    plot.on("plotly_hover", (/** @type {any} */ event) => {
      if (!this.following && !this.held) at(event, (step) => this.move(step, panel));
    });
    plot.on("plotly_unhover", () => {
      if (!this.following && !this.held) this.clear();
    });
    plot.on("plotly_click", (/** @type {any} */ event) => at(event, (step) => this.holdAfterClick(step)));
    plot.on("plotly_doubleclick", () => this.clear());
    plot.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.key(event));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const steps = this.steps();
    const by = BY[event.key];
    if (event.key === "Escape") this.clear();
    else if (!steps.length) return;
    else if (event.key === "Enter" && this.step !== undefined) this.hold(this.step);
    else if (event.key === "Home") this.hold(steps[0]);
    else if (event.key === "End") this.hold(steps.at(-1));
    else if (by) {
      const here =
        this.step === undefined ? steps.length - 1 - by : steps.indexOf(nearestOf(steps, this.step) ?? this.step);
      this.hold(steps[Math.min(steps.length - 1, Math.max(0, here + by))]);
    } else return;
    event.preventDefault();
  }

  steps() {
    return [...new Set(this.lab.drawnRuns().flatMap((run) => run.steps.map((event) => event.step)))].sort(
      (a, b) => a - b,
    );
  }

  // From what is on the x axis to a step: that of the point which is nearest there.
  /** @type {(x: number) => number | undefined} */
  stepAt(x) {
    if (this.lab.view.x === "step") return Math.round(x);
    let best = Infinity;
    let step;
    for (const run of this.lab.drawnRuns()) {
      const line = lineOf(run, "reward", this.lab.view.x);
      line.x.forEach((value, i) => {
        if (Math.abs(value - x) < best) [best, step] = [Math.abs(value - x), line.step[i]];
      });
    }
    return step;
  }

  /** @type {(step: number) => number | undefined} */
  xOf(step) {
    if (this.lab.view.x === "step") return step;
    const xs = this.lab
      .drawnRuns()
      .map((run) => {
        const line = lineOf(run, "reward", this.lab.view.x);
        return line.x[line.step.indexOf(step)];
      })
      .filter(isNumber);
    return xs.length ? xs.reduce((a, b) => a + b) / xs.length : undefined;
  }

  /** @type {(step: number | undefined, from?: LivePanel) => void} */
  move(step, from) {
    this.step = step;
    this.show(from);
    this.lab.legend.fill(this.lab.groups.all());
  }

  /** @param {number | undefined} step */
  hold(step) {
    if (step === undefined) return;
    this.held = true;
    this.move(step);
    this.offer(step);
  }

  // The offer pushes the panels down: not while a second click, which goes back to the whole, may be under way.
  /** @param {number | undefined} step */
  holdAfterClick(step) {
    if (step === undefined) return;
    this.held = true;
    this.move(step);
    clearTimeout(this.offering);
    this.offering = setTimeout(() => this.offer(step), this.host.hidden ? DOUBLE : 0);
  }

  clear() {
    clearTimeout(this.offering);
    if (this.step === undefined) return;
    this.step = undefined;
    this.held = false;
    this.host.hidden = true;
    this.following = true;
    for (const panel of this.lab.panels.visible()) if (panel.listening) this.lab.Plotly.Fx.unhover(panel.plot);
    this.following = false;
    this.lab.legend.fill(this.lab.groups.all());
  }

  /** @param {LivePanel} [from] whose own hover is there already */
  show(from) {
    const { Plotly } = this.lab;
    const xval = this.step === undefined ? undefined : this.xOf(this.step);
    if (xval === undefined) return;
    this.following = true;
    for (const panel of this.lab.panels.visible()) {
      if (panel === from || panel.spec.against || !panel.listening || !panel.traces.some((trace) => trace.x.length))
        continue;
      Plotly.Fx.hover(panel.plot, { xval }, "xy");
    }
    this.following = false;
  }

  /** @param {number} step */
  offer(step) {
    const { words } = this.lab;
    const runs = this.lab.drawnRuns().filter((run) => run.snapshots.length);
    const links = runs.slice(0, 8).map((run) => {
      const near = nearestOf(run.snapshots, step);
      return linkTo(
        tokensAddress(run.id, near),
        { class: "part-button", "data-testid": "pick-tokens" },
        `${run.about.title}, ${words.step} ${near}`,
      );
    });
    const close = el(
      "button",
      { class: "part-button", type: "button", onclick: () => this.clear(), "aria-label": words.close },
      "×",
    );
    this.host.replaceChildren(
      el("strong", {}, `${words.step} ${step}`),
      links.length ? words.pick : words.pick_none,
      ...links,
      close,
    );
    this.host.hidden = false;
  }
}

/** @type {(id: string, step: number | string | undefined) => string} */
export function tokensAddress(id, step) {
  return `tokens?run=${encodeURIComponent(id)}&step=${step}`;
}
