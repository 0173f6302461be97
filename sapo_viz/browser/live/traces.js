// Runs as Plotly traces of one panel: single lines, or a mean line with a band for runs that differ by their seed.

import { acrossRuns, highestOf, smoothed } from "./math.js";

/**
 * Of the lines of one group in one panel.
 * @typedef {{
 *   group: Group; series: Series; of: string; logy: boolean; first: boolean; view: View; words: Words; width: number;
 * }} About
 */

const MOST_DOTS = 600; // of a line; each is an element of the page
const FAINT = 0.3; // of the raw line behind a smoothed one

// What a run has at its steps, on the chosen x axis.
/** @type {(run: Run, metric: string, axis: View["x"]) => Line} */
export function lineOf(run, metric, axis) {
  /** @type {Record<View["x"], (event: RunEvent) => any>} */
  const ways = {
    step: (event) => event.step,
    tokens: (event) => event.metrics.tokens,
    time: (event) => event.metrics.seconds,
  };
  return {
    step: run.steps.map((event) => event.step),
    x: run.steps.map(ways[axis]),
    y: run.steps.map((event) => event.metrics[metric] ?? null),
  };
}

// The metric that a panel draws of a group: its own, or the one that stands in where these runs log none of that.
/** @type {(series: Series, group: Group) => { metric: string; label: string; instead: boolean }} */
export function drawnOf({ metric, label, instead }, group) {
  /** @type {(name: string) => boolean} */
  const has = (name) => group.runs.some((run) => run.steps.some((event) => Number.isFinite(event.metrics[name])));
  return instead && !has(metric) && has(instead.metric)
    ? { ...instead, instead: true }
    : { metric, label, instead: false };
}

/** @type {(panel: Panel, groups: Group[], view: View, words: Words) => object[]} */
export function tracesOf(panel, groups, view, words) {
  /** @type {object[]} */
  const traces = [];
  for (const group of groups) {
    panel.spec.series.forEach((series, place) => {
      const drawn = drawnOf(series, group);
      const lines = group.runs.map((run) => lineOf(run, drawn.metric, view.x));
      const of = panel.spec.series.length > 1 || drawn.instead ? ` ${drawn.label}` : "";
      const about = {
        group,
        series,
        of,
        logy: panel.logy,
        first: place === 0,
        view,
        words,
        width: series.width * (group.pinned ? 1.5 : 1),
      };
      if (series.looks) traces.push(...lookTraces(lines, about));
      else if (group.runs.length > 1 && view.band !== "lines") traces.push(...bandTraces(lines, about));
      else lines.forEach((line, i) => traces.push(...lineTraces(line, about, group.runs[i])));
    });
  }
  return traces;
}

// What is looked at now and then: joined dots. The bars are the interval of one run, or the range over several.
/** @type {(lines: Line[], about: About) => object[]} */
function lookTraces(lines, { group, series, of, view, width }) {
  const points = acrossRuns(lines);
  if (!points.length) return [];
  const [only] = group.runs;
  const ends = (series.looks ?? []).map((metric) => {
    const line = lineOf(only, metric, view.x);
    return new Map(line.step.map((step, i) => [step, line.y[i]]));
  });
  /** @type {(p: { step: number; low: number; high: number }, end: 0 | 1) => number} */
  const end = (p, side) => (group.runs.length > 1 ? [p.low, p.high] : ends.map((at) => at.get(p.step)))[side] ?? p.low;
  const name = plainText(group.name + of);
  return [
    {
      type: "scatter",
      mode: "lines+markers",
      x: points.map((p) => p.x),
      y: points.map((p) => p.mean),
      error_y: {
        type: "data",
        symmetric: false,
        array: points.map((p) => end(p, 1) - p.mean),
        arrayminus: points.map((p) => p.mean - end(p, 0)),
        color: group.color,
        thickness: 1,
        width: 2,
      },
      line: { color: group.color, dash: "dot", width },
      marker: { color: group.color, size: 6 },
      opacity: 0.8,
      name,
      meta: "looks",
      hovertemplate: `%{y:.3g} ${name}<extra></extra>`,
    },
  ];
}

