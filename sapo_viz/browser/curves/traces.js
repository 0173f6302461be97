// What is drawn, as data: the curves and where the tokens are, for Plotly and for the first picture alike.

import { hueOn } from "../shared/colour.js";
import { lineName } from "./apart.js";

/** @type {Record<string, number>} where a quantity is in a point [r, J, w, c] */
const COLUMN = { surrogate: 1, weight: 2, coefficient: 3 };

/** @type {(points: number[][], row: string) => { x: number[]; y: number[] }} */
export function lineOf(points, row) {
  return { x: points.map((p) => p[0]), y: points.map((p) => p[COLUMN[row]]) };
}

/** @type {(line: number[][]) => { x: number[]; y: number[] }} */
export function xy(line) {
  return { x: line.map((p) => p[0]), y: line.map((p) => p[1]) };
}

// One trace per objective, sign and row of panels; each item learns which of them is its first. Of objectives whose
// curves coincide (`lines`) the first is drawn, under all their names.
/** @type {(data: CurvesData, sampled: Sampled[], lines: CurveObjective[][], hidden: (o: CurveObjective) => boolean, theme: Theme) => Record<string, any>[]} */
export function curveTraces(data, sampled, lines, hidden, theme) {
  const traces = [];
  const names = new Map(lines.map((line) => [line[0], lineName(line)]));
  for (const item of sampled) {
    item.first = traces.length;
    for (const row of data.rows) {
      const axis = data.axes[`${row}:${item.sign}`];
      traces.push({
        type: "scatter",
        mode: "lines",
        name: names.get(item.objective) ?? item.objective.label,
        visible: names.has(item.objective) && !hidden(item.objective),
        legendgroup: item.objective.name,
        showlegend: row === data.rows[0] && item.sign === data.signs[0],
        ...lineOf(item.points, row),
        xaxis: axis.x,
        yaxis: axis.y,
        line: { color: hueOn(item.objective.color, theme), dash: item.objective.dash, width: 2.2, simplify: false },
        hovertemplate: "%{y:.4g}",
      });
    }
  }
  return traces;
}

// Where the tokens are, in grey, once for each sign.
/** @type {(data: CurvesData, outline: number[][]) => Record<string, any>[]} */
export function densityTraces(data, outline) {
  const row = data.rows.includes("weight") ? "weight" : data.rows[0];
  return data.signs.map((sign) => {
    const axis = data.axes[`${row}:${sign}`];
    return {
      type: "scatter",
      mode: "lines",
      name: data.labels.tokens_here,
      showlegend: sign === data.signs[0],
      legendgroup: "tokens",
      ...xy(outline),
      xaxis: axis.x,
      yaxis: axis.y,
      fill: "tozeroy",
      fillcolor: "rgba(127,127,127,0.16)",
      line: { color: "rgba(127,127,127,0.75)", width: 1, simplify: false },
      hoverinfo: "skip",
    };
  });
}

// The upright line in every panel at the ratio that is read.
/** @type {(axes: CurvesData["axes"], at: number, theme: Theme) => Record<string, any>[]} */
export function readLines(axes, at, theme) {
  return Object.values(axes).map((axis) => ({
    type: "line",
    xref: axis.x,
    yref: `${axis.y} domain`,
    x0: at,
    x1: at,
    y0: 0,
    y1: 1,
    line: { color: theme.text, width: 1, dash: "dot" },
  }));
}

// The surrogate has no natural scale: what its curves span, axis -> [low, high].
/** @type {(data: CurvesData, sampled: Sampled[]) => Record<string, Point>} */
export function surrogateExtents(data, sampled) {
  /** @type {Record<string, Point>} */
  const spans = {};
  if (!data.rows.includes("surrogate")) return spans;
  for (const sign of data.signs) {
    let low = Infinity;
    let high = -Infinity;
    for (const item of sampled) {
      if (item.sign !== sign) continue;
      for (const [r, J] of item.points) {
        // log π → −∞ as r → 0 (CISPO): that end would flatten all other curves.
        if (r < 0.05) continue;
        if (J < low) low = J;
        if (J > high) high = J;
      }
    }
    spans[data.axes[`surrogate:${sign}`].y] = [low, high];
  }
  return spans;
}
