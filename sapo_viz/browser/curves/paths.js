// Lines that move with the slider. Plotly.react of 24 traces takes 60 ms on a slow machine; writing the paths of
// the few lines that moved takes 1 ms. This reaches into what plotly.js 7 draws (pinned; a browser test keeps
// watch), so whatever it does not find makes it answer false, and the caller redraws the ordinary way.

/** @type {(figure: any, moved: { index: number; x: number[]; y: number[] }[]) => boolean} */
export function movePaths(figure, moved) {
  const full = figure._fullLayout;
  for (const { index, x, y } of moved) {
    const trace = figure._fullData?.[index];
    const path = trace && figure.querySelector(`.trace${CSS.escape(trace.uid)} path.js-line`);
    if (!path) return false;
    const toX = pixels(full, trace.xaxis);
    const toY = pixels(full, trace.yaxis);
    let d = "";
    let pen = "M";
    for (let i = 0; i < x.length; i++) {
      const px = toX(x[i]);
      const py = toY(y[i]);
      if (!Number.isFinite(px) || !Number.isFinite(py)) {
        pen = "M";
        continue;
      }
      // SVG renderers lose lines whose ends are millions of pixels away.
      d += `${pen}${px.toFixed(2)},${Math.max(-1e4, Math.min(1e4, py)).toFixed(2)}`;
      pen = "L";
    }
    path.setAttribute("d", d || "M0,0");
  }
  return true;
}

// Upright lines that are shapes of the layout, moved to x.
/** @type {(figure: any, indices: number[], x: number) => boolean} */
export function moveShapes(figure, indices, x) {
  const full = figure._fullLayout;
  for (const index of indices) {
    const shape = full?.shapes?.[index];
    const path = shape && figure.querySelector(`.shapelayer path[data-index="${index}"]`);
    if (!path) return false;
    const axis = axisOf(full, shape.xref);
    const place = axis._offset + pixels(full, shape.xref)(x);
    path.setAttribute(
      "d",
      path
        .getAttribute("d")
        .replace(/^M[-\d.e]+,/, `M${place},`)
        .replace(/L[-\d.e]+,/, `L${place},`),
    );
  }
  return true;
}

/** @type {(full: any, name: string) => any} */
function axisOf(full, name) {
  return full[`${name[0]}axis${name.slice(1)}`];
}

/** @type {(full: any, name: string) => (value: number) => number} */
function pixels(full, name) {
  const axis = axisOf(full, name);
  return axis.type === "log" ? (v) => axis.l2p(Math.log10(v)) : (v) => axis.l2p(v);
}

// A range that holds the values and changes seldom: outward to whole steps of 1, 2 or 5 times a power of ten.
/** @type {(low: number, high: number) => Point} */
export function calmRange(low, high) {
  if (!(high > low)) {
    low -= 0.5;
    high += 0.5;
  }
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (rough / power >= 5 ? 5 : rough / power >= 2 ? 2 : 1);
  return [Math.floor(low / step) * step - step * 0.15, Math.ceil(high / step) * step + step * 0.15];
}