/** @type {(line: Line, about: About, run: Run) => object[]} */
function lineTraces(line, { group, series, of, view, width }, run) {
  const { color, dash } = group;
  const name = plainText((group.runs.length > 1 ? run.about.title : group.name) + of);
  const base = { type: "scatter", x: line.x, hovertemplate: `%{y:.3g} ${name}<extra></extra>`, name, meta: run.id };
  if (series.dots)
    return [{ ...base, ...highestOf(line.x, line.y), mode: "markers", marker: { color, size: 3.5 }, opacity: 0.8 }];
  const drawn = { ...base, y: smoothed(line.y, view.smooth), mode: "lines", line: { color, dash, width } };
  return view.smooth ? [rawTrace(line.x, line.y, color), drawn] : [drawn];
}

// The mean is drawn boldly where all seeds that have begun are there, thinly where some are not (yet, or any more).
/** @type {(lines: Line[], about: About) => object[]} */
function bandTraces(lines, { group, series, of, logy, first, view, words, width }) {
  const { color, dash } = group;
  const name = plainText(group.name + of);
  const raw = acrossRuns(lines);
  if (series.dots) {
    return [
      {
        type: "scatter",
        mode: "markers",
        ...highestOf(
          raw.map((p) => p.x),
          raw.map((p) => p.high),
        ),
        marker: { color, size: 3.5 },
        opacity: 0.8,
        name,
        hovertemplate: `%{y:.3g} ${name}<extra></extra>`,
      },
    ];
  }
  const points = view.smooth ? acrossRuns(lines.map((line) => ({ ...line, y: smoothed(line.y, view.smooth) }))) : raw;
  const traces = [];
  if (first) {
    const ends = points
      .filter((p) => p.n > 1)
      .map((p) => (view.band === "sd" ? [p.x, p.mean - p.sd, p.mean + p.sd] : [p.x, p.low, p.high]));
    const floor = Math.min(...points.map((p) => p.mean).filter((v) => v > 0)) / 100; // a log axis has no 0
    /** @type {(v: number) => number} */
    const low = (v) => (logy ? Math.max(v, floor) : v);
    traces.push({
      type: "scatter",
      mode: "lines",
      fill: "toself",
      fillcolor: color,
      opacity: 0.18,
      line: { width: 0 },
      hoverinfo: "skip",
      meta: "band",
      showlegend: false,
      x: [...ends.map((e) => e[0]), ...ends.map((e) => e[0]).reverse()],
      y: [...ends.map((e) => e[2]), ...ends.map((e) => low(e[1])).reverse()],
    });
  }
  if (view.smooth)
    traces.push(
      rawTrace(
        raw.map((p) => p.x),
        raw.map((p) => p.mean),
        color,
      ),
    );
  const whole = lines.filter((line) => line.step.length).length;
  /** @type {(p: { n: number }) => boolean} */
  const all = (p) => p.n === whole;
  /** @type {(p: { n: number }) => boolean} */
  const some = (p) => p.n < whole;
  /** @type {(i: number) => boolean} */
  const beside = (i) => [i - 1, i, i + 1].some((j) => points[j] && some(points[j])); // so that the two parts meet
  const common = { type: "scatter", mode: "lines", x: points.map((p) => p.x), customdata: points.map((p) => p.n) };
  const hovertemplate = `%{y:.3g} ${name} (${words.mean} %{customdata})<extra></extra>`;
  traces.push({
    ...common,
    y: points.map((p) => (all(p) ? p.mean : null)),
    name: `${name} × ${whole} (${words.view.bands[view.band]})`,
    hovertemplate,
    line: { color, dash, width },
    meta: "mean",
  });
  if (points.some(some))
    traces.push({
      ...common,
      y: points.map((p, i) => (beside(i) ? p.mean : null)),
      name,
      hovertemplate,
      showlegend: false,
      line: { color, dash, width: Math.max(0.75, width / 2) },
      opacity: 0.75,
      meta: "part",
    });
  return points.length ? traces : [];
}

/** @type {(x: number[], y: (number | null)[], color: string) => object} */
function rawTrace(x, y, color) {
  return {
    type: "scatter",
    mode: "lines",
    x,
    y,
    hoverinfo: "skip",
    showlegend: false,
    opacity: FAINT,
    line: { color, width: 1 },
    meta: "raw",
  };
}

