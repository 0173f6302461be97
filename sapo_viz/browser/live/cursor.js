// One cursor in all panels: the hovered step, or one that is held by a click, a tap, or the arrow keys. A step that
// is held offers its tokens: the nearest snapshot of each run.

import { el } from "../shared/dom.js";
import { nearestOf } from "./math.js";
import { lineOf } from "./traces.js";

export class LiveCursor {
  constructor(lab) {
    this.lab = lab;
    this.step = undefined; // where it is
    this.held = false;
    this.host = el("div", { class: "live-pick", role: "status", "data-testid": "pick" });
    this.host.hidden = true;
  }

  listen(panel) {
    const { plot } = panel;
    plot.tabIndex = 0;
    const at = (event, then) => {
      const [point] = event.points ?? [];
      if (point) then(this.stepAt(point.x)); // none: the hover is older than the lines
    };
    plot.on("plotly_hover", (event) => {
      if (!this.following && !this.held) at(event, (step) => this.move(step, panel));
    });
    plot.on("plotly_unhover", () => {
      if (!this.following && !this.held) this.clear();
    });
    plot.on("plotly_click", (event) => at(event, (step) => this.hold(step)));
    plot.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const steps = this.steps();
    const by = { ArrowRight: 1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (event.key === "Escape") this.clear();
    else if (!steps.length) return;
    else if (event.key === "Enter" && this.step !== undefined) this.hold(this.step);
    else if (event.key === "Home") this.hold(steps[0]);
    else if (event.key === "End") this.hold(steps.at(-1));
    else if (by) {
      const here = this.step === undefined ? steps.length - 1 - by : steps.indexOf(nearestOf(steps, this.step));
      this.hold(steps[Math.min(steps.length - 1, Math.max(0, here + by))]);
    } else return;
    event.preventDefault();
  }

  steps() {
    return [...new Set(this.lab.drawnRuns().flatMap((run) => run.steps.map((event) => event.step)))].sort(
      (a, b) => a - b,
    );
  }

  // From what stands on the x axis to a step: that of the point which is nearest there.
  stepAt(x) {
    if (this.lab.view.x === "step") return Math.round(x);
    let best;
    let step;
    for (const run of this.lab.drawnRuns()) {
      const line = lineOf(run, "reward", this.lab.view.x);
      line.x.forEach((value, i) => {
        if (best === undefined || Math.abs(value - x) < best) [best, step] = [Math.abs(value - x), line.step[i]];
      });
    }
    return step;
  }

  xOf(step) {
    if (this.lab.view.x === "step") return step;
    const xs = this.lab
      .drawnRuns()
      .map((run) => {
        const line = lineOf(run, "reward", this.lab.view.x);
        return line.x[line.step.indexOf(step)];
      })
      .filter(Number.isFinite);
    return xs.length ? xs.reduce((a, b) => a + b) / xs.length : undefined;
  }

  move(step, from) {
    this.step = step;
    this.show(from);
    this.lab.legend.fill(this.lab.groups.all());
  }

  hold(step) {
    if (step === undefined) return;
    this.held = true;
    this.move(step);
    this.offer();
  }

  clear() {
    if (this.step === undefined) return;
    this.step = undefined;
    this.held = false;
    this.host.hidden = true;
    this.following = true;
    for (const panel of this.lab.panels.visible()) if (panel.listening) this.lab.Plotly.Fx.unhover(panel.plot);
    this.following = false;
    this.lab.legend.fill(this.lab.groups.all());
  }

  show(from) {
    const { Plotly } = this.lab;
    const xval = this.step === undefined ? undefined : this.xOf(this.step);
    if (xval === undefined) return;
    this.following = true; // the panels' own hover events are not to come back here
    for (const panel of this.lab.panels.visible()) {
      if (panel === from || panel.spec.against || !panel.listening || !panel.traces.some((trace) => trace.x.length))
        continue;
      Plotly.Fx.hover(panel.plot, { xval }, "xy");
    }
    this.following = false;
  }

  offer() {
    const { words } = this.lab;
    const runs = this.lab.drawnRuns().filter((run) => run.snapshots.length);
    const links = runs.slice(0, 8).map((run) => {
      const near = nearestOf(run.snapshots, this.step);
      return el(
        "a",
        { class: "part-button", href: tokensAddress(run.id, near), "data-testid": "pick-tokens" },
        `${run.about.title}, ${words.step} ${near}`,
      );
    });
    const close = el(
      "button",
      { class: "part-button", type: "button", onclick: () => this.clear(), "aria-label": words.close },
      "×",
    );
    this.host.replaceChildren(
      el("strong", {}, `${words.step} ${this.step}`),
      links.length ? words.pick : words.pick_none,
      ...links,
      close,
    );
    this.host.hidden = false;
  }
}

export function tokensAddress(id, step) {
  return `tokens?run=${encodeURIComponent(id)}&step=${step}`;
}
