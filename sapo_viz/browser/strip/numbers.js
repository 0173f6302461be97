// The numbers of the strip: ratio, coefficient c and weight w of each token under each objective, by FORMULAS.

import { FORMULAS } from "../formulas.js";
import { choiceOf, correctionWeight } from "../shared/correction_weight.js";
import { heldWithin } from "../shared/numbers.js";
import { PLAIN } from "./scales.js";

export class StripNumbers {
  /** @param {StripData} data */
  constructor(data) {
    const { arrays } = data;
    this.data = data;
    this.z = arrays.z;
    this.logprobs = arrays.logprobs;
    this.length = arrays.token.length;
    /** @type {Map<string, Weighed>} */
    this.by = new Map();
    this.masked = new Uint8Array(this.length);
    for (const i of arrays.masked) this.masked[i] = 1;
    /** @type {Float64Array | number | null} the correction's weight, of each token or of all; null: none */
    this.rho = null;
  }

  /** @type {(i: number) => string} */
  text(i) {
    return this.data.texts[this.data.arrays.token[i]];
  }

  /** @type {(i: number) => number | undefined} */
  id(i) {
    return this.data.ids?.[this.data.arrays.token[i]];
  }

  /** @type {(i: number) => number} */
  advantage(i) {
    const { advantages } = this.data.arrays;
    return advantages.length > 1 ? advantages[i] : (advantages[0] ?? 0);
  }

  // What was weighed last.
  /** @type {(name: string) => Weighed} */
  of(name) {
    return /** @type {Weighed} */ (this.by.get(name));
  }

  // Whatever the objective says of a token alone is computed here, while a knob moves; `kept` is Σ|A|w / Σ|A|.
  /** @type {(objective: StripObjective, knobs: Knobs) => void} */
  weigh(objective, knobs) {
    const fresh = () => new Float64Array(this.length);
    const found = this.by.get(objective.name) ?? startOf({ w: fresh(), c: fresh() }, fresh());
    this.by.set(objective.name, found);
    if (!objective.live) this.takeFromPython(objective.name, found);
    else if (objective.level === "token") this.weighTokens(FORMULAS[objective.catalogue], knobs, found);
    else this.weighSequence(FORMULAS[objective.catalogue], knobs, found);
    this.multiply(found);
  }

  // What the sampler's correction makes of each token, once for all objectives; their gates stay as they were weighed.
  /** @param {CorrectionValue} value */
  correct(value) {
    const { correction, arrays } = this.data;
    const choice = arrays.log_rho && choiceOf(correction, value);
    if (!choice) this.rho = null;
    else if (choice.level === "token") {
      const rho = this.rho instanceof Float64Array ? this.rho : new Float64Array(this.length);
      for (let i = 0; i < rho.length; i++) rho[i] = correctionWeight(choice, value, arrays.log_rho[i]);
      this.rho = rho;
    } else this.rho = correctionWeight(choice, value, correction.log_rho?.[choice.level] ?? 0);
    for (const found of this.by.values()) this.multiply(found);
  }

  // Gate times correction, and what the strip says of all tokens together.
  /** @param {Weighed} found */
  multiply(found) {
    const { length, masked, rho } = this;
    const { gate } = found;
    if (rho === null) Object.assign(found, gate);
    else {
      if (found.w === gate.w) Object.assign(found, { w: new Float64Array(length), c: new Float64Array(length) });
      const each = rho instanceof Float64Array ? rho : null;
      const all = typeof rho === "number" ? rho : 1;
      for (let i = 0; i < length; i++) {
        const weight = each ? each[i] : all;
        found.w[i] = gate.w[i] * weight;
        found.c[i] = gate.c[i] * weight;
      }
    }
    const { advantages } = this.data.arrays;
    const varying = advantages.length > 1;
    const same = Math.abs(this.advantage(0));
    let kept = 0;
    let total = 0;
    let low = Infinity;
    let high = -Infinity;
    for (let i = 0; i < length; i++) {
      if (masked[i]) continue;
      const size = varying ? Math.abs(advantages[i]) : same;
      const w = found.w[i];
      kept += size * w;
      total += size;
      if (w < low) low = w;
      if (w > high) high = w;
    }
    found.kept = total ? kept / total : NaN;
    found.varies = high - low > 1e-9;
    found.more = high > 1 + PLAIN;
    found.reversed = low < 0;
  }

  /** @type {(f: Formula, knobs: Knobs, found: Weighed) => void} */
  weighTokens(f, knobs, { gate: { c, w }, ratio }) {
    const { z, logprobs, masked } = this;
    const { advantages } = this.data.arrays;
    const varying = advantages.length > 1;
    const same = this.advantage(0);
    for (let i = 0; i < z.length; i++) {
      if (masked[i]) continue;
      const A = varying ? advantages[i] : same;
      c[i] = f(z[i], A === 0 ? -1 : A, knobs, logprobs[i] - z[i])[1]; // no gradient: the gate of a small negative A
      ratio[i] = Math.exp(heldWithin(z[i]));
      w[i] = c[i] / ratio[i];
    }
  }

  // Every token is at the sequence's own ratio, and is weighed the same.
  /** @type {(f: Formula, knobs: Knobs, found: Weighed) => void} */
  weighSequence(f, knobs, { gate: { c, w }, ratio }) {
    const A = this.advantage(0);
    const s = Math.exp(heldWithin(this.data.log_s));
    const here = f(this.data.log_s, A === 0 ? -1 : A, knobs)[1];
    c.fill(here);
    ratio.fill(s);
    w.fill(here / s);
  }

  /** @type {(name: string, found: Weighed) => void} */
  takeFromPython(name, found) {
    found.ratio = this.data.arrays[`${name}:ratio`];
    const w = this.data.arrays[`${name}:weight`];
    found.gate = { w, c: w.map((own, i) => own * found.ratio[i]) };
    if (this.rho === null) Object.assign(found, found.gate);
  }

  // J of one token; `ratio` is at the objective's level.
  /** @type {(objective: StripObjective, knobs: Knobs, i: number) => number} */
  surrogate(objective, knobs, i) {
    if (!objective.live) return this.data.arrays[`${objective.name}:surrogate`][i];
    const level = objective.level === "token" ? this.z[i] : this.data.log_s;
    return FORMULAS[objective.catalogue](level, this.advantage(i), knobs, this.logprobs[i] - level)[0];
  }

  // What the letters of a formula stand for at this token (figures/strip/formula.py has the same names).
  /** @type {(objective: StripObjective, i: number) => Record<string, number>} */
  symbols(objective, i) {
    const logp = this.logprobs[i];
    const z = this.z[i];
    const shared = this.of(objective.name).ratio[i];
    const old = logp - z;
    const A = this.advantage(i);
    return {
      r: Math.exp(heldWithin(z)),
      s: shared,
      W: shared,
      z,
      A,
      logp,
      logp_old: old,
      p: Math.exp(logp),
      p_old: Math.exp(old),
      length: this.data.count,
    };
  }
}

/** @type {(gate: Weighed["gate"], ratio: Column) => Weighed} */
function startOf(gate, ratio) {
  return { ...gate, gate, ratio };
}
