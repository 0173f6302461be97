// Under each token a bar for each objective: how much of the token it loses. One path per objective, so that a knob
// that is dragged writes one attribute, however many tokens are in sight.

import { onPage } from "../shared/colour.js";
import { fateOf } from "./scales.js";

const SVG = "http://www.w3.org/2000/svg";
export const MOST_BARS = 6;
const LEAST = 2; // pixels of the shortest bar that is drawn

// Pixels of a bar and of the room under a line of text that `count` of them take.
/** @type {(count: number) => { thick: number; step: number; room: number }} */
export function barsRoom(count) {
  const thick = count > 3 ? 2 : 3;
  const step = thick + 1;
  return { thick, step, room: count * step };
}

/**
 * Paths of one objective's bars: what is `lost` as far as it goes; `more` and `reversed` along the whole token.
 * @param {{ i: number; left: number; width: number; y: number; rtl: boolean }[]} places
 * @param {Weighed} weighed
 * @param {Uint8Array} masked
 */
export function barPaths(places, { w, c }, masked) {
  /** @type {Record<string, string>} */
  const paths = { lost: "", more: "", reversed: "" };
  for (const { i, left, width, y, rtl } of places) {
    if (masked[i] || width <= 0) continue;
    const fate = fateOf(w[i], c[i]);
    if (!fate) continue;
    const long = fate === "dimmed" ? Math.min(width, Math.max(LEAST, width * (1 - w[i]))) : width;
    const from = rtl ? left + width - long : left;
    const kind = fate === "more" || fate === "reversed" ? fate : "lost";
    paths[kind] += `M${from.toFixed(1)} ${y}h${long.toFixed(1)}`;
  }
  return paths;
}

// Of two with the same colour (there are more objectives than colours) the later is mixed with ink.
/** @type {(objective: StripObjective, among: StripObjective[]) => string} */
export function barColour(objective, among) {
  const first = among.find(({ color }) => color === objective.color);
  const color = onPage(objective.color);
  return first === objective ? color : `color-mix(in srgb, ${color} 50%, var(--st-text-color))`;
}

export class StripBars {
  constructor() {
    /** @type {StripObjective[]} */
    this.objectives = [];
    this.node = document.createElementNS(SVG, "svg");
    this.node.setAttribute("class", "tok-bars");
    this.node.setAttribute("aria-hidden", "true");
    /** @type {Map<string, Record<string, SVGPathElement>>} */
    this.paths = new Map();
  }

  /** @param {StripObjective[]} objectives */
  build(objectives) {
    this.objectives = objectives;
    const { thick, step } = barsRoom(objectives.length);
    this.paths.clear();
    this.node.replaceChildren(
      ...objectives.map((objective, place) => {
        const group = document.createElementNS(SVG, "g");
        group.dataset.objective = objective.name;
        group.style.stroke = barColour(objective, objectives);
        group.setAttribute("stroke-width", String(thick));
        group.setAttribute("transform", `translate(0 ${place * step + thick / 2})`);
        /** @type {Record<string, SVGPathElement>} */
        const own = {};
        for (const kind of ["lost", "more", "reversed"]) {
          own[kind] = document.createElementNS(SVG, "path");
          own[kind].setAttribute("class", `tok-${kind}`);
          group.append(own[kind]);
        }
        this.paths.set(objective.name, own);
        return group;
      }),
    );
  }

  /** @type {(name: string, places: any[], weighed: Weighed, masked: Uint8Array) => void} */
  draw(name, places, weighed, masked) {
    const own = this.paths.get(name);
    if (!own) return;
    const made = barPaths(places, weighed, masked);
    for (const [kind, path] of Object.entries(own)) path.setAttribute("d", made[kind]);
  }
}
