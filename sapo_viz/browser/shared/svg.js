// Pictures drawn by hand in SVG. A few hundred nodes whose attributes change cost 1–3 ms a frame, and handles in them
// are ordinary elements with focus and pointer.

export const SVG_NS = "http://www.w3.org/2000/svg";

/**
 * Attributes as they are to be; what is undefined, null or false goes.
 * @template {Element} T
 * @param {T} node
 * @param {Record<string, any>} attributes
 * @returns {T}
 */
export function put(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
  return node;
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, attributes = {}, ...children) {
  const node = put(document.createElementNS(SVG_NS, tag), attributes);
  node.append(...children);
  return node;
}

/** @type {(node: Element, text: string) => void} */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @type {(x: number, y: number, text: string, attributes?: Record<string, any>) => SVGElement} */
export function label(x, y, text, attributes = {}) {
  return svg("text", { x, y, ...attributes }, text);
}

// As many children as wanted; those that are there are used again, so that focus and pointer stay where they are.
/** @type {(group: Element, count: number, make: (i: number) => Element) => Element[]} */
export function pool(group, count, make) {
  while (group.childElementCount < count) group.append(make(group.childElementCount));
  while (group.childElementCount > count) group.lastElementChild?.remove();
  return [...group.children];
}

// Drawn anew only when what it shows has changed.
/** @type {(group: Element & { sapoKey?: string }, key: unknown, draw: () => Node[]) => void} */
export function memo(group, key, draw) {
  const text = JSON.stringify(key);
  if (group.sapoKey === text) return;
  group.sapoKey = text;
  group.replaceChildren(...draw());
}

/** @type {(points: Point[]) => string} */
export function linePath(points) {
  let d = "";
  let pen = "M";
  for (const [x, y] of points) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      pen = "M";
      continue;
    }
    d += `${pen}${x.toFixed(1)},${Math.max(-1e4, Math.min(1e4, y)).toFixed(1)}`;
    pen = "L";
  }
  return d || "M0,0";
}

// As Plotly draws the line styles that have a name, up to 3 px wide; others are lengths already, none is solid.
/** @type {Record<string, string | null>} */
const DASHES = { solid: null, dot: "3 3", dash: "9 9", dashdot: "9 3 3 3", longdash: "15 15", longdashdot: "15 6 3 6" };
/** @type {(dash?: string) => string | null} */
export function svgDash(dash = "solid") {
  return dash in DASHES ? DASHES[dash] : dash.replaceAll("px", "").replaceAll(",", " ");
}

// Hundreds of points as one path: round ends make dots of empty strokes, short strokes make crosses.
/** @type {(points: Point[]) => string} */
export function dotsPath(points) {
  return points.map(([x, y]) => `M${x.toFixed(1)},${y.toFixed(1)}h0`).join("") || "M0,0";
}
/** @type {(points: Point[], s?: number) => string} */
export function crossesPath(points, s = 3.5) {
  return (
    points
      .map(([x, y]) => `M${(x - s).toFixed(1)},${(y - s).toFixed(1)}l${2 * s},${2 * s}m0,${-2 * s}l${-2 * s},${2 * s}`)
      .join("") || "M0,0"
  );
}
