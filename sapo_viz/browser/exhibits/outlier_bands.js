// Where the switches stand: a sequence's band with s, and the edges of a token's band.

import { FORMULAS } from "../formulas.js";
import { label, svg } from "../shared/svg.js";
import { sText, TOP } from "./outlier_shared.js";
import { sentence } from "./words.js";

/**
 * @param {ExhibitObjective[]} objectives
 * @param {Record<string, Knobs>} knobs
 * @param {{ y: Axis; left: number; right: number; s: number; words: Words }} place
 */
export function bandMarks(objectives, knobs, { y, left, right, s, words }) {
  /** @type {SVGElement[]} */
  const bands = [];
  /** @type {SVGElement[]} */
  const lines = [svg("line", { class: "exh-one", x1: left, x2: right, y1: y(1), y2: y(1) })];
  let marked = false;
  let named = false;
  for (const o of objectives) {
    const own = knobs[o.name];
    const { eps_low, eps_high } = own;
    const { token } = FORMULAS[o.name];
    const clips = eps_low !== undefined && eps_high !== undefined && !o.reads_logprobs;
    const [from, to] = token
      ? [Math.exp(token(-20, -1, own)[0]), Math.exp(token(20, 1, own)[0])]
      : [1 - eps_low, 1 + eps_high];
    const [low, high] = [y(Math.max(from, y.lo || 0)), Math.max(TOP, y(to))];
    if (o.level === "sequence" && !token) {
      if (clips)
        bands.push(
          svg("rect", {
            "data-testid": `band-${o.name}`,
            x: left,
            width: right - left,
            y: Math.min(high, y(1) - 1),
            height: Math.max(2, low - high),
            fill: o.color,
            opacity: 0.3,
          }),
        );
      if (!marked) {
        // on one line for all of them: they share s
        lines.push(
          svg("line", {
            x1: left,
            x2: right,
            y1: y(s),
            y2: y(s),
            stroke: o.color,
            "stroke-width": 2,
            "stroke-dasharray": "8 3 2 3",
          }),
        );
        lines.push(label(right + 6, y(s) + 4, `s = ${sText(s)}`, { class: "exh-strong" }));
      }
      marked = true;
    } else if (clips) {
      for (const edge of [low, high])
        if (edge < y.from && edge > TOP)
          bands.push(
            svg("line", {
              x1: left,
              x2: right,
              y1: edge,
              y2: edge,
              stroke: o.color,
              "stroke-width": 1.3,
              "stroke-dasharray": "6 4",
              opacity: 0.75,
            }),
          );
      // The first one's name says what such lines are; s, on the same side, comes first.
      if (!named && low < y.from - 4 && Math.abs(low - y(s)) > 15)
        lines.push(label(right + 6, low + 4, sentence(words.band, { label: o.label }), { class: "exh-name" }));
      named = true;
    }
  }
  return { bands, lines };
}
