// What each token of one sequence weighs under an objective, in training's own numbers.

import { FORMULAS } from "../formulas.js";
import { heldWithin } from "../shared/numbers.js";

/**
 * w and c of every token, and what is kept of the gradient. At sequence level every token is at the sequence's own
 * ratio; where tokens are treated before they are averaged (GMPO), each receives its own slope of that.
 * @param {{ name: string; level: string }} objective
 * @param {Knobs} knobs
 * @param {{ ratios: number[]; more: number; sign: number; old: number }} sequence `more` tokens are at r = 1; `old`
 *   is their probability under the old policy
 */
export function tokenWeights(objective, knobs, { ratios, more, sign, old }) {
  const f = FORMULAS[objective.name];
  const gate = f.level ?? f;
  /** @type {(z: number) => [number, number]} */
  const treated = (z) => f.token?.(z, sign, knobs) ?? [z, 1];
  const z = ratios.map(Math.log);
  const total = ratios.length + more;
  const sum = z.reduce((all, one) => all + treated(one)[0], 0) + more * treated(0)[0];
  const level = { sequence: sum / total, "sequence-product": sum }[objective.level];
  /** @type {(own: number) => { w: number; c: number; ratio: number }} */
  const at = (own) => {
    const [here, slope] = treated(own);
    const x = level ?? here;
    const ratio = Math.exp(heldWithin(x));
    const c = slope * gate(x, sign, knobs, Math.min(Math.log(old), -own))[1]; // a probability stays ≤ 1: π_old ≤ 1/r
    return { w: c / ratio, c, ratio };
  };
  const tokens = z.map(at);
  const filler = more ? at(0) : null;
  const kept = (tokens.reduce((a, t) => a + t.w, 0) + (filler ? more * filler.w : 0)) / total;
  const alive = tokens.filter((t) => t.c !== 0).length + (filler && filler.c !== 0 ? more : 0);
  return { tokens, filler, kept, alive, total, level };
}

// The token furthest from 1 in log ratio: the outlier of the read-out.
/** @type {(ratios: number[]) => number} */
export function furthest(ratios) {
  return ratios.reduce((best, r, i) => (Math.abs(Math.log(r)) > Math.abs(Math.log(ratios[best])) ? i : best), 0);
}
