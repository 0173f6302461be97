// Draws and what is measured of them.

// mulberry32: a seed gives the same draws on every machine.
/** @type {(seed: number) => () => number} */
export function generator(seed) {
  let a = (seed * 2654435761 + 1) >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** @type {(random: () => number) => number} */
export function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

// Student's t with 3 degrees of freedom has variance 3: divided by √3 it spreads as the normal does.
/** @type {(random: () => number) => number} */
export function studentT3(random) {
  const chi = normal(random) ** 2 + normal(random) ** 2 + normal(random) ** 2;
  return normal(random) / Math.sqrt(chi);
}

// The paper's stand-in for the gate, taken in z: not an objective of the catalogue, so no formula has it.
/** @type {(x: number) => number} */
export function sech2(x) {
  const e = Math.exp(-2 * Math.abs(x));
  return (4 * e) / (1 + e) ** 2;
}

// Below what |z| the given shares of the tokens lie, to a part in 4,096: sorting 100,000 numbers takes too long.
/** @type {(z: Float64Array, wanted: number[]) => number[]} */
export function shares(z, wanted) {
  let top = 1e-9;
  for (const value of z) top = Math.max(top, Math.abs(value));
  const bins = new Uint32Array(4097);
  for (const value of z) bins[Math.floor((Math.abs(value) / top) * 4096)] += 1;
  return wanted.map((share) => {
    let below = 0;
    let bin = 0;
    while (below + bins[bin] < share * z.length) below += bins[bin++];
    return ((bin + 1) / 4096) * top;
  });
}

/** @type {(values: ArrayLike<number>) => number} */
export function median(values) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** @type {(value: number) => number} */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8].find((m) => m * power >= value * 0.9999) ?? 10);
}
