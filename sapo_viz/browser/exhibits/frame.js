// What stands around a panel of an exhibit.

import { tickText } from "../shared/axis.js";
import { label, svg } from "../shared/svg.js";

// Grid, tick labels and names of a panel: title above, x below, both axes' ranges from their scales.
/**
 * @type {(panel: {
 *   x: Axis; y: Axis; title?: string; note?: string; xName?: string; yName?: string;
 *   xText?: (value: number) => string; noX?: boolean; noY?: boolean;
 * }) => SVGElement[]}
 */
export function frameOf({ x, y, title, note, xName, yName, xText = tickText, noX = false, noY = false }) {
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
      const text = xText(v);
      const room = text.length * 3.6 + 3;
      if (x(v) - room < last) continue; // labels that would touch are left out
      nodes.push(label(x(v), bottom + 16, text, { "text-anchor": "middle", class: "exh-tick" }));
      last = x(v) + room;
    }
  }
  nodes.push(svg("line", { class: "exh-axis", x1: left, x2: right, y1: bottom, y2: bottom }));
  if (title) nodes.push(label(left, top - (note === undefined ? 10 : 26), title, { class: "exh-title" }));
  if (xName) nodes.push(label((left + right) / 2, bottom + 33, xName, { "text-anchor": "middle", class: "exh-name" }));
  if (yName)
    nodes.push(
      label(0, 0, yName, {
        "text-anchor": "middle",
        class: "exh-name",
        transform: `translate(${left - 40},${(top + bottom) / 2}) rotate(-90)`,
      }),
    );
  return nodes;
}