// One metric against another, one dot per step: what a reward costs. With several seeds each is drawn faintly, and
// their mean by step.
/** @type {(panel: Panel, groups: Group[], words: Words) => object[]} */
export function againstTraces(panel, groups, words) {
  const [{ metric }] = panel.spec.series;
  const across = panel.spec.against ?? "";
  /** @type {object[]} */
  const traces = [];
  for (const group of groups) {
    const pairs = group.runs.map((run) => [lineOf(run, across, "step"), lineOf(run, metric, "step")]);
    const common = { type: "scatter", mode: "lines+markers", showlegend: false };
    const several = group.runs.length > 1;
    group.runs.forEach((run, i) => {
      const [x, y] = pairs[i];
      const says = new Map(run.events.filter((e) => e.completion).map((e) => [e.step, e.completion ?? ""]));
      const name = plainText(several ? run.about.title : group.name);
      traces.push({
        ...common,
        x: x.y,
        y: y.y,
        customdata: x.step,
        text: x.step.map((step) => (says.has(step) ? `<br>${folded(says.get(step) ?? "")}` : "")),
        name,
        meta: run.id,
        hovertemplate: `${name}, ${words.step} %{customdata}: %{y:.3g}, KL %{x:.3g}%{text}<extra></extra>`,
        line: { color: group.color, dash: group.dash, width: several ? 0.75 : 1.5 },
        marker: { color: group.color, size: x.step.map((step) => (says.has(step) ? 7 : 3)), maxdisplayed: MOST_DOTS },
        opacity: several ? 0.4 : 0.9,
      });
    });
    if (!several) continue;
    const [xs, ys] = [0, 1].map((side) => acrossRuns(pairs.map((pair) => pair[side])));
    const at = new Map(xs.map((p) => [p.step, p.mean]));
    traces.push({
      ...common,
      mode: "lines",
      x: ys.map((p) => at.get(p.step) ?? null),
      y: ys.map((p) => p.mean),
      customdata: ys.map((p) => p.step),
      name: plainText(group.name),
      meta: "mean",
      hovertemplate: `${plainText(group.name)} (${words.mean}), ${words.step} %{customdata}: %{y:.3g}, KL %{x:.3g}<extra></extra>`,
      line: { color: group.color, dash: group.dash, width: 2.5 },
    });
  }
  return traces;
}

// What a policy says, as lines of a hover: text and never markup.
/** @type {(text: string) => string} */
function folded(text) {
  const lines =
    text
      .replaceAll(/\s+/g, " ")
      .slice(0, 300)
      .match(/.{1,60}(\s|$)|.{1,60}/g) ?? [];
  return lines.map((line) => plainText(line.trim())).join("<br>");
}

// A triangle where a run collapsed, a cross where a number was none or the run failed; on every panel's curve.
/** @type {(panel: Panel, groups: Group[], view: View, tell: (run: Run) => string[]) => object[]} */
export function markTraces(panel, groups, view, tell) {
  const marks = [];
  for (const group of groups) {
    const { metric } = drawnOf(panel.spec.series[0], group);
    for (const run of group.runs) {
      const fall = run.collapse;
      if (!fall || !run.steps.length) continue;
      const line = lineOf(run, metric, view.x);
      let at = line.step.findLastIndex((step, i) => step <= fall.step && line.y[i] !== null);
      if (at < 0) at = line.y.findIndex((y) => y !== null);
      if (at < 0) continue;
      marks.push({
        type: "scatter",
        mode: "markers",
        x: [line.x[at]],
        y: [line.y[at]],
        name: plainText(run.about.title),
        showlegend: false,
        cliponaxis: false,
        meta: "mark",
        hovertemplate: `${tell(run).map(plainText).join("<br>")}<extra></extra>`,
        marker: {
          color: group.color,
          symbol: ["nan", "diverged", "failed"].includes(fall.kind) ? "x-thin" : "triangle-down",
          size: panel.spec.span > 1 ? 12 : 9,
          line: { width: 2, color: group.color },
        },
      });
    }
  }
  return marks;
}

// Plotly reads a small HTML in names; what a person typed is not that.
/** @type {(text: string) => string} */
function plainText(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
