// The curves that move with the sliders: sliders and figure in one component, formulas generated from Python.
// While a slider moves nothing reaches the server; the values go there on release.

import { FORMULAS } from "../formulas.js";
import { choiceOf, correctionWeight } from "../shared/correction_weight.js";
import { el } from "../shared/dom.js";
import { csvOf, saveText } from "../shared/download.js";
import { mounted } from "../shared/mounted.js";
import { show } from "../shared/numbers.js";
import { unpack } from "../shared/packed.js";
import { button } from "../shared/parts.js";
import { loadPlotly, savePicture } from "../shared/plotly.js";
import { controlsBeside, pageOf, roomBelow } from "../shared/room.js";
import { applyTheme, themeOf } from "../shared/theme.js";
import { debounce } from "../shared/timing.js";
import { linesApart } from "./apart.js";
import { densityLine } from "./density.js";
import { firstPaint } from "./first_paint.js";
import { fitted } from "./fitted.js";
import { Legend } from "./legend.js";
import { Panel } from "./panel.js";
import { calmRange, movePaths, moveShapes } from "./paths.js";
import { ratioGrid, samplePoints } from "./points.js";
import { readoutTable, showTable } from "./readout_table.js";
import { gateFacts, keptShare, tokensAt } from "./readouts.js";
import { curveTraces, densityTraces, lineOf, readLines, surrogateExtents, xy } from "./traces.js";
import "./curves.css";

