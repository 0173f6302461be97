// The panels of the live figure: one small plot a metric, kept alive by Plotly.react. A zoom and the cursor go to
// all panels (cursor.js); what is drawn in them: traces.js.

import { el } from "../shared/dom.js";
import { show } from "../shared/numbers.js";
import { savePicture } from "../shared/plotly.js";
import { applyTheme } from "../shared/theme.js";
import { isNumber } from "./math.js";
import { againstTraces, drawnOf, lineOf, markTraces, tracesOf } from "./traces.js";

// A double click is ours: Plotly's own goes back to the axis of the first drawing, which other runs may have had.
const OURS = { responsive: false, displayModeBar: false, scrollZoom: false, doubleClick: false };
const DECADES = [1e-8, 1e-6, 1e-4, 0.01, 0.1, 1, 10, 100, 1e3, 1e4, 1e6, 1e8];
/** @type {Record<View["x"], object>} */
const AXES = { step: {}, tokens: { tickformat: "~s" }, time: { ticksuffix: " s" } };

// In the middle of a panel.
const MIDDLE = { xref: "paper", yref: "paper", x: 0.5, y: 0.65, showarrow: false };

/** Whether these runs have steps, and none of what this panel draws. @type {(panel: LivePanel, groups: Group[]) => boolean} */
const isBlank = (panel, groups) =>
  groups.some((group) => group.runs.some((run) => run.steps.length)) &&
  !panel.traces.some((/** @type {any} */ trace) => trace.y.some(isNumber));

export class LivePanels {
  /** @param {LiveLab} lab */
  constructor(lab) {
    this.lab = lab;
    /** @type {LivePanel[]} */
    this.list = [];
    this.signature = ""; // of what they were built from
    this.host = el("div", { class: "live-panels", "data-testid": "live-panels" });
    this.message = el("div", { class: "live-message", role: "status", "data-testid": "live-message" });
    this.repaints = 0;
  }

  close() {
    for (const panel of this.list) if (window.Plotly) window.Plotly.purge(panel.plot);
  }

  /** @param {PanelSpec[]} specs */
  build(specs) {
    const signature = JSON.stringify(specs);
    if (signature === this.signature) return;
    this.close();
    this.signature = signature;
    this.list = specs.map((spec) => {
      const { words, view } = this.lab;
      const tip = el("span", { class: "live-tip", role: "tooltip" }, ...spec.about.map((text) => el("span", {}, text)));
      const about = el(
        "button",
        { class: "live-about", type: "button", "aria-label": `${words.about} ${spec.label}: ${spec.about.join(" ")}` },
        "?",
        tip,
      );
      const log = el(
        "button",
        {
          class: "part-button live-log",
          "data-size": "small",
          type: "button",
          "aria-label": `${words.log} ${spec.label}`,
          title: words.log,
          onclick: () => {
            view.toggle("logy", spec.name);
            this.draw();
          },
        },
        "log",
      );
      const legend = el("small", { title: spec.legend }, spec.legend);
      const head = el("div", { class: "live-head" }, el("h3", {}, spec.label), about, legend, log);
      const plot = el("div", { class: "live-plot", role: "img", "aria-label": spec.label });
      const host = el(
        "div",
        { class: "live-panel", "data-span": spec.span, "data-testid": `panel-${spec.name}` },
        head,
        plot,
      );
      return { spec, plot, host, log, legend, logy: spec.log, traces: [], layout: {}, turns: 0, listening: false };
    });
    this.host.replaceChildren(...this.list.map((panel) => panel.host), this.message);
  }

