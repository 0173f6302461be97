// The figure before plotly.js is there. Loading and running 4.8 MB takes a second on a slow machine; these few
// lines draw the same traces in the same layout at once, and follow the sliders. Hover and zoom come with Plotly.

import { axisScale } from "../shared/axis.js";
import { show } from "../shared/numbers.js";
import { label, svg, svgDash } from "../shared/svg.js";

// `layout` and `traces` are what Plotly will be given. Fills `host` with one SVG.
/** @type {(host: Element, layout: any, traces: any[], theme: Theme, width: number) => void} */
export function firstPaint(host, layout, traces, theme, width) {
  const { l, r, t, b } = layout.margin;
  const height = layout.height;
  const picture = svg("svg", {
    width,
    height,
    class: "first-paint",
    "aria-hidden": "true",
    "font-family": theme.font,
    "font-size": 12,
    fill: theme.text,
  });
  /** @type {(value: number) => number} */
  const across = (x) => l + x * (width - l - r);
  /** @type {(value: number) => number} */
  const up = (y) => height - b - y * (height - t - b);
  traces.forEach((trace) => {
    if (trace.visible === false) return;
    const xaxis = layout[trace.xaxis.replace("x", "xaxis")];
    const yaxis = layout[trace.yaxis.replace("y", "yaxis")];
    const key = `${trace.xaxis}${trace.yaxis}`;
    /** @type {Element | null} */
    let panel = picture.querySelector(`[data-panel="${key}"]`);
    const log = xaxis.type === "log";
    const shared = layout.xaxis.range;
    const [low, high] = (xaxis.range || shared).map((/** @type {number} */ v) => (log ? 10 ** v : v));
    const [bottom, top] = yaxis.range;
    const x = axisScale(low, high, across(xaxis.domain[0]), across(xaxis.domain[1]), log);
    const y = axisScale(bottom, top, up(yaxis.domain[0]), up(yaxis.domain[1]));
    if (!panel) {
      panel = emptyPanel(key, x, y, xaxis, theme);
      picture.append(panel);
    }
    // A nested <svg> cuts off what leaves the panel.
    const inside = svg("svg", { x: x.from, y: y.to, width: x.to - x.from, height: y.from - y.to });
    let d = "";
    let pen = "M";
    for (let i = 0; i < trace.x.length; i++) {
      if (trace.x[i] < low || trace.x[i] > high || !Number.isFinite(trace.y[i])) {
        pen = "M";
        continue;
      }
      d += `${pen}${(x(trace.x[i]) - x.from).toFixed(1)},${Math.max(-1e4, Math.min(1e4, y(trace.y[i]) - y.to)).toFixed(1)}`;
      pen = "L";
    }
    inside.append(
      svg("path", {
        d,
        class: "first-line",
        fill: trace.fillcolor || "none",
        stroke: trace.line.color,
        "stroke-width": trace.line.width,
        "stroke-dasharray": svgDash(trace.line.dash),
      }),
    );
    panel.append(inside);
  });
  for (const note of layout.annotations || []) {
    picture.append(label(across(note.x), up(note.y) - 4, note.text, { "text-anchor": "middle", "font-size": 13 }));
  }
  host.replaceChildren(picture);
}

/** @type {(key: string, x: Axis, y: Axis, xaxis: any, theme: Theme) => SVGGElement} */
function emptyPanel(key, x, y, xaxis, theme) {
  const panel = svg("g", { "data-panel": key });
  const grid = { stroke: theme.grid };
  for (const tick of xaxis.tickvals || x.ticks) {
    panel.append(
      svg("line", { x1: x(tick), x2: x(tick), y1: y.from, y2: y.to, ...grid }),
      label(x(tick), y.from + 16, show(tick), { "text-anchor": "middle" }),
    );
  }
  for (const tick of y.ticks) {
    panel.append(
      svg("line", { x1: x.from, x2: x.to, y1: y(tick), y2: y(tick), ...grid }),
      label(x.from - 5, y(tick) + 4, show(tick), { "text-anchor": "end" }),
    );
  }
  if (xaxis.title?.text)
    panel.append(
      label((x.from + x.to) / 2, y.from + 38, xaxis.title.text, { "text-anchor": "middle", "font-size": 13 }),
    );
  return panel;
}
