// The numbers of the strip: ratio, coefficient c and weight w of each token under each objective, by FORMULAS.

function heldWithin(z) { return Math.min(20, Math.max(-20, z)); } // as training does

class StripNumbers {
  constructor(data) {
    const { arrays } = data;
    Object.assign(this, { data, z: arrays.z, logprobs: arrays.logprobs, length: arrays.token.length, by: new Map() });
    this.masked = new Uint8Array(this.length);
    for (const i of arrays.masked) this.masked[i] = 1;
  }

  text(i) { return this.data.texts[this.data.arrays.token[i]]; }
  id(i) { return this.data.ids?.[this.data.arrays.token[i]]; }
  advantage(i) { const { advantages } = this.data.arrays; return advantages.length > 1 ? advantages[i] : advantages[0] ?? 0; }
  of(name) { return this.by.get(name); }

  // Whatever the objective says of a token alone is found here, under the hand; `kept` is Σ|A|w / Σ|A|.
  weigh(objective, knobs) {
    const { length, masked } = this;
    const found = this.by.get(objective.name) ?? { c: new Float64Array(length), w: new Float64Array(length), ratio: new Float64Array(length) };
    this.by.set(objective.name, found);
    if (!objective.live) this.takeFromPython(objective.name, found);
    else if (objective.level === "token") this.weighTokens(FORMULAS[objective.catalogue], knobs, found);
    else this.weighSequence(FORMULAS[objective.catalogue], knobs, found);
    const { advantages } = this.data.arrays, varying = advantages.length > 1, same = Math.abs(this.advantage(0));
    let kept = 0, total = 0;
    for (let i = 0; i < length; i++) {
      if (masked[i]) continue;
      const size = varying ? Math.abs(advantages[i]) : same;
      kept += size * found.w[i];
      total += size;
    }
    found.kept = total ? kept / total : NaN;
  }

  weighTokens(f, knobs, { c, w, ratio }) {
    const { z, logprobs, masked } = this, { advantages } = this.data.arrays, varying = advantages.length > 1;
    const same = this.advantage(0);
    for (let i = 0; i < z.length; i++) {
      if (masked[i]) continue;
      const A = varying ? advantages[i] : same;
      c[i] = f(z[i], A === 0 ? -1 : A, knobs, logprobs[i] - z[i])[1]; // no gradient: the gate of a small negative A
      ratio[i] = Math.exp(heldWithin(z[i]));
      w[i] = c[i] / ratio[i];
    }
  }

  // Every token stands at the sequence's own ratio, and is weighed the same.
  weighSequence(f, knobs, { c, w, ratio }) {
    const A = this.advantage(0), s = Math.exp(heldWithin(this.data.log_s));
    const here = f(this.data.log_s, A === 0 ? -1 : A, knobs)[1];
    c.fill(here);
    ratio.fill(s);
    w.fill(here / s);
  }

  takeFromPython(name, found) {
    found.ratio = this.data.arrays[`${name}:ratio`];
    found.w = this.data.arrays[`${name}:weight`];
    found.c = found.w.map((w, i) => w * found.ratio[i]);
  }

  // J of one token; `ratio` is at the objective's level.
  surrogate(objective, knobs, i) {
    if (!objective.live) return this.data.arrays[`${objective.name}:surrogate`][i];
    const level = objective.level === "token" ? this.z[i] : this.data.log_s;
    return FORMULAS[objective.catalogue](level, this.advantage(i), knobs, this.logprobs[i] - level)[0];
  }

  // What the letters of a formula stand for at this token (strip_formula.py has the same names).
  symbols(objective, i) {
    const logp = this.logprobs[i], z = this.z[i], shared = this.of(objective.name).ratio[i], old = logp - z;
    const A = this.advantage(i);
    return { r: Math.exp(heldWithin(z)), s: shared, W: shared, z, A, logp, logp_old: old, p: Math.exp(logp), p_old: Math.exp(old), length: this.data.count };
  }
}
