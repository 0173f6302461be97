// Below the ratios a row for each objective: what it keeps of every token, and of the whole.

import { label, pool, put, svg, svgDash, write } from "../shared/svg.js";
import { weightText } from "./outlier_shared.js";
import { count, percent, sentence } from "./words.js";

/**
 * @param {SVGElement} layer
 * @param {OutlierRow[]} all
 * @param {{
 *   place: (i: number) => number; step: number; left: number; right: number; top: number; row: number;
 *   by: "w" | "c"; selected: number; tally: string;
 * }} look `top`, `row`: where the first row begins, and how high each is; `by`: what the bars show; `tally` is the
 *   sentence of kept tokens, where there is room for one
 */
export function drawRows(layer, all, { place, step, left, right, top, row: rowHigh, by, selected, tally }) {
  const cellsOf = all.map(({ tokens, filler }) => (filler ? [...tokens, filler] : tokens));
  const high = Math.min(Math.max(1, ...cellsOf.flat().map((t) => t[by])), 20);
  const tallest = Math.min(30, rowHigh - 28);
  const bar = Math.max(3, Math.min(46, step * 0.6));
  pool(layer, all.length, makeRow).forEach((row, k) => {
    const { objective, kept, alive, total } = all[k];
    const y0 = top + rowHigh * k;
    const base = y0 + rowHigh - 6;
    const [swatch, name, share, few, line, one, bars, numbers] = row.children;
    put(row, { "data-testid": `row-${objective.name}`, "data-kept": kept, "data-alive": alive });
    put(swatch, {
      x1: 0,
      x2: 26,
      y1: y0 + 9,
      y2: y0 + 9,
      stroke: objective.color,
      "stroke-dasharray": svgDash(objective.dash),
    });
    put(name, { x: 32, y: y0 + 14 });
    put(share, { x: right + 6, y: base - 16 });
    put(few, { x: right + 6, y: base });
    write(name, objective.label);
    write(share, percent(kept));
    const numbersOf = { alive: count(alive), total: count(total) };
    write(few, sentence(total > 99 ? "{alive} / {total}" : tally, numbersOf));
    put(line, { x1: left, x2: right, y1: base, y2: base });
    put(one, { x1: left, x2: right, y1: base - tallest / high, y2: base - tallest / high });
    const cells = cellsOf[k];
    const heights = cells.map((cell) => Math.max(0, Math.min(1, cell[by] / high)) * tallest);
    pool(bars, cells.length, () => svg("rect")).forEach((rect, i) => {
      put(rect, {
        x: (place(i) - bar / 2).toFixed(1),
        width: bar.toFixed(1),
        y: (base - heights[i]).toFixed(1),
        height: heights[i].toFixed(1),
        fill: objective.color,
      });
    });
    const text = () => label(0, 0, "", { "text-anchor": "middle", class: "exh-halo" });
    pool(numbers, cells.length, text).forEach((node, i) => {
      put(node, {
        x: place(i).toFixed(1),
        y: (base - heights[i] - 4).toFixed(1),
        visibility: step > 36 || i === selected ? "visible" : "hidden",
      });
      write(node, weightText(cells[i][by]));
    });
  });
}

function makeRow() {
  return svg(
    "g",
    {},
    svg("line", { "stroke-width": 3 }),
    label(0, 0, "", { class: "exh-strong" }),
    label(0, 0, "", { class: "exh-big" }),
    label(0, 0, "", { class: "exh-tick" }),
    svg("line", { class: "exh-axis" }),
    svg("line", { class: "exh-one" }),
    svg("g"),
    svg("g"),
  );
}
