// The curves that follow the hand: sliders and figure in one component, formulas generated from Python.
// While a slider moves nothing reaches the server; the values go there on release.

const INSTANCES = new WeakMap();

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let instance = INSTANCES.get(parentElement);
  if (!instance) {
    instance = new CurveLab(parentElement, (values) => setStateValue("values", values));
    INSTANCES.set(parentElement, instance);
  }
  instance.update(data);
  return () => { instance.close(); INSTANCES.delete(parentElement); };
}

class CurveLab {
  constructor(parent, send) {
    this.send = debounce(150, send);
    this.host = el("div", { class: "lab" });
    this.figure = el("div", { class: "lab-figure", role: "img" });
    this.tools = el("div", { class: "lab-tools" });
    this.readout = el("div", { class: "lab-readout" });
    this.panel = el("div", { class: "lab-panel" });
    this.host.append(el("div", { class: "lab-main" }, this.figure, this.tools, this.readout), this.panel);
    parent.appendChild(this.host);
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.host);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.onScheme = () => this.draw();
    this.scheme.addEventListener("change", this.onScheme);
    this.frame = 0;
  }

  close() {
    this.observer.disconnect();
    this.scheme.removeEventListener("change", this.onScheme);
    cancelAnimationFrame(this.frame);
    if (window.Plotly) window.Plotly.purge(this.figure);
    this.host.remove();
  }

  async update(data) {
    const signature = JSON.stringify(data);
    if (signature === this.signature) return;
    const before = this.data;
    this.signature = signature;
    this.data = data;
    // A rerun that was under way when the hand moved on brings older values: the hand is right.
    const moving = performance.now() - (this.touched ?? -1e9) < 1000;
    this.values = { ...structuredClone(data.values), ...(moving ? this.values : {}) };
    this.readAt = this.values.read_at;
    const range = JSON.stringify(data.axis);
    if (range !== this.range) { this.range = range; this.visible = null; }
    const shape = JSON.stringify([data.objectives, data.rows, data.labels]);
    if (shape !== this.shape) { this.shape = shape; this.buildPanel(); this.buildTools(); }
    else this.showValues();
    this.figure.style.minHeight = `${this.layoutNow().height}px`;
    this.Plotly ||= await loadPlotly(data.plotly);
    if (!before || this.data === data) this.draw();
    this.host.dataset.ready = "true";
  }

  // ── controls ────────────────────────────────────────────────────────────────────────────────
  buildPanel() {
    this.inputs = [];
    this.panel.replaceChildren();
    for (const objective of this.data.objectives) {
      if (!objective.knobs.length && this.data.compact) continue;
      const group = el("fieldset", { class: "lab-group" });
      const swatch = el("span", { class: "lab-swatch", "aria-hidden": "true" });
      swatch.style.borderTop = `3px ${cssDash(objective.dash)} ${objective.color}`;
      group.append(el("legend", {}, swatch, objective.label));
      for (const knob of objective.knobs) group.append(this.knobRow(objective, knob));
      if (!objective.knobs.length) group.append(el("p", { class: "lab-note" }, this.data.labels.no_knobs));
      this.panel.append(group);
    }
    if (this.data.readout) this.panel.append(this.readGroup());
    if (!this.data.compact) {
      this.panel.append(el("button", { class: "lab-button", type: "button", onclick: () => this.reset() }, this.data.labels.reset));
    }
  }

  knobRow(objective, knob) {
    const get = () => this.values[objective.name][knob.name];
    const set = (value) => { this.values[objective.name][knob.name] = value; };
    const test = `knob-${objective.name}-${knob.name}`;
    return this.sliderRow(`${knob.symbol}`, knob.name, `${objective.label} ${knob.name}`, knob.help, test, knob, get, set, objective);
  }

  readGroup() {
    const spec = { lo: 1e-3, hi: 1e3, ui_lo: this.data.axis.lo, ui_hi: this.data.axis.hi, scale: this.data.axis.kind, step: 0.01 };
    const group = el("fieldset", { class: "lab-group" }, el("legend", {}, this.data.labels.read_out));
    const set = (value) => { this.readAt = value; this.values.read_at = value; };
    group.append(this.sliderRow("r", this.data.labels.read_at, this.data.labels.read_at, this.data.labels.read_help, "read-at", spec, () => this.readAt, set));
    return group;
  }

  // One slider and one number box on the same value; the slider is even in log where the knob says so.
  sliderRow(symbol, name, label, help, test, spec, get, set, objective) {
    const log = spec.scale === "log";
    const to = log ? (v) => Math.log10(Math.max(v, 1e-12)) : (v) => v;
    const from = log ? (x) => 10 ** x : (x) => x;
    const low = to(spec.ui_lo), high = to(spec.ui_hi);
    const neat = (v) => Number(v.toPrecision(log ? 3 : 6));
    const range = el("input", { type: "range", min: low, max: high, step: log ? (high - low) / 400 : spec.step, "aria-label": label, "data-testid": test });
    const box = el("input", { type: "number", step: log ? "any" : spec.step, "aria-label": `${label}, ${this.data.labels.number}` });
    const sync = () => {
      range.value = to(get());
      range.setAttribute("aria-valuetext", `${name} ${show(get())}`);
      if (document.activeElement !== box) box.value = String(neat(get()));
    };
    range.addEventListener("input", () => {
      set(Math.min(spec.hi, Math.max(spec.lo, neat(from(Number(range.value))))));
      sync();
      this.schedule(objective);
    });
    range.addEventListener("change", () => this.released());
    box.addEventListener("input", () => {
      const value = Number(box.value);
      const good = box.value !== "" && Number.isFinite(value) && value >= spec.lo && value <= spec.hi;
      box.setCustomValidity(good ? "" : this.data.labels.takes.replace("{lo}", spec.lo).replace("{hi}", spec.hi));
      if (!good) { box.reportValidity(); return; }
      set(value);
      sync();
      this.schedule(objective);
    });
    box.addEventListener("change", () => { box.setCustomValidity(""); box.value = String(neat(get())); this.released(); });
    this.inputs.push(sync);
    sync();
    return el("label", { class: "lab-row", title: help }, el("span", { class: "lab-name" }, el("b", {}, symbol), el("small", {}, name)), range, box);
  }

  showValues() { for (const sync of this.inputs) sync(); }

  reset() {
    for (const objective of this.data.objectives) {
      for (const knob of objective.knobs) this.values[objective.name][knob.name] = knob.default;
    }
    this.showValues();
    this.draw();
    this.released();
  }

  released() { this.send(structuredClone(this.values)); }

  buildTools() {
    this.tools.replaceChildren();
    if (this.data.compact) return;
    const words = this.data.labels;
    const button = (text, action, test) => el("button", { class: "lab-button", type: "button", onclick: action, "data-testid": test }, text);
    const picture = (format) => () => savePicture(this.Plotly, this.traces, this.layout, format, "sapo-viz-curves", themeOf(this.host));
    const link = button(words.link, async () => {
      // The address is the whole state; it follows a moment after the slider is let go.
      await navigator.clipboard?.writeText(window.location.href);
      link.textContent = words.copied;
      setTimeout(() => { link.textContent = words.link; }, 1500);
    }, "copy-link");
    this.tools.append(link, button("PNG", picture("png"), "save-png"), button("SVG", picture("svg"), "save-svg"),
      button("CSV", () => saveText("sapo-viz-curves.csv", csvOf(this.table()), "text/csv"), "save-csv"));
  }

  // ── drawing ─────────────────────────────────────────────────────────────────────────────────
  // A change under the hand: once a frame, the fast way; when it rests, the whole picture with its hover.
  schedule(objective) {
    this.touched = performance.now();
    (this.changed ||= new Set()).add(objective);
    this.settle ||= debounce(200, () => this.draw());
    this.settle();
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.follow() || this.draw(); });
  }

  follow() {
    const changed = this.changed;
    this.changed = null;
    if (!this.traces || !changed) return false;
    const grid = this.grid(), moved = [];
    for (const item of this.sampled) {
      if (!changed.has(item.objective)) continue;
      item.points = this.sample(item.objective, item.sign, grid);
      for (const row of this.data.rows) moved.push({ index: item.first + this.data.rows.indexOf(row), ...this.line(item, row) });
    }
    // A curve that leaves its panel needs a new axis; one that shrinks can wait until the hand rests.
    for (const [axis, [low, high]] of Object.entries(this.extents())) {
      const [bottom, top] = this.drawnRanges[axis];
      if (low < bottom || high > top) return false;
    }
    if (!movePaths(this.figure, moved) || !moveShapes(this.figure, this.readShapes, this.readAt)) return false;
    this.afterDrawing();
    return true;
  }

  resized() {
    const narrow = this.isNarrow();
    if (this.layout && (narrow !== this.drawnNarrow || Math.abs(this.figure.clientWidth - this.layout.width) > 1)) this.draw();
  }

  isNarrow() { return this.host.clientWidth < 700; }

  layoutNow() { return this.isNarrow() ? this.data.layouts.narrow : this.data.layouts.wide; }

  // Ratios at which curves are taken: the whole axis, and finely what the zoom shows.
  grid() {
    const { kind, lo, hi } = this.data.axis;
    const ends = [[lo, hi]];
    if (this.visible) ends.push([Math.max(this.visible[0], 1e-6), this.visible[1]]);
    const grid = [];
    for (const [a, b] of ends) {
      for (let i = 0; i <= 120; i++) {
        const t = i / 120;
        grid.push(kind === "log" ? a * (b / a) ** t : a + (b - a) * t);
      }
    }
    return grid.sort((x, y) => x - y);
  }

  // [r, J, w, c] along the grid; a jump (a clip) is closed in on, so that it stands upright in the picture.
  sample(objective, sign, grid) {
    const f = FORMULAS[objective.name], knobs = this.values[objective.name];
    const at = (r) => { const [J, c] = f(Math.log(r), sign, knobs); return [r, J, c / r, c]; };
    const points = [];
    let last;
    for (const r of grid) {
      const point = at(Math.max(r, 1e-6));
      if (last && Math.abs(point[2] - last[2]) > 0.1) {
        let [a, b] = [last, point];
        for (let i = 0; i < 30 && b[0] - a[0] > 1e-9; i++) {
          const middle = at((a[0] + b[0]) / 2);
          if (Math.abs(middle[2] - a[2]) > Math.abs(middle[2] - b[2])) b = middle; else a = middle;
        }
        points.push(a, b);
      }
      points.push(point);
      last = point;
    }
    return points;
  }

  line({ points }, row) {
    const column = { surrogate: 1, weight: 2, coefficient: 3 }[row];
    return { x: points.map((p) => p[0]), y: points.map((p) => p[column]) };
  }

  // The surrogate has no natural scale: what its curves span, axis -> [low, high].
  extents() {
    const spans = {};
    if (!this.data.rows.includes("surrogate")) return spans;
    for (const sign of this.data.signs) {
      let low = Infinity, high = -Infinity;
      for (const item of this.sampled) {
        if (item.sign !== sign) continue;
        for (const [r, J] of item.points) {
          // log π → −∞ as r → 0 (CISPO): that end would flatten all other curves.
          if (r < 0.05) continue;
          if (J < low) low = J;
          if (J > high) high = J;
        }
      }
      spans[this.data.axes[`surrogate:${sign}`].y] = [low, high];
    }
    return spans;
  }

  draw() {
    if (!this.Plotly || !this.data) return;
    this.changed = null;
    const theme = themeOf(this.host);
    const layout = applyTheme(structuredClone(this.layoutNow()), theme);
    const grid = this.grid();
    this.sampled = [];
    this.traces = [];
    for (const objective of this.data.objectives) {
      for (const sign of this.data.signs) {
        const item = { objective, sign, points: this.sample(objective, sign, grid), first: this.traces.length };
        this.sampled.push(item);
        for (const row of this.data.rows) {
          const axis = this.data.axes[`${row}:${sign}`];
          this.traces.push({
            type: "scatter", mode: "lines", name: objective.label, legendgroup: objective.name,
            showlegend: row === this.data.rows[0] && sign === this.data.signs[0],
            ...this.line(item, row), xaxis: axis.x, yaxis: axis.y,
            line: { color: objective.color, dash: objective.dash, width: 2.2, simplify: false }, hovertemplate: "%{y:.4g}",
          });
        }
      }
    }
    this.drawnRanges = {};
    for (const [axis, [low, high]] of Object.entries(this.extents())) {
      this.drawnRanges[axis] = layout[axis.replace("y", "yaxis")].range = calmRange(low, high);
    }
    layout.width = this.figure.clientWidth;
    layout.shapes = (layout.shapes || []).map((s) => ({ ...s, opacity: 0.35, line: { ...s.line, color: theme.text } }));
    this.readShapes = [];
    if (this.data.readout) {
      for (const axis of Object.values(this.data.axes)) {
        this.readShapes.push(layout.shapes.length);
        layout.shapes.push({ type: "line", xref: axis.x, yref: `${axis.y} domain`, x0: this.readAt, x1: this.readAt, y0: 0, y1: 1, line: { color: theme.text, width: 1, dash: "dot" } });
      }
    }
    // What the reader zoomed to stays; `uirevision` changes only with the axis.
    layout.uirevision = this.range;
    this.layout = layout;
    this.drawnNarrow = this.isNarrow();
    const bar = this.data.compact ? false : "hover";
    this.Plotly.react(this.figure, this.traces, layout, { displaylogo: false, responsive: false, displayModeBar: bar, modeBarButtonsToRemove: ["select2d", "lasso2d", "toImage"] });
    if (!this.listening) { this.listen(); this.listening = true; }
    this.afterDrawing();
  }

  afterDrawing() {
    this.describe();
    this.fillReadout();
    this.repaints = (this.repaints || 0) + 1;
    this.host.dataset.repaints = this.repaints;
  }

  listen() {
    const zoomed = debounce(60, () => {
      const axis = this.figure._fullLayout?.xaxis;
      if (!axis) return;
      const range = axis.type === "log" ? axis.range.map((v) => 10 ** v) : axis.range;
      const whole = axis.autorange || (Math.abs(range[0] - this.data.axis.lo) < 1e-9 && Math.abs(range[1] - this.data.axis.hi) < 1e-9);
      const key = whole ? null : range.join();
      if (key === (this.visible?.join() ?? null)) return;
      this.visible = whole ? null : range;
      this.draw();
    });
    this.figure.on("plotly_relayout", zoomed);
    this.figure.on("plotly_click", (event) => {
      if (!this.data.readout || !event.points.length) return;
      this.readAt = this.values.read_at = Number(event.points[0].x.toPrecision(4));
      this.showValues();
      this.draw();
      this.released();
    });
  }

  knobText(objective) {
    return objective.knobs.map((knob) => `${knob.symbol} ${show(this.values[objective.name][knob.name])}`).join(", ");
  }

  describe() {
    const who = this.data.objectives.map((o) => { const k = this.knobText(o); return k ? `${o.label} (${k})` : o.label; });
    this.figure.setAttribute("aria-label", `${this.data.alt} ${who.join("; ")}.`);
  }

  fillReadout() {
    if (!this.data.readout) return;
    const words = this.data.labels;
    const head = [words.objective];
    for (const sign of this.data.signs) for (const name of ["J", "w", "r·w"]) head.push(`${name} (A${sign > 0 ? ">" : "<"}0)`);
    const table = el("table", { "data-testid": "readout" }, el("caption", {}, `${words.at} r = ${show(this.readAt)}`));
    table.append(el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))));
    const body = el("tbody");
    for (const objective of this.data.objectives) {
      const row = el("tr", {}, el("th", { scope: "row" }, objective.label));
      for (const sign of this.data.signs) {
        const [J, c] = FORMULAS[objective.name](Math.log(this.readAt), sign, this.values[objective.name]);
        row.append(...[J, c / this.readAt, c].map((value) => el("td", {}, show(value))));
      }
      body.append(row);
    }
    table.append(body);
    this.readout.replaceChildren(table);
  }

  // One row a point: what the figure shows, with the knobs it was made with.
  table() {
    const rows = [["objective", "knobs", "advantage", "ratio", "surrogate", "weight", "coefficient"]];
    for (const { objective, sign, points } of this.sampled) {
      const knobs = Object.entries(this.values[objective.name]).map(([k, v]) => `${k}=${v}`).join(" ");
      for (const [r, J, w, c] of points) rows.push([objective.name, knobs, sign, r, J, w, c]);
    }
    return rows;
  }
}

function cssDash(dash) { return dash === "solid" ? "solid" : dash === "dot" ? "dotted" : "dashed"; }