class CurveLab {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    /** @type {Send} */
    this.setStateValue = () => {};
    this.send = debounce(150, (/** @type {CurvesHand["values"]} */ values) => this.setStateValue("values", values));
    this.host = el("div", { class: "lab" });
    /** @type {any} Plotly makes it its own: `on`, `_fullLayout` */
    this.figure = el("div", { class: "lab-figure", role: "figure" });
    this.tools = el("div", { class: "lab-tools" });
    this.readout = el("div", { class: "lab-readout" });
    /** @type {CurvesData} from Python, before the first draw */
    this.data = /** @type {any} */ (undefined);
    /** @type {CurvesHand["values"]} */
    this.values = {};
    this.readAt = 1;
    /** @type {{ key: string | number; of: unknown; tokens: Tokens } | undefined} */
    this.drawnFor = undefined;
    /** @type {Sampled[]} */
    this.sampled = [];
    /** @type {CurveObjective[][]} those of one entry are drawn once */
    this.lines = [];
    /** @type {Record<string, any>[] | undefined} */
    this.traces = undefined;
    /** @type {number[]} places among the traces */
    this.densities = [];
    /** @type {number[]} places among the layout's shapes */
    this.readShapes = [];
    /** @type {Record<string, Point>} */
    this.drawnRanges = {};
    /** @type {any} */
    this.layout = undefined;
    /** @type {number[] | null} what the reader zoomed to */
    this.visible = null;
    /** @type {Set<CurveObjective | "tokens" | undefined> | null} */
    this.changed = null;
    /** @type {any} plotly.js, once it is here; null where it cannot be loaded */
    this.Plotly = undefined;
    this.signature = this.shape = this.range = "";
    this.touched = -1e9;
    this.repaints = 0;
    this.panel = new Panel(this);
    this.legend = new Legend(() => this.draw());
    this.host.append(
      el("div", { class: "lab-main" }, this.legend.host, this.figure, this.tools, this.readout),
      this.panel.host,
    );
    parent.appendChild(this.host);
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.host);
    this.observer.observe(pageOf(this.host)); // what is above it changes
    this.onWindow = debounce(60, () => this.data && this.draw()); // presenting begins or ends, or its window changes
    addEventListener("resize", this.onWindow);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.onScheme = () => this.draw();
    this.scheme.addEventListener("change", this.onScheme);
    this.frame = 0;
    // Not while a hand holds a knob: on a busy machine moves come late, and the whole picture between two of them would
    // make the next come later still.
    this.held = false;
    this.settle = debounce(200, () => this.held || this.draw());
    this.panel.host.addEventListener("pointerdown", () => {
      this.held = true;
    });
    this.onRelease = () => {
      if (this.held) this.settle();
      this.held = false;
    };
    for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, this.onRelease);
    /** @type {Map<string, GateFacts & { key: string }>} objective and sign -> its facts */
    this.known = new Map();
  }

  close() {
    this.observer.disconnect();
    removeEventListener("resize", this.onWindow);
    this.scheme.removeEventListener("change", this.onScheme);
    for (const end of ["pointerup", "pointercancel", "blur"]) removeEventListener(end, this.onRelease);
    cancelAnimationFrame(this.frame);
    if (window.Plotly) window.Plotly.purge(this.figure);
    this.host.remove();
  }

  /** @param {CurvesData} data */
  async update(data) {
    const signature = JSON.stringify(data);
    if (signature === this.signature) return;
    const before = this.data;
    this.signature = signature;
    this.data = data;
    // A rerun that was under way when the hand moved on brings older values: the hand is right.
    const moving = performance.now() - this.touched < 1000;
    this.values = { ...structuredClone(data.values), ...(moving ? this.values : {}) };
    this.readAt = this.values.read_at;
    const range = JSON.stringify(data.axis);
    if (range !== this.range) {
      this.range = range;
      this.visible = null;
    }
    const shape = JSON.stringify([data.objectives, data.rows, data.labels, data.distribution?.label]);
    if (shape !== this.shape) {
      this.shape = shape;
      this.panel.build(data);
      this.buildTools();
    } else this.panel.sync();
    this.figure.style.minHeight = `${this.layoutNow().height}px`; // its place, before it is drawn
    if (!this.Plotly) {
      this.draw(); // at once, without Plotly, and the numbers a frame later
      await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
      this.painted = true;
      this.fillReadout();
      this.Plotly = await loadPlotly(data.plotly).catch(() => null); // the picture stays as it is, without hover
      if (!this.Plotly) return;
    }
    if (!before || this.data === data) this.draw();
    this.host.dataset.ready = "true";
  }

  // ── what the controls ask for ───────────────────────────────────────────────────────────────
  reset() {
    for (const objective of this.data.objectives) {
      for (const knob of objective.knobs) this.values[objective.name][knob.name] = knob.default;
    }
    if (this.data.correction) this.values.correction.choice = this.data.correction.off;
    this.panel.sync();
    this.draw();
    this.released();
  }

  released() {
    this.send(structuredClone(this.values));
  }

  buildTools() {
    this.tools.replaceChildren();
    if (this.data.compact) return;
    /** @type {(format: string) => () => void} */
    const picture = (format) => () =>
      savePicture(
        this.Plotly,
        this.traces ?? [],
        withLegend(this.layout),
        format,
        "sapo-viz-curves",
        themeOf(this.host),
      );
    this.tools.append(
      button("PNG", picture("png"), "save-png"),
      button("SVG", picture("svg"), "save-svg"),
      button("CSV", () => saveText("sapo-viz-curves.csv", csvOf(this.table()), "text/csv"), "save-csv"),
    );
  }

  // ── drawing ─────────────────────────────────────────────────────────────────────────────────
  // A change while a slider moves: once per frame, the fast way; when it rests, the whole picture with its hover.
  /** @param {CurveObjective | "tokens"} [objective] */
  schedule(objective) {
    this.touched = performance.now();
    (this.changed ||= new Set()).add(objective);
    this.settle();
    if (!this.frame)
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.follow() || this.draw();
      });
  }

  follow() {
    const changed = this.changed;
    this.changed = null;
    if (!this.Plotly || !this.traces || !changed) return false;
    // One that was drawn for several, or by another, is about to have a line of its own.
    if (this.lines.some((line) => line.length > 1 && line.some((objective) => changed.has(objective)))) return false;
    const grid = ratioGrid(this.data.axis, this.visible);
    const moved = [];
    for (const item of this.sampled) {
      if (!changed.has(item.objective) || this.legend.hides(item.objective)) continue;
      item.points = this.sample(item.objective, item.sign, grid);
      for (const row of this.data.rows)
        moved.push({ index: item.first + this.data.rows.indexOf(row), ...lineOf(item.points, row) });
    }
    // A curve that leaves its panel needs a new axis; one that shrinks can wait until the hand rests.
    for (const [axis, [low, high]] of Object.entries(surrogateExtents(this.data, this.sampled))) {
      const [bottom, top] = this.drawnRanges[axis];
      if (low < bottom || high > top) return false;
    }
    if (changed.has("tokens"))
      for (const index of this.densities) moved.push({ index, ...xy(densityLine(this.tokens(), 0.5)) });
    if (!movePaths(this.figure, moved) || !moveShapes(this.figure, this.readShapes, this.readAt)) return false;
    this.afterDrawing();
    return true;
  }

  resized() {
    const narrow = this.isNarrow();
    if (
      !this.layout ||
      narrow !== this.drawnNarrow ||
      Math.abs(this.figure.clientWidth - this.layout.width) > 1 ||
      Math.abs(this.layoutNow().height - this.layout.height) > 1
    )
      this.draw();
  }

  isNarrow() {
    return this.host.clientWidth < (controlsBeside() ? 600 : 700);
  }

  // Presenting, with the controls away, the figure takes what is left of the window; else no more than that.
  layoutNow() {
    const layout = this.isNarrow() ? this.data.layouts.narrow : this.data.layouts.wide;
    if (this.isNarrow()) return layout;
    const room = roomBelow(this.figure);
    const presented = document.documentElement.dataset.present === "bare";
    return presented || room < layout.height ? fitted(layout, room, this.figure.clientWidth) : layout;
  }

  /** @type {(objective: CurveObjective, sign: number, grid: number[]) => number[][]} */
  sample(objective, sign, grid) {
    const points = samplePoints(FORMULAS[objective.name], sign, this.values[objective.name], this.old(objective), grid);
    const times = this.times();
    return times === 1 ? points : points.map(([r, J, w, c]) => [r, J * times, w * times, c * times]);
  }

  // What the correction for the sampler makes of the token that the curves are of: a constant, whatever its ratio.
  times() {
    const { correction } = this.data;
    if (!correction) return 1;
    const value = this.values.correction;
    return correctionWeight(choiceOf(correction, value), value, Math.log(this.values.rho ?? 1));
  }

  // Objectives that read log π itself are drawn for a token of this old probability; the others never look.
  /** @param {CurveObjective} objective */
  old(objective) {
    return objective.reads_logprobs ? Math.log(this.values.p_old ?? 0.3) : 0;
  }

  // Where the tokens are, worked out anew only when that has changed: `facts` compares by identity.
  /** @returns {Tokens} */
  tokens() {
    const spread = this.values.spread ?? 0.2;
    const { distribution } = this.data;
    const key = distribution?.z ? "file" : spread;
    let drawnFor = this.drawnFor;
    if (!drawnFor || drawnFor.key !== key || drawnFor.of !== distribution)
      this.drawnFor = drawnFor = { key, of: distribution, tokens: tokensAt(distribution ?? {}, spread) };
    return drawnFor.tokens;
  }

  draw() {
    // Without a width (the page is being left, or not laid out yet) there is nothing to draw on; see resized().
    if (!this.data || this.figure.clientWidth < 80) return;
    this.changed = null;
    const theme = themeOf(this.host);
    const layout = applyTheme(structuredClone(this.layoutNow()), theme);
    const grid = ratioGrid(this.data.axis, this.visible);
    this.sampled = this.data.objectives.flatMap((objective) =>
      this.data.signs.map((sign) => ({
        objective,
        sign,
        points: this.sample(objective, sign, grid),
        first: 0,
      })),
    );
    this.lines = linesApart(this.sampled);
    this.legend.show(this.lines, this.data.labels, Boolean(this.data.distribution));
    this.traces = curveTraces(this.data, this.sampled, this.lines, (objective) => this.legend.hides(objective), theme);
    this.densities = [];
    if (this.data.distribution)
      for (const trace of densityTraces(this.data, densityLine(this.tokens(), 0.5))) {
        this.densities.push(this.traces.length);
        this.traces.push(trace);
      }
    this.drawnRanges = {};
    for (const [axis, [low, high]] of Object.entries(surrogateExtents(this.data, this.sampled))) {
      const ahead = this.held ? (high - low) / 2 : 0; // a curve that outgrows its panel during a drag will go on
      this.drawnRanges[axis] = layout[axis.replace("y", "yaxis")].range = calmRange(low - ahead, high + ahead);
    }
    layout.width = this.figure.clientWidth;
    this.figure.style.minHeight = `${layout.height}px`;
    layout.shapes = (layout.shapes || []).map((/** @type {any} */ s) => ({
      ...s,
      opacity: 0.35,
      line: { ...s.line, color: theme.text },
    }));
    this.readShapes = [];
    if (this.data.readout)
      for (const shape of readLines(this.data.axes, this.readAt, theme)) {
        this.readShapes.push(layout.shapes.length);
        layout.shapes.push(shape);
      }
    // What the reader zoomed to stays; `uirevision` changes only with the axis.
    layout.uirevision = this.range;
    this.layout = layout;
    this.drawnNarrow = this.isNarrow();
    if (this.Plotly) this.plot(layout);
    else firstPaint(this.figure, layout, this.traces, theme, layout.width);
    this.afterDrawing();
  }

  /** @param {any} layout */
  plot(layout) {
    this.figure.querySelector(".first-paint")?.remove();
    // A finger on the figure scrolls the page; a mouse zooms.
    const touch = matchMedia("(pointer: coarse)").matches;
    const bar = this.data.compact || touch ? false : "hover";
    if (touch) for (const key of Object.keys(layout)) if (/^[xy]axis/.test(key)) layout[key].fixedrange = true;
    this.Plotly.react(this.figure, this.traces, layout, {
      ...this.data.config,
      responsive: false,
      displayModeBar: bar,
      modeBarButtonsToRemove: [...this.data.config.modeBarButtonsToRemove, "toImage"], // there is a button for it
    });
    if (!this.listening) {
      this.listen();
      this.listening = true;
    }
  }

  afterDrawing() {
    this.describe();
    this.fillReadout();
    this.repaints += 1;
    this.host.dataset.repaints = String(this.repaints);
  }

  listen() {
    const zoomed = debounce(60, () => {
      const axis = this.figure._fullLayout?.xaxis;
      if (!axis) return;
      const range = axis.type === "log" ? axis.range.map((/** @type {number} */ v) => 10 ** v) : axis.range;
      const whole =
        axis.autorange ||
        (Math.abs(range[0] - this.data.axis.lo) < 1e-9 && Math.abs(range[1] - this.data.axis.hi) < 1e-9);
      const key = whole ? null : range.join();
      if (key === (this.visible?.join() ?? null)) return;
      this.visible = whole ? null : range;
      this.draw();
    });
    this.figure.on("plotly_relayout", zoomed);
    this.figure.on("plotly_click", (/** @type {any} */ event) => {
      if (!this.data.readout || !event.points.length) return;
      this.readAt = this.values.read_at = Number(event.points[0].x.toPrecision(4));
      this.panel.sync();
      this.draw();
      this.released();
    });
  }

  // The correction beside the knobs of an objective, where one is chosen.
  /** @returns {[string, string | number][]} */
  correctionEntries() {
    const { correction, rho } = this.values;
    if (!this.data.correction || correction.choice === this.data.correction.off) return [];
    return [...Object.entries({ correction: correction.choice, low: correction.low, high: correction.high, rho })];
  }

  /** @param {CurveObjective} objective */
  knobText(objective) {
    return objective.knobs.map((knob) => `${knob.symbol} ${show(this.values[objective.name][knob.name])}`).join(", ");
  }

  describe() {
    const who = this.data.objectives.map((o) => {
      const k = this.knobText(o);
      return k ? `${o.label} (${k})` : o.label;
    });
    const corrected = this.correctionEntries().map(([name, value]) => `${name} ${value}`);
    this.figure.setAttribute(
      "aria-label",
      `${this.data.alt} ${[...who, corrected.join(", ")].filter(Boolean).join("; ")}.`,
    );
  }

  // Facts of one objective for one sign, kept until a knob of it moves.
  /** @type {(objective: CurveObjective, sign: number) => GateFacts} */
  facts(objective, sign) {
    const f = FORMULAS[objective.name];
    const knobs = this.values[objective.name];
    const old = this.old(objective);
    const key = JSON.stringify([knobs, old, sign]);
    let facts = this.known.get(objective.name + sign);
    if (facts?.key !== key) this.known.set(objective.name + sign, (facts = { key, ...gateFacts(f, knobs, old, sign) }));
    if (this.data.distribution && facts.tokens !== this.tokens()) {
      facts.tokens = this.tokens();
      facts.kept = keptShare(f, knobs, old, sign, facts.tokens);
    }
    return facts;
  }

  fillReadout() {
    if (!this.data.readout || !this.painted) return;
    /** @type {(objective: CurveObjective, sign: number) => GateFacts} */
    const facts = (objective, sign) => this.facts(objective, sign);
    /** @type {(objective: CurveObjective, sign: number) => [number, number]} */
    const at = (objective, sign) => {
      const old = this.old(objective);
      const [J, c] = FORMULAS[objective.name](Math.log(this.readAt), sign, this.values[objective.name], old);
      return [J * this.times(), c * this.times()];
    };
    showTable(this.readout, readoutTable(this.data, this.readAt, at, facts));
    this.panel.showMatch();
  }

  // One row a point: what the figure shows, with the knobs it was made with.
  table() {
    /** @type {unknown[][]} */
    const rows = [["objective", "knobs", "advantage", "ratio", "surrogate", "weight", "coefficient"]];
    for (const { objective, sign, points } of this.sampled) {
      const knobs = [...Object.entries(this.values[objective.name]), ...this.correctionEntries()]
        .map(([k, v]) => `${k}=${v}`)
        .join(" ");
      for (const [r, J, w, c] of points) rows.push([objective.name, knobs, sign, r, J, w, c]);
    }
    return rows;
  }
}

// A picture that is taken home brings its legend along; on the page it is above the figure.
/** @param {any} layout */
function withLegend(layout) {
  const above = 50;
  const { margin } = layout;
  return { ...layout, showlegend: true, height: layout.height + above, margin: { ...margin, t: margin.t + above } };
}

export default mounted(CurveLab, unpack);
