// What the live figure computes: values in, values out; no page is needed. tests/browser/test_live_math.py has
// the expected numbers, and compares the collapse rule with runs/collapse.py.

// Exponential moving average, free of the pull towards 0 at its beginning: Σ wᵏ v / Σ wᵏ. A gap stays a gap.
function smoothed(values, weight) {
  if (!weight) return values;
  let sum = 0, mass = 0;
  return values.map((value) => {
    if (value === null || value === undefined) return null;
    sum = weight * sum + (1 - weight) * value;
    mass = weight * mass + (1 - weight);
    return sum / mass;
  });
}

// Runs as { step, x, y } of equal lengths; at each step that any has reached: how many have a value there, their
// mean, lowest and highest, and standard deviation (n − 1). x is the mean too: seeds are compared step by step.
function acrossRuns(runs) {
  const at = new Map();
  for (const { step, x, y } of runs) {
    for (let i = 0; i < step.length; i++) {
      if (y[i] === null || y[i] === undefined) continue;
      if (!at.has(step[i])) at.set(step[i], { xs: [], ys: [] });
      at.get(step[i]).xs.push(x[i]);
      at.get(step[i]).ys.push(y[i]);
    }
  }
  const mean = (values) => values.reduce((a, b) => a + b) / values.length;
  return [...at.keys()].sort((a, b) => a - b).map((step) => {
    const { xs, ys } = at.get(step), middle = mean(ys);
    const sd = ys.length > 1 ? Math.sqrt(ys.reduce((sum, y) => sum + (y - middle) ** 2, 0) / (ys.length - 1)) : 0;
    return { step, x: mean(xs), n: ys.length, mean: middle, low: Math.min(...ys), high: Math.max(...ys), sd };
  });
}

// The names that do not have one value in all of `settings`; one that is absent says nothing.
function differingNames(settings) {
  const seen = new Map();
  for (const values of settings) for (const [name, value] of Object.entries(values)) seen.set(name, (seen.get(name) ?? new Set()).add(value));
  return [...seen.keys()].filter((name) => seen.get(name).size > 1);
}

// The first step at which a run broke: { step, kind, told: { metric: [before, after] }, message }, or undefined.
function collapseOf(steps, last, { rule, finite, told }) {
  const metrics = steps.map((event) => event.metrics);
  const mean = (index, name) => {
    let sum = 0;
    for (let i = index - rule.window + 1; i <= index; i++) sum += metrics[i][name] ?? 0;
    return sum / rule.window;
  };
  const tell = (index) => {
    const start = Math.max(0, index - rule.window), inside = metrics.slice(start + 1, index + 1);
    if (!inside.length) inside.push(metrics[index]);
    const pairs = Object.entries(told).filter(([name]) => name in metrics[index]).map(([name, which]) => {
      const values = inside.map((m) => m[name] ?? null), there = values.filter((v) => v !== null);
      return [name, [metrics[start][name] ?? null, which === "last" ? values.at(-1) : there.length ? Math.max(...there) : null]];
    });
    return Object.fromEntries(pairs);
  };
  let best = metrics[0]?.reward ?? 0, firstEntropy;
  const below = { reward: 0, entropy: 0 }; // windows in a row
  for (let index = 0; index < metrics.length; index++) {
    if (finite.some((name) => name in metrics[index] && metrics[index][name] === null)) return { step: steps[index].step, kind: "nan", told: tell(index), message: "" };
    if (index + 1 < rule.window) continue;
    const reward = mean(index, "reward"), entropy = mean(index, "entropy");
    firstEntropy ??= entropy;
    const low = best - reward > rule.errors * Math.sqrt(Math.max(best * (1 - best), 0) / rule.completions);
    const atTheEnd = last?.type === "finished" && index + 1 === metrics.length;
    below.reward = low && reward < rule.share * best ? below.reward + 1 : 0;
    below.entropy = low && reward < rule.entropy_reward * best && entropy < rule.entropy_share * firstEntropy ? below.entropy + 1 : 0;
    for (const kind of ["reward", "entropy"]) {
      const at = index - below[kind] + 1;
      const stuck = atTheEnd && below[kind] > 0 && (metrics[index].reward ?? 0) < (kind === "reward" ? rule.share : rule.entropy_reward) * best;
      if (below[kind] === rule.stays || stuck) return { step: steps[at].step, kind, told: tell(at), message: "" };
    }
    best = Math.max(best, reward);
  }
  if (last?.type !== "failed") return undefined;
  return { step: last.step, kind: "failed", told: metrics.length ? tell(metrics.length - 1) : {}, message: last.message ?? "" };
}

function nearestOf(numbers, wanted) {
  return numbers.reduce((best, value) => (best === undefined || Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best), undefined);
}
