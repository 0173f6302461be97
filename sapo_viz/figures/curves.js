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
  instance.update(unpack(data));
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
    const shape = JSON.stringify([data.objectives, data.rows, data.labels, data.distribution?.label]);
    if (shape !== this.shape) { this.shape = shape; this.buildPanel(); this.buildTools(); }
    else this.showValues();
    this.figure.style.minHeight = `${this.layoutNow().height}px`;
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
    this.showMatch = null;
    if (this.data.readout) this.panel.append(this.readGroup());
    if (this.data.distribution) this.panel.append(this.tokensGroup());
    if (!this.data.compact) {
      this.panel.append(el("button", { class: "lab-button", type: "button", onclick: () => this.reset() }, this.data.labels.reset));
    }
  }

  knobRow(objective, knob) {
    return this.addRow(sliderRow({
      symbol: knob.symbol, name: knob.name, label: `${objective.label} ${knob.name}`, help: knob.help,
      test: `knob-${objective.name}-${knob.name}`, spec: knob, words: this.data.labels,
      get: () => this.values[objective.name][knob.name],
      set: (value) => { this.values[objective.name][knob.name] = value; },
      moved: () => this.schedule(objective), released: () => this.released(),
    }));
  }

  addRow(row) { this.inputs.push(row.sync); return row.node; }

  readGroup() {
    const spec = { lo: 1e-3, hi: 1e3, ui_lo: this.data.axis.lo, ui_hi: this.data.axis.hi, scale: this.data.axis.kind, step: 0.01 };
    const group = el("fieldset", { class: "lab-group" }, el("legend", {}, this.data.labels.read_out));
    group.append(this.addRow(sliderRow({
      symbol: "r", name: this.data.labels.read_at, label: this.data.labels.read_at, help: this.data.labels.read_help,
      test: "read-at", spec, words: this.data.labels, get: () => this.readAt,
      set: (value) => { this.readAt = value; this.values.read_at = value; },
      moved: () => this.schedule(), released: () => this.released(),
    })));
    if (this.data.objectives.some((objective) => objective.reads_logprobs)) {
      group.append(this.extraRow("π", "p_old", { lo: 1e-4, hi: 0.9999, ui_lo: 0.01, ui_hi: 0.99, scale: "linear", step: 0.01 }, () => {
        for (const objective of this.data.objectives) if (objective.reads_logprobs) this.schedule(objective);
      }));
    }
    return group;
  }

  extraRow(symbol, name, spec, moved) {
    const words = this.data.labels;
    return this.addRow(sliderRow({
      symbol, name: words[name], label: words[name], help: words[`${name}_help`], test: name.replace("_", "-"), spec, words,
      get: () => this.values[name], set: (value) => { this.values[name] = value; }, moved, released: () => this.released(),
    }));
  }

  // Where the tokens are, and the τ that keeps as much of them as an ε does.
  tokensGroup() {
    const words = this.data.labels;
    const group = el("fieldset", { class: "lab-group" }, el("legend", {}, words.tokens_here));
    if (this.data.distribution.z) group.append(el("p", { class: "lab-note" }, this.data.distribution.label));
    else group.append(this.extraRow("σ", "spread", { lo: 0.001, hi: 3, ui_lo: 0.01, ui_hi: 2, scale: "log", step: 0.01 }, () => this.schedule("tokens")));
    const sapo = this.data.objectives.find((o) => o.name === "sapo"), grpo = this.data.objectives.find((o) => o.name === "grpo");
    if (!sapo || !grpo) return group;
    const note = el("p", { class: "lab-note", "data-testid": "match", "aria-live": "polite" });
    this.showMatch = () => {
      const kept = (objective) => [1, -1].map((sign) => `${(100 * this.facts(objective, sign).kept).toFixed(1)} %`).join(" / ");
      note.textContent = words.match.replace("{sapo}", kept(sapo)).replace("{grpo}", kept(grpo));
    };
    const match = (to, from, names) => () => {
      const failed = [];
      for (const [sign, name] of names) {
        const spec = to.knobs.find((knob) => knob.name === name);
        const found = matchKnob(FORMULAS[to.name], this.values[to.name], name, spec, sign, this.tokens(), this.facts(from, sign).kept);
        if (found === null) failed.push(spec.symbol); else this.values[to.name][name] = found;
      }
      this.showValues();
      this.draw();
      this.released();
      if (failed.length) note.textContent = words.no_match.replace("{knobs}", failed.join(", "));
    };
    const button = (text, action, test) => el("button", { class: "lab-button", type: "button", onclick: action, "data-testid": test }, text);
    group.append(note, el("div", { class: "lab-tools" },
      button(words.tau_from_eps, match(sapo, grpo, [[1, "tau_pos"], [-1, "tau_neg"]]), "tau-from-eps"),
      button(words.eps_from_tau, match(grpo, sapo, [[1, "eps_high"], [-1, "eps_low"]]), "eps-from-tau")));
    return group;
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
    if (!this.Plotly || !this.traces || !changed) return false;
    const grid = ratioGrid(this.data.axis, this.visible), moved = [];
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
    if (changed.has("tokens")) for (const index of this.densities) moved.push({ index, ...this.density() });
    if (!movePaths(this.figure, moved) || !moveShapes(this.figure, this.readShapes, this.readAt)) return false;
    this.afterDrawing();
    return true;
  }

  resized() {
    const narrow = this.isNarrow();
    if (!this.layout || narrow !== this.drawnNarrow || Math.abs(this.figure.clientWidth - this.layout.width) > 1) this.draw();
  }

  isNarrow() { return this.host.clientWidth < 700; }

  layoutNow() { return this.isNarrow() ? this.data.layouts.narrow : this.data.layouts.wide; }

  sample(objective, sign, grid) {
    return samplePoints(FORMULAS[objective.name], sign, this.values[objective.name], this.old(objective), grid);
  }

  // Objectives that read log π itself are drawn for a token of this old probability; the others never look.
  old(objective) { return objective.reads_logprobs ? Math.log(this.values.p_old ?? 0.3) : 0; }

  tokens() {
    const spread = this.values.spread ?? 0.2, key = this.data.distribution.z ? "file" : spread;
    if (this.tokensKey !== key || this.tokensOf !== this.data.distribution) {
      this.tokensKey = key;
      this.tokensOf = this.data.distribution;
      this.tokensNow = tokensAt(this.data.distribution, spread);
    }
    return this.tokensNow;
  }

  density() {
    const line = densityLine(this.tokens(), 0.5);
    return { x: line.map((p) => p[0]), y: line.map((p) => p[1]) };
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
    // Without a width (the page is being left, or not laid out yet) there is nothing to draw on; see resized().
    if (!this.data || this.figure.clientWidth < 80) return;
    this.changed = null;
    const theme = themeOf(this.host);
    const layout = applyTheme(structuredClone(this.layoutNow()), theme);
    const grid = ratioGrid(this.data.axis, this.visible);
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
    this.densities = [];
    if (this.data.distribution) {
      const row = this.data.rows.includes("weight") ? "weight" : this.data.rows[0];
      for (const sign of this.data.signs) {
        const axis = this.data.axes[`${row}:${sign}`];
        this.densities.push(this.traces.length);
        this.traces.push({
          type: "scatter", mode: "lines", name: this.data.labels.tokens_here, showlegend: sign === this.data.signs[0], legendgroup: "tokens",
          ...this.density(), xaxis: axis.x, yaxis: axis.y, fill: "tozeroy", fillcolor: "rgba(127,127,127,0.16)",
          line: { color: "rgba(127,127,127,0.75)", width: 1, simplify: false }, hoverinfo: "skip",
        });
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
    if (this.Plotly) this.plot(layout);
    else firstPaint(this.figure, layout, this.traces, theme, layout.width);
    this.afterDrawing();
  }

  plot(layout) {
    this.figure.querySelector(".first-paint")?.remove();
    // A finger on the figure scrolls the page; a mouse zooms.
    const touch = matchMedia("(pointer: coarse)").matches, bar = this.data.compact || touch ? false : "hover";
    if (touch) for (const key of Object.keys(layout)) if (/^[xy]axis/.test(key)) layout[key].fixedrange = true;
    this.Plotly.react(this.figure, this.traces, layout, { displaylogo: false, responsive: false, displayModeBar: bar, modeBarButtonsToRemove: ["select2d", "lasso2d", "toImage"] });
    if (!this.listening) { this.listen(); this.listening = true; }
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

  // Facts of one objective for one sign, kept until a knob of it moves.
  facts(objective, sign) {
    const f = FORMULAS[objective.name], knobs = this.values[objective.name], old = this.old(objective);
    const key = JSON.stringify([knobs, old, sign]);
    this.known ||= new Map();
    let facts = this.known.get(objective.name + sign);
    if (facts?.key !== key) this.known.set(objective.name + sign, facts = { key, ...gateFacts(f, knobs, old, sign) });
    if (this.data.distribution && (facts.tokens !== this.tokens())) {
      facts.tokens = this.tokens();
      facts.kept = keptShare(f, knobs, old, sign, facts.tokens);
    }
    return facts;
  }

  fillReadout() {
    if (!this.data.readout || !this.painted) return;
    const words = this.data.labels, span = ([low, high]) => `${show(low)} – ${show(high)}`;
    const head = [[words.objective], ["A", words.sign_help], ["J"], ["w"], ["r·w"], [words.kept, words.kept_help], ["w ≥ 0.9", words.width_help], ["w ≥ 0.5", words.width_help], [words.peak, words.peak_help], [words.damps, words.damps_help]];
    const table = el("table", { "data-testid": "readout" }, el("caption", {}, `${words.at} r = ${show(this.readAt)}`));
    table.append(el("thead", {}, el("tr", {}, ...head.map(([text, title]) => el("th", { scope: "col", title }, text)))));
    const body = el("tbody");
    for (const objective of this.data.objectives) {
      for (const sign of this.data.signs) {
        const facts = this.facts(objective, sign);
        const [J, c] = FORMULAS[objective.name](Math.log(this.readAt), sign, this.values[objective.name], this.old(objective));
        const damps = facts.harmful && facts.corrective ? words.both : facts.harmful ? words.harmful : facts.corrective ? words.corrective : words.neither;
        const peak = Number.isFinite(facts.peak.r) ? `${show(facts.peak.value)} (r ${show(facts.peak.r)})` : words.unbounded;
        const kept = facts.kept === undefined ? "–" : `${show(100 * facts.kept)} %`;
        const cells = [sign > 0 ? "> 0" : "< 0", show(J), show(c / this.readAt), show(c), kept, span(facts.ninety), span(facts.half), peak, damps];
        body.append(el("tr", {}, el("th", { scope: "row" }, objective.label), ...cells.map((text) => el("td", {}, text))));
      }
    }
    table.append(body);
    this.readout.replaceChildren(table);
    this.showMatch?.();
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
