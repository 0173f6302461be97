// Pictures drawn by hand in SVG: scales, axes, and taking the picture home. A few hundred nodes whose attributes
// change cost 1–3 ms a frame, and handles in them are ordinary elements with focus and pointer.

const SVG_NS = "http://www.w3.org/2000/svg";

function put(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = put(document.createElementNS(SVG_NS, tag), attributes);
  node.append(...children);
  return node;
}

function write(node, text) { if (node.textContent !== text) node.textContent = text; }

function label(x, y, text, attributes = {}) { return svg("text", { x, y, ...attributes }, text); }

// As many children as wanted; those that are there are used again, so that focus and pointer stay where they are.
function pool(group, count, make) {
  while (group.childElementCount < count) group.append(make(group.childElementCount));
  while (group.childElementCount > count) group.lastElementChild.remove();
  return [...group.children];
}

// Drawn anew only when what it shows has changed.
function memo(group, key, draw) {
  const text = JSON.stringify(key);
  if (group.sapoKey === text) return;
  group.sapoKey = text;
  group.replaceChildren(...draw());
}

// value -> pixel and back; `from` and `to` are the pixels of lo and hi.
function axisScale(lo, hi, from, to, log = false) {
  const f = log ? (v) => Math.log(Math.max(v, 1e-300)) : (v) => v;
  const a = f(lo), b = f(hi);
  const scale = (v) => from + ((f(v) - a) / (b - a)) * (to - from);
  scale.inverse = (pixel) => { const t = a + ((pixel - from) / (to - from)) * (b - a); return log ? Math.exp(t) : t; };
  scale.toJSON = () => [lo, hi, from, to, log]; // a function would leave no trace in the key of memo()
  return Object.assign(scale, { lo, hi, from, to, log, ticks: log ? logTicks(lo, hi) : evenTicks(lo, hi) });
}

function evenTicks(lo, hi, wanted = 5) {
  const rough = (hi - lo) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= rough) ?? 10);
  const ticks = [];
  for (let v = Math.ceil(lo / step - 1e-9) * step; v <= hi + step * 1e-9; v += step) ticks.push(Number(v.toPrecision(12)));
  return ticks;
}

function logTicks(lo, hi) {
  const decades = Math.log10(hi / lo), marks = decades > 4 ? [1] : decades > 1.6 ? [1, 3] : decades > 0.8 ? [1, 2, 5] : [1, 1.5, 2, 3, 5, 7];
  const every = decades > 8 ? Math.ceil(decades / 6) : 1, ticks = [];
  for (let e = Math.floor(Math.log10(lo)); e <= Math.log10(hi); e++) {
    if (e % every) continue;
    for (const mark of marks) { const v = Number(`${mark}e${e}`); if (v >= lo * 0.999 && v <= hi * 1.001) ticks.push(v); }
  }
  return ticks;
}

