// What the live figure computes: values in, values out; no page is needed. tests/javascript/live/math.test.js
// has the expected numbers. Whether a run has collapsed is not among it: the server says so.

// Exponential moving average, free of the pull towards 0 at its beginning: Σ wᵏ v / Σ wᵏ. A gap stays a gap.
/** @type {(values: (number | null)[], weight: number) => (number | null)[]} */
export function smoothed(values, weight) {
  if (!weight) return values;
  let sum = 0;
  let mass = 0;
  return values.map((value) => {
    if (value === null || value === undefined) return null;
    sum = weight * sum + (1 - weight) * value;
    mass = weight * mass + (1 - weight);
    return sum / mass;
  });
}

// Runs as { step, x, y } of equal lengths; at each step that any has reached: how many have a value there, their
// mean, lowest and highest, and standard deviation (n − 1). x is the mean too: seeds are compared step by step.
/** @type {(runs: Line[]) => { step: number; x: number; n: number; mean: number; low: number; high: number; sd: number }[]} */
export function acrossRuns(runs) {
  /** @type {Map<number, { xs: number[]; ys: number[] }>} */
  const at = new Map();
  for (const { step, x, y } of runs) {
    for (let i = 0; i < step.length; i++) {
      const value = y[i];
      if (value === null || value === undefined) continue;
      const here = at.get(step[i]) ?? { xs: [], ys: [] };
      here.xs.push(x[i]);
      here.ys.push(value);
      at.set(step[i], here);
    }
  }
  /** @type {(values: number[]) => number} */
  const mean = (values) => values.reduce((a, b) => a + b) / values.length;
  return [...at]
    .sort(([a], [b]) => a - b)
    .map(([step, { xs, ys }]) => {
      const middle = mean(ys);
      const sd = ys.length > 1 ? Math.sqrt(ys.reduce((sum, y) => sum + (y - middle) ** 2, 0) / (ys.length - 1)) : 0;
      return { step, x: mean(xs), n: ys.length, mean: middle, low: Math.min(...ys), high: Math.max(...ys), sd };
    });
}

// Of more points than `most` the highest of each stretch of them: what so many dots over one another would show.
/** @type {(x: number[], y: (number | null)[], most?: number) => { x: number[]; y: (number | null)[] }} */
export function highestOf(x, y, most = 600) {
  if (x.length <= most) return { x, y };
  const places = Array.from({ length: most }, (_, part) => {
    const from = Math.floor((part * x.length) / most);
    const to = Math.floor(((part + 1) * x.length) / most);
    let best = from;
    for (let i = from; i < to; i++) if ((y[i] ?? -Infinity) > (y[best] ?? -Infinity)) best = i;
    return best;
  });
  return { x: places.map((i) => x[i]), y: places.map((i) => y[i]) };
}

// The names that do not have one value in all of `settings`; one that is absent says nothing.
/** @type {(settings: Record<string, unknown>[]) => string[]} */
export function differingNames(settings) {
  const seen = new Map();
  for (const values of settings)
    for (const [name, value] of Object.entries(values)) seen.set(name, (seen.get(name) ?? new Set()).add(value));
  return [...seen.keys()].filter((name) => seen.get(name).size > 1);
}

/** @type {(value: unknown) => value is number} */
export function isNumber(value) {
  return Number.isFinite(value);
}

/** @type {(numbers: number[], wanted: number) => number | undefined} */
export function nearestOf(numbers, wanted) {
  return [...numbers].sort((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))[0];
}

// At most so many of these in even distances, and the last one: every 2nd, 4th, 8th …, so that of a longer list most
// are those of the shorter one.
/** @type {(steps: number[], most: number) => number[]} */
export function spreadOf(steps, most) {
  let apart = 1;
  while (steps.length > most * apart) apart *= 2;
  return steps.filter((_, i) => i % apart === 0 || i === steps.length - 1);
}
