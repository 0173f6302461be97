// Numbers that teach: how wide a gate is, where r·w peaks, which side it damps, how much of the gradient it
// keeps where the tokens really are; and the τ that keeps as much as an ε does. All from the generated formulas.

const FAR = 12; // |log r|: e^12 is far beyond any ratio that training meets

// The ratio at which w first falls below `level`, going up (+1) or down (−1) from r = 1; 0 or ∞ if it never does.
/** @type {(w: (z: number) => number, level: number, direction: number) => number} */
function widthOf(w, level, direction) {
  let inside = 0;
  for (let z = 1e-4; z < FAR; z *= 1.05) {
    if (!(w(direction * z) >= level)) {
      let outside = z;
      for (let i = 0; i < 40; i++) {
        const middle = (inside + outside) / 2;
        if (w(direction * middle) >= level) inside = middle;
        else outside = middle;
      }
      return Math.exp(direction * inside);
    }
    inside = z;
  }
  return direction > 0 ? Infinity : 0;
}

/**
 * @param {Formula} f
 * @param {Knobs} knobs
 * @param {number} old
 * @param {number} sign
 */
export function gateFacts(f, knobs, old, sign) {
  /** @type {(value: number) => number} */
  const w = (z) => f(z, sign, knobs, old)[1] / Math.exp(z);
  /** @type {(value: number) => number} */
  const c = (z) => f(z, sign, knobs, old)[1];
  let top = 0;
  for (let z = -FAR, best = c(0); z <= FAR; z += 0.04) {
    const here = c(z);
    if (here > best) {
      best = here;
      top = z;
    }
  }
  for (let step = 0.04; step > 1e-6; step /= 2) {
    if (c(top + step) > c(top)) top += step;
    else if (c(top - step) > c(top)) top -= step;
  }
  // Harmful moves go the way the advantage already pushed (up for A > 0); corrective ones come back.
  /** @type {(direction: number) => boolean} */
  const damped = (direction) => [0.05, 0.2, 0.5, 1, 2, 4].some((z) => !(w(direction * z) > 0.99));
  return {
    half: [widthOf(w, 0.5, -1), widthOf(w, 0.5, 1)],
    ninety: [widthOf(w, 0.9, -1), widthOf(w, 0.9, 1)],
    peak: top > FAR - 0.1 ? { r: Infinity, value: Infinity } : { r: Math.exp(top), value: c(top) },
    harmful: damped(sign),
    corrective: damped(-sign),
  };
}

// Where tokens are: z with probabilities. A Gaussian in log r on a fine grid, or the ratios of a file as they are.
/** @type {(distribution: { z?: number[] }, spread: number) => Tokens} */
export function tokensAt(distribution, spread) {
  if (distribution.z) return { z: distribution.z, p: null };
  const z = [];
  const p = [];
  let total = 0;
  for (let i = 0; i <= 1600; i++) {
    const x = -4 + i / 200;
    z.push(x * spread);
    p.push(Math.exp((-x * x) / 2));
    total += p[i];
  }
  return { z, p: p.map((value) => value / total) };
}

// Mean weight over the tokens: the share of the gradient that is kept.
/** @type {(f: Formula, knobs: Knobs, old: number, sign: number, tokens: Tokens) => number} */
export function keptShare(f, knobs, old, sign, { z, p }) {
  let sum = 0;
  for (let i = 0; i < z.length; i++) {
    const w = f(z[i], sign, knobs, old)[1] / Math.exp(z[i]);
    sum += p ? p[i] * w : w / z.length;
  }
  return sum;
}

// The value of one knob at which `objective` keeps `target`, found by halving in log space; null if out of reach.
// `spec` bounds it; the share must rise or fall with the knob.
/**
 * @param {Formula} f
 * @param {Knobs} knobs
 * @param {string} name
 * @param {KnobRange} spec
 * @param {number} sign
 * @param {Tokens} tokens
 * @param {number} target
 */
export function matchKnob(f, knobs, name, spec, sign, tokens, target) {
  /** @type {(log: number) => number} */
  const kept = (x) => keptShare(f, { ...knobs, [name]: Math.exp(x) }, 0, sign, tokens);
  let low = Math.log(spec.lo);
  let high = Math.log(spec.hi);
  const rising = kept(high) > kept(low);
  const [least, most] = rising ? [kept(low), kept(high)] : [kept(high), kept(low)];
  if (target < least - 1e-3 || target > most + 1e-3) return null;
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (kept(middle) < target === rising) low = middle;
    else high = middle;
  }
  return Number(Math.exp((low + high) / 2).toPrecision(3));
}
