// The panels of the live figure: one small plot a metric, kept alive by Plotly.react. A zoom in steps and
// a hover go to all panels; runs that differ by their seed alone share one mean line.

const CONFIG = { displaylogo: false, responsive: false, displayModeBar: false, scrollZoom: false };
const FADE = [1, 0.6, 0.4, 0.28]; // a second, third, … setting of one objective: same colour, paler
const DECADES = [1e-8, 1e-6, 1e-4, 0.01, 0.1, 1, 10, 100, 1e3, 1e4, 1e6, 1e8];

class LivePanels {
  constructor(lab) {
    this.lab = lab;
    this.host = el("div", { class: "live-panels", "data-testid": "live-panels" });
    this.message = el("div", { class: "live-message", role: "status", "data-testid": "live-message" });
    this.zoom = null; // [first, last] step, for all panels
    this.repaints = 0;
  }

  close() { for (const panel of this.list ?? []) if (window.Plotly) window.Plotly.purge(panel.plot); }

  build(specs) {
    const signature = JSON.stringify(specs);
    if (signature === this.signature) return;
    this.close();
    this.signature = signature;
    this.list = specs.map((spec) => {
      const tip = el("span", { class: "live-tip", role: "tooltip" }, ...spec.about.map((text) => el("span", {}, text)));
      const about = el("button", { class: "live-about", type: "button", "aria-label": `${this.lab.words.about} ${spec.label}: ${spec.about.join(" ")}` }, "?", tip);
      const head = el("div", { class: "live-head" }, el("h3", {}, spec.label), about, el("small", { title: spec.legend }, spec.legend));
      const plot = el("div", { class: "live-plot", role: "img" });
      const host = el("div", { class: "live-panel", "data-span": spec.span, "data-testid": `panel-${spec.name}` }, head, plot);
      return { spec, plot, host };
    });
    this.host.replaceChildren(...this.list.map((panel) => panel.host), this.message);
  }

  draw() {
    if (!this.list) return;
    this.showMessage();
    if (!this.lab.Plotly) return;
    const theme = themeOf(this.lab.host);
    const groups = this.groups();
    const last = Math.max(10, ...this.lab.shownRuns().map((run) => run.about.total));
    for (const panel of this.list) {
      panel.traces = this.traces(panel.spec, groups);
      panel.layout = applyTheme(structuredClone(panel.spec.layout), theme);
      panel.layout.width = panel.plot.clientWidth;
      panel.layout.height = panel.plot.clientHeight;
      panel.layout.dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom"; // a finger scrolls the page
      panel.layout.uirevision = "kept";
      Object.assign(panel.layout.xaxis, { range: this.zoom ?? [0, last], uirevision: String(this.zoom), spikecolor: theme.text });
      const range = this.yRange(panel);
      if (range) panel.layout.yaxis.range = range;
      else if (panel.spec.log) Object.assign(panel.layout.yaxis, { tickvals: DECADES, ticktext: DECADES.map((v) => (v < 0.01 || v > 1000 ? v.toExponential(0) : String(v))) });
      this.lab.Plotly.react(panel.plot, panel.traces, panel.layout, CONFIG);
      if (!panel.listening) { panel.listening = true; this.listen(panel); }
      panel.plot.setAttribute("aria-label", this.describe(panel.spec, groups));
    }
    this.host.dataset.repaints = ++this.repaints;
  }

  // Runs with equal settings but the seed, oldest first; the newest setting of an objective is drawn strongest.
  groups(all = false) {
    const byKey = new Map();
    for (const run of this.lab.shownRuns()) {
      const about = run.about;
      if (!byKey.has(about.group)) byKey.set(about.group, { about, runs: [] });
      byKey.get(about.group).runs.push(run);
    }
    const groups = [...byKey.values()], seen = {};
    for (const group of groups.toReversed()) {
      const place = (seen[group.about.objective] = (seen[group.about.objective] ?? -1) + 1);
      group.opacity = FADE[Math.min(place, FADE.length - 1)];
      group.name = [group.about.objective_label, group.about.differs].filter(Boolean).join(", ");
    }
    return all ? groups : groups.filter((group) => !this.lab.legend.hidden.has(group.about.group));
  }

  traces(spec, groups) {
    const traces = [];
    for (const group of groups) {
      const { color, dash } = group.about;
      for (const series of spec.series) {
        const several = group.runs.length > 1;
        const look = (width, opacity) => (series.dots
          ? { mode: "markers", marker: { color, size: 3.5 }, opacity: opacity * 0.8 }
          : { mode: "lines", line: { color, dash, width }, opacity });
        const of = spec.series.length > 1 ? ` ${series.label}` : "";
        const hovertemplate = `%{y:.3g} ${plainText(group.about.objective_label + of)}<extra></extra>`;
        for (const run of group.runs) {
          const x = run.steps.map((event) => event.step), y = run.steps.map((event) => event.metrics[series.metric]);
          traces.push({ type: "scatter", x, y, name: plainText(run.about.title + of), hoverinfo: several ? "skip" : undefined,
            hovertemplate: several ? undefined : hovertemplate, ...look(several ? 0.8 : series.width, several ? 0.4 * group.opacity : group.opacity) });
        }
        if (several) traces.push({ type: "scatter", ...this.mean(group.runs, series.metric), name: `${plainText(group.name)}, ${this.lab.words.mean} ${group.runs.length}${of}`, hovertemplate, ...look(series.width, group.opacity) });
      }
    }
    if (spec.name === "reward") traces.push(...this.marks());
    return traces;
  }

