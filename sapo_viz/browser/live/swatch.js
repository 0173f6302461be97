import { put, svg, svgDash } from "../shared/svg.js";

// The line of a run as it is drawn: its colour and its dashes.
const SWATCH = { width: 36, height: 10, line: 2.5 };

/** @type {(look: Look) => SVGElement} */
export function swatch(look) {
  const { width, height, line } = SWATCH;
  const picture = svg(
    "svg",
    { class: "live-swatch", "aria-hidden": "true", width, height, viewBox: `0 0 ${width} ${height}` },
    svg("line", { x1: 0, x2: width, y1: height / 2, y2: height / 2, "stroke-width": line }),
  );
  paintSwatch(picture, look);
  return picture;
}

/** @type {(picture: SVGElement & { look?: string }, look: Look) => void} */
export function paintSwatch(picture, { color, dash }) {
  const key = `${color} ${dash}`;
  if (picture.look === key) return;
  picture.look = key;
  put(/** @type {Element} */ (picture.firstChild), { stroke: color, "stroke-dasharray": svgDash(dash) });
}