  draw(groups = this.lab.groups.drawn()) {
    if (!this.list.length) return;
    this.showMessage();
    if (!this.lab.Plotly) return;
    const { view, words, Plotly } = this.lab;
    const theme = this.lab.theme();
    const last = this.end(groups);
    this.choose(groups);
    for (const panel of this.visible()) {
      panel.logy = panel.spec.log !== view.logy.includes(panel.spec.name);
      panel.log.setAttribute("aria-pressed", String(panel.logy));
      const against = Boolean(panel.spec.against);
      panel.traces = against
        ? againstTraces(panel, groups, words)
        : [
            ...tracesOf(panel, groups, view, words),
            ...markTraces(panel, groups, view, (run) => this.lab.story.tell(run)),
          ];
      panel.layout = applyTheme(structuredClone(panel.spec.layout), theme);
      Object.assign(panel.layout, {
        width: panel.plot.clientWidth,
        height: panel.plot.clientHeight,
        uirevision: "kept",
      });
      panel.layout.dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom"; // a finger scrolls the page
      if (against) {
        Object.assign(panel.layout, { hovermode: "closest", uirevision: "against" });
        if (!panel.traces.length) panel.layout.xaxis.range = [0, 0.1]; // empty axes begin at 0, as the others do
      } else
        Object.assign(panel.layout.xaxis, AXES[view.x], {
          range: view.zoom ?? [0, last],
          uirevision: String(view.zoom) + view.x,
          spikecolor: theme.text,
        });
      Object.assign(panel.layout.yaxis, {
        type: panel.logy ? "log" : "linear",
        uirevision: `${panel.logy} ${panel.turns}`,
      });
      panel.layout.annotations = isBlank(panel, groups) ? [{ ...MIDDLE, text: words.unlogged }] : [];
      const range = this.yRange(panel);
      if (range) panel.layout.yaxis.range = range;
      if (!panel.logy) delete panel.layout.yaxis.tickvals;
      else if (!range)
        Object.assign(panel.layout.yaxis, {
          tickvals: DECADES,
          ticktext: DECADES.map((v) => (v < 0.01 || v > 1000 ? v.toExponential(0) : String(v))),
        });
      Plotly.react(panel.plot, panel.traces, panel.layout, { ...this.lab.data.config, ...OURS });
      this.nameInsteads(panel, groups);
      if (!panel.listening) {
        panel.listening = true;
        this.listen(panel);
      }
      panel.plot.setAttribute("aria-label", this.describe(panel.spec, groups));
    }
    if (this.lab.cursor.held) this.lab.cursor.show();
    this.host.dataset.repaints = String(++this.repaints);
  }

  // Beside the legend: which runs are drawn with another metric than the panel's, and with which.
  /** @type {(panel: LivePanel, groups: Group[]) => void} */
  nameInsteads({ spec, legend }, groups) {
    if (!spec.series.some((series) => series.instead)) return;
    const told = [spec.legend];
    for (const series of spec.series) {
      if (!series.instead) continue;
      const those = groups.filter((group) => drawnOf(series, group).instead);
      if (those.length) told.push(`${series.instead.label}: ${those.map((group) => group.name).join(", ")}`);
    }
    legend.textContent = legend.title = told.filter(Boolean).join("; ");
  }

  // Whether a figure has another size than the one that it was drawn in.
  resized() {
    return this.visible().some(
      ({ plot, layout }) => plot.clientWidth !== layout?.width || plot.clientHeight !== layout?.height,
    );
  }

  visible() {
    return this.list.filter((panel) => !panel.host.hidden);
  }

  // The panels of less usual metrics are there when they are asked for and have anything to show.
  /** @param {Group[]} groups */
  choose(groups) {
    /** @param {string} metric */
    const has = (metric) =>
      groups.some((group) =>
        group.runs.some((run) => run.steps.some((event) => Number.isFinite(event.metrics[metric]))),
      );
    for (const { spec, host } of this.list)
      if (spec.more) host.hidden = !this.lab.view.more || !has(spec.series[0].metric);
  }

  // Where the x axis ends: at the last step that is asked for, or about where that will be in tokens or seconds.
  /** @param {Group[]} groups */
  end(groups) {
    const runs = groups.flatMap((group) => group.runs);
    if (this.lab.view.x === "step") return Math.max(10, ...runs.map((run) => this.lab.total(run)));
    const ends = runs
      .filter((run) => run.steps.length)
      .map((run) => {
        const here = lineOf(run, "reward", this.lab.view.x).x[run.steps.length - 1];
        return this.lab.isLive(run) ? Number(((here * this.lab.total(run)) / this.lab.step(run)).toPrecision(1)) : here;
      });
    return Math.max(1, ...ends.filter(isNumber)) * 1.02;
  }