  // At each step that at least two runs have reached.
  mean(runs, metric) {
    const values = new Map();
    for (const run of runs) {
      for (const event of run.steps) {
        const value = event.metrics[metric];
        if (value !== null && value !== undefined) values.set(event.step, [...(values.get(event.step) ?? []), value]);
      }
    }
    const steps = [...values.keys()].filter((step) => values.get(step).length > 1).sort((a, b) => a - b);
    return { x: steps, y: steps.map((step) => values.get(step).reduce((a, b) => a + b) / values.get(step).length) };
  }

  // A cross where a run failed, a triangle where its reward fell to half of its best.
  marks() {
    const mark = (run, event, symbol, text) => ({ type: "scatter", mode: "markers", x: [event.step], y: [event.metrics.reward], name: text, showlegend: false, cliponaxis: false,
      hovertemplate: `${plainText(text)}<extra></extra>`, marker: { color: run.about.color, symbol, size: 12, line: { width: 2, color: run.about.color } } });
    return this.lab.shownRuns().flatMap((run) => {
      const fall = this.lab.collapse(run), marks = [];
      if (fall) marks.push(mark(run, fall, "triangle-down", this.lab.words.collapsed.replace("{step}", fall.step)));
      if (run.status === "failed" && run.steps.length) marks.push(mark(run, run.steps.at(-1), "x-thin", this.lab.words.status.failed));
      return marks;
    });
  }

  // Where a metric has a usual range the axis stands there from the start, and gives way to values beyond.
  yRange(panel) {
    if (!panel.spec.range) return undefined;
    const [low, high] = panel.spec.range;
    for (const trace of panel.traces) for (const value of trace.y) if (value > high || value < low) return undefined;
    return panel.spec.log ? [Math.log10(low), Math.log10(high)] : [low, high];
  }

  listen(panel) {
    const { Plotly } = this.lab;
    panel.plot.on("plotly_relayout", (change) => {
      const range = change["xaxis.range[0]"] === undefined ? undefined : [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (range) this.zoom = range;
      else if (change["xaxis.autorange"] || change["xaxis.range"]) this.zoom = null;
      else return;
      this.draw();
    });
    panel.plot.on("plotly_doubleclick", () => { this.zoom = null; this.draw(); });
    panel.plot.on("plotly_hover", (event) => {
      if (this.following) return;
      this.following = true; // the others' own hover events are not to come back here
      const xval = event.points[0].x;
      for (const other of this.list) if (other !== panel && other.traces.some((trace) => trace.x.length)) Plotly.Fx.hover(other.plot, { xval }, "xy");
      this.following = false;
    });
    panel.plot.on("plotly_unhover", () => { for (const other of this.list) if (other !== panel) Plotly.Fx.unhover(other.plot); });
  }

  describe(spec, groups) {
    const parts = groups.map((group) => {
      const values = group.runs.map((run) => this.lab.value(run, spec.series[0].metric)).filter(Number.isFinite);
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      return `${group.name} ${values.length ? show(mean) : "–"}`;
    });
    return `${spec.label}, ${this.lab.words.by_step}. ${parts.join("; ") || this.lab.words.nothing}.`;
  }

  showMessage() {
    const { words } = this.lab, shown = this.lab.shownRuns();
    let text = "";
    if (!this.lab.runs.size) text = words.empty;
    else if (!shown.length) text = words.none_shown;
    else if (!shown.some((run) => run.steps.length)) {
      const has = (status) => shown.some((run) => run.status === status);
      text = has("starting") || has("running") ? words.loading : has("queued") ? words.waiting : shown.every((run) => run.loaded) ? words.no_steps : words.reading;
    }
    if (this.message.textContent !== text) this.message.textContent = text;
  }

  // All panels as one figure, three to a row, with a legend: for a paper or a slide.
  save(format) {
    const rows = [[]];
    for (const panel of this.list) {
      if (rows.at(-1).reduce((sum, p) => sum + p.spec.span, 0) + panel.spec.span > 3) rows.push([]);
      rows.at(-1).push(panel);
    }
    const layout = { height: 270 * rows.length, margin: { l: 50, r: 20, t: 70, b: 40 }, annotations: [], legend: { orientation: "h", y: 1.02, yanchor: "bottom" } };
    const traces = [];
    let number = 0;
    rows.forEach((row, down) => {
      let across = 0;
      for (const { spec, layout: own, traces: lines } of row) {
        const n = number++ ? number : "";
        const x = [across / 3 + (across ? 0.02 : 0), (across + spec.span) / 3 - 0.02];
        const y = [1 - (down + 1) / rows.length + 0.03, 1 - down / rows.length - 0.06];
        layout[`xaxis${n}`] = { ...own.xaxis, domain: x, anchor: `y${n}` };
        layout[`yaxis${n}`] = { ...own.yaxis, domain: y, anchor: `x${n}` };
        layout.annotations.push({ text: spec.label, xref: "paper", yref: "paper", x: x[0], y: y[1] + 0.005, xanchor: "left", yanchor: "bottom", showarrow: false });
        for (const trace of lines) traces.push({ ...trace, xaxis: `x${n}`, yaxis: `y${n}`, showlegend: trace.showlegend ?? (spec.name === "reward" && trace.hoverinfo !== "skip") });
        across += spec.span;
      }
    });
    const theme = themeOf(this.lab.host);
    applyTheme(layout, theme);
    return savePicture(this.lab.Plotly, traces, layout, format, "sapo-viz-runs", theme);
  }
}

// Plotly reads a small HTML in names; what a person typed is not that.
function plainText(text) { return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"); }
