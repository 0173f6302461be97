// Runs as Plotly traces of one panel: single lines, or a mean line with a band for runs that differ by their seed.

const FAINT = 0.3; // of the raw line behind a smoothed one

// What a run has at its steps, on the chosen x axis.
function lineOf(run, metric, axis) {
  const by = { step: (event) => event.step, tokens: (event) => event.metrics.tokens, time: (event) => event.metrics.seconds }[axis];
  return { step: run.steps.map((event) => event.step), x: run.steps.map(by), y: run.steps.map((event) => event.metrics[metric] ?? null) };
}

function tracesOf(panel, groups, view, words) {
  const traces = [];
  for (const group of groups) {
    panel.spec.series.forEach((series, place) => {
      const lines = group.runs.map((run) => lineOf(run, series.metric, view.x));
      const of = panel.spec.series.length > 1 ? ` ${series.label}` : "";
      const about = { group, series, of, logy: panel.logy, first: place === 0, view, words, width: series.width * (group.pinned ? 1.5 : 1) };
      if (group.runs.length > 1 && view.band !== "lines") traces.push(...bandTraces(lines, about));
      else lines.forEach((line, i) => traces.push(...lineTraces(line, about, group.runs[i])));
    });
  }
  return traces;
}

function lineTraces(line, { group, series, of, view, width }, run) {
  const { color, dash } = group, name = plainText((group.runs.length > 1 ? run.about.title : group.name) + of);
  const base = { type: "scatter", x: line.x, hovertemplate: `%{y:.3g} ${name}<extra></extra>`, name, meta: run.id };
  if (series.dots) return [{ ...base, y: line.y, mode: "markers", marker: { color, size: 3.5 }, opacity: 0.8 }];
  const drawn = { ...base, y: smoothed(line.y, view.smooth), mode: "lines", line: { color, dash, width } };
  return view.smooth ? [rawTrace(line.x, line.y, color), drawn] : [drawn];
}

// The mean is drawn boldly where all seeds that have begun are there, thinly where some are not (yet, or any more).
function bandTraces(lines, { group, series, of, logy, first, view, words, width }) {
  const { color, dash } = group, name = plainText(group.name + of);
  const raw = acrossRuns(lines);
  if (series.dots) {
    return [{ type: "scatter", mode: "markers", x: raw.map((p) => p.x), y: raw.map((p) => p.high), marker: { color, size: 3.5 }, opacity: 0.8, name, hovertemplate: `%{y:.3g} ${name}<extra></extra>` }];
  }
  const points = view.smooth ? acrossRuns(lines.map((line) => ({ ...line, y: smoothed(line.y, view.smooth) }))) : raw;
  const traces = [];
  if (first) {
    const ends = points.filter((p) => p.n > 1).map((p) => (view.band === "sd" ? [p.x, p.mean - p.sd, p.mean + p.sd] : [p.x, p.low, p.high]));
    const floor = Math.min(...points.map((p) => p.mean).filter((v) => v > 0)) / 100; // a log axis has no 0
    const low = (v) => (logy ? Math.max(v, floor) : v);
    traces.push({ type: "scatter", mode: "lines", fill: "toself", fillcolor: color, opacity: 0.18, line: { width: 0 }, hoverinfo: "skip", meta: "band", showlegend: false,
      x: [...ends.map((e) => e[0]), ...ends.map((e) => e[0]).reverse()], y: [...ends.map((e) => e[2]), ...ends.map((e) => low(e[1])).reverse()] });
  }
  if (view.smooth) traces.push(rawTrace(raw.map((p) => p.x), raw.map((p) => p.mean), color));
  const whole = lines.filter((line) => line.step.length).length, all = (p) => p.n === whole, some = (p) => p.n < whole;
  const beside = (i) => [i - 1, i, i + 1].some((j) => points[j] && some(points[j])); // so that the two parts meet
  const common = { type: "scatter", mode: "lines", x: points.map((p) => p.x), customdata: points.map((p) => p.n) };
  const hovertemplate = `%{y:.3g} ${name} (${words.mean} %{customdata})<extra></extra>`;
  traces.push({ ...common, y: points.map((p) => (all(p) ? p.mean : null)), name: `${name} × ${whole} (${words.view.bands[view.band]})`, hovertemplate, line: { color, dash, width }, meta: "mean" });
  if (points.some(some)) traces.push({ ...common, y: points.map((p, i) => (beside(i) ? p.mean : null)), name, hovertemplate, showlegend: false, line: { color, dash, width: Math.max(0.75, width / 2) }, opacity: 0.75, meta: "part" });
  return points.length ? traces : [];
}

function rawTrace(x, y, color) {
  return { type: "scatter", mode: "lines", x, y, hoverinfo: "skip", showlegend: false, opacity: FAINT, line: { color, width: 1 }, meta: "raw" };
}

// A triangle where a run collapsed, a cross where a number was none or the run failed; on every panel's curve.
function markTraces(panel, groups, view, tell) {
  const marks = [], { metric } = panel.spec.series[0];
  for (const group of groups) {
    for (const run of group.runs) {
      const fall = run.collapse;
      if (!fall || !run.steps.length) continue;
      const line = lineOf(run, metric, view.x);
      let at = line.step.findLastIndex((step, i) => step <= fall.step && line.y[i] !== null);
      if (at < 0) at = line.y.findIndex((y) => y !== null);
      if (at < 0) continue;
      marks.push({ type: "scatter", mode: "markers", x: [line.x[at]], y: [line.y[at]], name: plainText(run.about.title), showlegend: false, cliponaxis: false, meta: "mark",
        hovertemplate: `${tell(run).map(plainText).join("<br>")}<extra></extra>`,
        marker: { color: group.color, symbol: ["nan", "failed"].includes(fall.kind) ? "x-thin" : "triangle-down", size: panel.spec.span > 1 ? 12 : 9, line: { width: 2, color: group.color } } });
    }
  }
  return marks;
}

// Plotly reads a small HTML in names; what a person typed is not that.
function plainText(text) { return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"); }