  // Where a metric has a usual range the axis shows it from the start, and gives way to values beyond.
  /** @type {(panel: LivePanel) => Point | undefined} */
  yRange(panel) {
    if (!panel.spec.range || panel.logy !== panel.spec.log) return undefined;
    const [low, high] = panel.spec.range;
    for (const trace of panel.traces)
      for (const value of trace.y) if (value > high || (value !== null && value < low)) return undefined;
    return panel.logy ? [Math.log10(low), Math.log10(high)] : [low, high];
  }

  /** @param {LivePanel} panel */
  listen(panel) {
    const { view } = this.lab;
    if (panel.spec.against) {
      panel.plot.on("plotly_doubleclick", () => {
        this.lab.Plotly.relayout(panel.plot, { "xaxis.autorange": true, "yaxis.autorange": true });
      });
      panel.plot.on("plotly_click", (/** @type {any} */ event) => this.lab.cursor.hold(event.points[0]?.customdata));
      return;
    }
    const unzoom = () => {
      view.set("zoom", null);
      this.draw();
    };
    panel.plot.on("plotly_relayout", (/** @type {Record<string, any>} */ change) => {
      if (change["xaxis.range[0]"] !== undefined)
        view.set("zoom", [change["xaxis.range[0]"], change["xaxis.range[1]"]]);
      else if (change["xaxis.autorange"] || change["xaxis.range"]) return unzoom();
      else return;
      this.draw();
    });
    panel.plot.on("plotly_doubleclick", () => {
      panel.turns++; // its y axis too
      unzoom();
    });
    this.lab.cursor.listen(panel);
  }

  /** @type {(spec: PanelSpec, groups: Group[]) => string} */
  describe(spec, groups) {
    const parts = groups.map((group) => {
      const { metric, label, instead } = drawnOf(spec.series[0], group);
      const values = group.runs.map((run) => this.lab.value(run, metric)).filter(isNumber);
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      return `${group.name}${instead ? ` (${label})` : ""} ${values.length ? show(mean) : "–"}`;
    });
    return `${spec.label}, ${this.lab.words.by[this.lab.view.x]}. ${parts.join("; ") || this.lab.words.nothing}.`;
  }

  showMessage() {
    const { words } = this.lab;
    const shown = this.lab.shownRuns();
    let text = "";
    if (!this.lab.runs.size) text = words.empty;
    else if (!shown.length) text = words.none_shown;
    else if (!shown.some((run) => run.steps.length)) {
      /** @param {string} status */
      const has = (status) => shown.some((run) => run.status === status);
      const loads = shown.some((run) => ["starting", "running"].includes(run.status) && !run.about.recorded);
      text = loads
        ? words.loading
        : has("queued")
          ? words.waiting
          : shown.every((run) => run.loaded) && !has("running")
            ? words.no_steps
            : words.reading; // what another program trains is read here, and its first step may be to come
    }
    if (this.message.textContent !== text) this.message.textContent = text;
  }

  // All panels as one figure, three to a row, with a legend: for a paper or a slide.
  /** @param {string} format */
  save(format) {
    /** @type {LivePanel[]} */
    let row = [];
    const rows = [row];
    for (const panel of this.visible()) {
      if (row.reduce((sum, p) => sum + p.spec.span, 0) + panel.spec.span > 3) {
        row = [];
        rows.push(row);
      }
      row.push(panel);
    }
    /** @type {Record<string, any>} */
    const layout = {
      height: 270 * rows.length,
      margin: { l: 50, r: 20, t: 70, b: 40 },
      annotations: [],
      legend: { orientation: "h", y: 1.02, yanchor: "bottom" },
    };
    /** @type {object[]} */
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
        layout.annotations.push({
          text: spec.label,
          xref: "paper",
          yref: "paper",
          x: x[0],
          y: y[1] + 0.005,
          xanchor: "left",
          yanchor: "bottom",
          showarrow: false,
        });
        for (const trace of lines)
          traces.push({
            ...trace,
            xaxis: `x${n}`,
            yaxis: `y${n}`,
            showlegend: trace.showlegend ?? spec.name === "reward",
          });
        across += spec.span;
      }
    });
    const theme = this.lab.theme();
    applyTheme(layout, theme);
    return savePicture(this.lab.Plotly, traces, layout, format, "sapo-viz-runs", theme);
  }
}
