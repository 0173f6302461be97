// How far the mean of the token gates lies from one gate on the sequence, for drawn or given sequences.

import { FORMULAS } from "../formulas.js";
import { heldWithin } from "../shared/numbers.js";
import { generator, median, normal, sech2, shares, studentT3 } from "./statistics.js";

/**
 * Standard normal (or heavy-tailed) draws; the spreads only scale them, so that the picture moves smoothly.
 * @param {{ sequences: number; length: number; seed: number }} numbers
 * @param {string} tail
 */
export function draws({ sequences, length, seed }, tail) {
  const random = generator(seed);
  const one = tail === "heavy" ? studentT3 : normal;
  const between = new Float64Array(sequences);
  const within = new Float64Array(sequences * length);
  for (let i = 0; i < sequences; i++) {
    between[i] = normal(random);
    for (let t = 0; t < length; t++) within[i * length + t] = one(random);
  }
  return { between, within };
}

/**
 * Drawn sequences as z of their tokens and where each begins.
 * @param {{ sequences: number; length: number; between: number; within: number }} numbers
 * @param {{ between: Float64Array; within: Float64Array }} drawn
 */
export function scaled({ sequences, length, between, within }, drawn) {
  const z = drawn.within.map((own, k) => heldWithin(between * drawn.between[Math.floor(k / length)] + within * own));
  return { z, starts: Array.from({ length: sequences + 1 }, (_, i) => i * length) };
}

/**
 * Mean and variance of log r in each sequence, and where most tokens lie.
 * @param {Float64Array} z
 * @param {number[]} starts
 */
export function described(z, starts) {
  const n = starts.length - 1;
  const mean = new Float64Array(n);
  const variance = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let sum = 0;
    let squares = 0;
    for (let k = starts[i]; k < starts[i + 1]; k++) sum += z[k];
    mean[i] = sum / (starts[i + 1] - starts[i]);
    for (let k = starts[i]; k < starts[i + 1]; k++) squares += (z[k] - mean[i]) ** 2;
    variance[i] = squares / (starts[i + 1] - starts[i]);
  }
  const [most, far] = shares(z, [0.95, 0.995]);
  return { z, r: z.map(Math.exp), starts, mean, variance, most, far, middle: median(variance) };
}

/**
 * D_i under both gates. The gate in z is the paper's; the gate in r is the one that is trained, from its formula.
 * @param {{ z: Float64Array; r: Float64Array; starts: number[]; mean: Float64Array }} tokens
 * @param {number} tau
 */
export function distances({ z, r, starts, mean }, tau) {
  const knobs = { tau_pos: tau, tau_neg: tau };
  const f = FORMULAS.sapo;
  const n = mean.length;
  const inZ = new Float64Array(n);
  const inR = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let gateZ = 0;
    let gateR = 0;
    for (let k = starts[i]; k < starts[i + 1]; k++) {
      gateZ += sech2((tau * z[k]) / 2);
      gateR += f(z[k], 1, knobs, 0)[1] / r[k];
    }
    const length = starts[i + 1] - starts[i];
    inZ[i] = Math.abs(gateZ / length - sech2((tau * mean[i]) / 2));
    inR[i] = Math.abs(gateR / length - f(mean[i], 1, knobs, 0)[1] / Math.exp(mean[i]));
  }
  return { inZ, inR };
}

/**
 * How many distances are above the bound τ²/4 · Var, and by what factor at most.
 * @param {Float64Array} found
 * @param {Float64Array} variance
 * @param {number} tau
 */
export function judge(found, variance, tau) {
  const slope = tau ** 2 / 4;
  let above = 0;
  let factor = 0;
  found.forEach((d, i) => {
    const bound = slope * variance[i];
    if (d > bound * (1 + 1e-9) + 1e-13) above += 1;
    if (bound > 1e-12) factor = Math.max(factor, d / bound);
  });
  return { above, factor, n: found.length };
}