function tickText(value) {
  const size = Math.abs(value);
  if (size >= 1000) return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
  const exponent = Math.floor(Math.log10(size) + 1e-9);
  if (size > 0 && size < 1e-3) {
    const mantissa = Number((value / 10 ** exponent).toPrecision(2));
    const raised = String(exponent).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
    return `${mantissa === 1 ? "" : `${mantissa}·`}10${raised}`;
  }
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

// Grid, tick labels and names of a panel: title above, x below, both axes' ranges from their scales.
function frameOf({ x, y, title, note, xName, yName, xText = tickText, noX = false, noY = false }) {
  const nodes = [];
  const [left, right, bottom, top] = [x.from, x.to, y.from, y.to];
  if (!noY) {
    for (const v of y.ticks) {
      nodes.push(svg("line", { class: "exh-grid", x1: left, x2: right, y1: y(v), y2: y(v) }));
      nodes.push(label(left - 6, y(v) + 4, tickText(v), { "text-anchor": "end", class: "exh-tick" }));
    }
  }
  if (!noX) {
    let last = -Infinity;
    for (const v of x.ticks) {
      nodes.push(svg("line", { class: "exh-grid", x1: x(v), x2: x(v), y1: bottom, y2: top }));
      const text = xText(v), room = text.length * 3.6 + 3;
      if (x(v) - room < last) continue; // labels that would touch are left out
      nodes.push(label(x(v), bottom + 16, text, { "text-anchor": "middle", class: "exh-tick" }));
      last = x(v) + room;
    }
  }
  nodes.push(svg("line", { class: "exh-axis", x1: left, x2: right, y1: bottom, y2: bottom }));
  if (title) nodes.push(label(left, top - (note === undefined ? 10 : 26), title, { class: "exh-title" }));
  if (xName) nodes.push(label((left + right) / 2, bottom + 33, xName, { "text-anchor": "middle", class: "exh-name" }));
  if (yName) nodes.push(label(0, 0, yName, { "text-anchor": "middle", class: "exh-name", transform: `translate(${left - 40},${(top + bottom) / 2}) rotate(-90)` }));
  return nodes;
}

function linePath(points) {
  let d = "", pen = "M";
  for (const [x, y] of points) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) { pen = "M"; continue; }
    d += `${pen}${x.toFixed(1)},${Math.max(-1e4, Math.min(1e4, y)).toFixed(1)}`;
    pen = "L";
  }
  return d || "M0,0";
}

// As Plotly draws the line styles that have a name, up to 3 px wide; others are lengths already, none is solid.
const DASHES = { solid: null, dot: "3 3", dash: "9 9", dashdot: "9 3 3 3", longdash: "15 15", longdashdot: "15 6 3 6" };
function svgDash(dash = "solid") { return dash in DASHES ? DASHES[dash] : dash.replaceAll("px", "").replaceAll(",", " "); }

// Hundreds of points as one path: round ends make dots of empty strokes, short strokes make crosses.
function dotsPath(points) { return points.map(([x, y]) => `M${x.toFixed(1)},${y.toFixed(1)}h0`).join("") || "M0,0"; }
function crossesPath(points, s = 3.5) {
  return points.map(([x, y]) => `M${(x - s).toFixed(1)},${(y - s).toFixed(1)}l${2 * s},${2 * s}m0,${-2 * s}l${-2 * s},${2 * s}`).join("") || "M0,0";
}

// ── taking the picture home ─────────────────────────────────────────────────────────────────────
const KEPT_STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-opacity", "opacity", "font-family", "font-size", "font-weight", "font-variant-numeric", "text-anchor", "paint-order", "visibility"];

// A copy that looks the same without this page's style sheet, opaque, with a line that says what it was made with.
function portable(source, caption, theme) {
  const copy = source.cloneNode(true);
  const [from, to] = [source.querySelectorAll("*"), copy.querySelectorAll("*")];
  from.forEach((node, i) => {
    const style = getComputedStyle(node);
    for (const name of KEPT_STYLES) to[i].setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "style", "tabindex", "role"]) to[i].removeAttribute(name);
  });
  const width = source.clientWidth, height = source.clientHeight, pad = 16, foot = 24;
  put(copy, { xmlns: SVG_NS, width: width + 2 * pad, height: height + 2 * pad + foot, viewBox: `${-pad} ${-pad} ${width + 2 * pad} ${height + 2 * pad + foot}`, class: null, style: null });
  copy.prepend(svg("rect", { x: -pad, y: -pad, width: "100%", height: "100%", fill: theme.background }));
  copy.append(label(0, height + foot, caption, { fill: theme.text, "font-family": "sans-serif", "font-size": 12 }));
  return copy;
}

function saveSvgText(source, name, caption, theme) {
  saveText(`${name}.svg`, new XMLSerializer().serializeToString(portable(source, caption, theme)), "image/svg+xml");
}

async function saveSvgPng(source, name, caption, theme) {
  const copy = portable(source, caption, theme), scale = 2;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  const canvas = el("canvas", { width: copy.getAttribute("width") * scale, height: copy.getAttribute("height") * scale });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  el("a", { href: canvas.toDataURL("image/png"), download: `${name}.png` }).click();
}
