// Sequence coherence: does the mean of the token gates equal one gate on the sequence? Draws (or a file), the
// distance D_i of the two against the spread Var_i inside the sequence, and the bound that holds for one gate only.

export default function (component) { return mount(component, CoherenceExhibit); }

class CoherenceExhibit extends Exhibit {
  constructor(parent) {
    super(parent);
    const names = ["frameZ", "frameR", "bound", "dots", "crosses", "notes", "frameH", "frameV", "bars", "marks"];
    this.layers = Object.fromEntries(names.map((name) => [name, svg("g", { "aria-hidden": "true" })]));
    this.svg.append(...Object.values(this.layers));
  }

  received() { this.drawn = this.spread = null; }

  // ── controls ────────────────────────────────────────────────────────────────────────────────
  build() {
    const { words, data } = this, c = data.controls;
    const rows = [this.group(words.gate, null, this.slider("numbers", c.tau))];
    if (!data.file) {
      rows.push(this.group(words.draws, null,
        this.slider("numbers", c.within), this.slider("numbers", c.between),
        this.slider("numbers", c.sequences, { whole: true }), this.slider("numbers", c.length, { whole: true }),
        this.choice(words.tail, "tail", [["normal", words.normal], ["heavy", words.heavy]]),
        el("div", { class: "exh-pair" }, this.button(words.again, () => {
          this.values.numbers.seed = (this.values.numbers.seed + 1) % 10000;
          this.schedule();
          this.released();
        }, "draw-again"), this.seed = el("span", { class: "lab-note", "data-testid": "seed" }))));
    }
    return [this.choice(words.axes, "axes", [["linear", words.linear], ["log", words.log]]), ...rows];
  }

  // ── numbers ─────────────────────────────────────────────────────────────────────────────────
  // Standard normal (or heavy-tailed) draws, kept: the spreads only scale them, so that the picture moves smoothly.
  draws() {
    const { sequences, length, seed } = this.values.numbers, key = [sequences, length, seed, this.values.tail].join();
    if (this.drawn?.key === key) return this.drawn;
    const random = generator(seed), heavy = this.values.tail === "heavy";
    const between = new Float64Array(sequences), within = new Float64Array(sequences * length);
    for (let i = 0; i < sequences; i++) {
      between[i] = normal(random);
      for (let t = 0; t < length; t++) within[i * length + t] = heavy ? studentT3(random) : normal(random);
    }
    return (this.drawn = { key, between, within });
  }

  // z of all tokens, where each sequence begins, its mean and variance; anew only when a spread or a draw changes.
  tokens() {
    const { sequences, length, between, within } = this.values.numbers;
    const key = this.data.file ? "file" : [sequences, length, between, within, this.values.numbers.seed, this.values.tail].join();
    if (this.spread?.key === key) return this.spread;
    let z, starts;
    if (this.data.file) {
      z = Float64Array.from(this.data.file.z);
      starts = this.data.file.starts;
    } else {
      const drawn = this.draws();
      z = new Float64Array(sequences * length);
      for (let i = 0, k = 0; i < sequences; i++) {
        for (let t = 0; t < length; t++, k++) z[k] = Math.min(20, Math.max(-20, between * drawn.between[i] + within * drawn.within[k]));
      }
      starts = Array.from({ length: sequences + 1 }, (_, i) => i * length);
    }
    const n = starts.length - 1, mean = new Float64Array(n), variance = new Float64Array(n), r = new Float64Array(z.length);
    for (let i = 0; i < n; i++) {
      let sum = 0, squares = 0;
      for (let k = starts[i]; k < starts[i + 1]; k++) sum += z[k];
      mean[i] = sum / (starts[i + 1] - starts[i]);
      for (let k = starts[i]; k < starts[i + 1]; k++) squares += (z[k] - mean[i]) ** 2;
      variance[i] = squares / (starts[i + 1] - starts[i]);
    }
    for (let k = 0; k < z.length; k++) r[k] = Math.exp(z[k]);
    const [most, far] = shares(z, [0.95, 0.995]);
    return (this.spread = { key, z, r, starts, mean, variance, most, far, middle: median(variance) });
  }

  // D_i under both gates. The gate in z is the paper's; the gate in r is the one that is trained, from its formula.
  distances({ z, r, starts, mean }) {
    const { tau } = this.values.numbers, knobs = { tau_pos: tau, tau_neg: tau }, f = FORMULAS.sapo;
    const n = mean.length, inZ = new Float64Array(n), inR = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let gateZ = 0, gateR = 0;
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

  judge(distances, variance) {
    const slope = this.values.numbers.tau ** 2 / 4;
    let above = 0, factor = 0;
    distances.forEach((d, i) => {
      const bound = slope * variance[i];
      if (d > bound * (1 + 1e-9) + 1e-13) above += 1;
      if (bound > 1e-12) factor = Math.max(factor, d / bound);
    });
    return { above, factor, n: distances.length };
  }

  // ── drawing ─────────────────────────────────────────────────────────────────────────────────
  draw() {
    const tokens = this.tokens(), { inZ, inR } = this.distances(tokens), { variance } = tokens, words = this.words;
    const judged = { z: this.judge(inZ, variance), r: this.judge(inR, variance) };
    Object.assign(this, { judged, inZ, inR });
    const log = this.values.axes === "log", slope = this.values.numbers.tau ** 2 / 4;
    const ranges = this.ranges(variance, inZ, inR, log, slope);
    const gap = 62, left = 58, high = this.narrow ? 210 : 290, low = 92, top = 48;
    const wide = this.narrow ? this.width - left - 10 : (this.width - left - gap - 14) / 2;
    const places = [[left, top], this.narrow ? [left, top + high + 100] : [left + wide + gap, top]];
    const below = places[1][1] + high + 74;
    const lowPlaces = [[left, below], this.narrow ? [left, below + low + 78] : [left + wide + gap, below]];

    const panels = places.map(([px, py]) => ({ x: axisScale(...ranges.x, px, px + wide, log), y: axisScale(...ranges.y, py + high, py, log) }));
    const titles = [words.gate_z, words.gate_r];
    ["frameZ", "frameR"].forEach((name, i) => memo(this.layers[name], [panels[i], this.narrow, i], () =>
      frameOf({ ...panels[i], title: titles[i], note: "", xName: words.variance, yName: words.distance })));
    const verdicts = [judged.z, judged.r].map((j) => sentence(this.narrow ? words.verdict_short : words.verdict, { above: count(j.above), n: count(j.n), factor: factorText(j.factor) }));
    this.layers.notes.replaceChildren(...verdicts.map((text, i) => label(places[i][0], places[i][1] - 8, text, { "data-testid": `verdict-${"zr"[i]}`, class: "exh-halo" })));
    const clip = (p) => (v) => (log && v < p.y.lo ? p.y.from : p.y(v));
    const dots = [], crosses = [];
    [inZ, inR].forEach((distances, i) => {
      const p = panels[i], y = clip(p);
      const fine = [], over = [];
      distances.forEach((d, k) => {
        if (log && !(variance[k] > 0)) return;
        (d > slope * variance[k] * (1 + 1e-9) + 1e-13 ? over : fine).push([p.x(Math.max(variance[k], ranges.x[0])), y(d)]);
      });
      dots.push(dotsPath(fine));
      crosses.push(crossesPath(over));
    });
    pool(this.layers.dots, 2, () => svg("path", { class: "exh-dots", stroke: this.data.color })).forEach((path, i) => put(path, { d: dots[i] }));
    pool(this.layers.crosses, 2, () => svg("path", { class: "exh-crosses" })).forEach((path, i) => put(path, { d: crosses[i] }));
    this.drawBound(panels, ranges, slope, log);
    this.drawHistograms(tokens, lowPlaces, wide, low, panels, ranges, log);
    this.fill(tokens, judged);
    return lowPlaces[1][1] + low + 44;
  }

  // Ranges hold all points and change in few steps, so that the hand does not shake them.
  ranges(variance, inZ, inR, log, slope) {
    const tops = [variance, inZ, inR].map((values) => values.reduce((a, b) => Math.max(a, b), 1e-9));
    if (!log) return { x: [0, roundUp(tops[0])], y: [0, roundUp(Math.max(tops[1], tops[2]) * 1.05)] };
    const least = variance.reduce((a, b) => (b > 0 ? Math.min(a, b) : a), tops[0]);
    const half = (value, round) => 10 ** (round(Math.log10(value) * 2) / 2); // whole and half powers of ten
    const x = [half(least * 0.999, Math.floor), half(tops[0] * 1.001, Math.ceil)];
    const top = Math.max(tops[1], tops[2], slope * least);
    const low = Float64Array.from([...inZ, ...inR]).sort()[Math.floor(inZ.length * 0.1)]; // a few may lie on the floor
    return { x, y: [half(Math.max(Math.min(slope * least, low), 1e-10), Math.floor), half(top * 1.001, Math.ceil)] };
  }

  drawBound(panels, ranges, slope, log) {
    const lines = panels.map(({ x, y }) => {
      const end = Math.min(ranges.x[1], ranges.y[1] / slope), points = [];
      for (let i = 0; i <= 1; i++) { const v = i ? end : log ? Math.max(ranges.x[0], ranges.y[0] / slope) : 0; points.push([x(v), y(slope * v)]); }
      return points;
    });
    pool(this.layers.bound, 4, (i) => (i < 2 ? svg("path", { class: "exh-bound" }) : label(0, 0, "", { class: "exh-halo exh-strong" }))).forEach((node, i) => {
      const [from, to] = lines[i % 2];
      if (i < 2) put(node, { d: linePath([from, to]) });
      else {
        // Where few points are: above the middle of the line, or beside its upper end on log axes.
        const beside = log && to[0] < panels[i - 2].x.to - 80;
        const [x, y] = log ? [to[0] + (beside ? 8 : -8), to[1] + 14] : [from[0] + (to[0] - from[0]) * 0.3 - 6, from[1] + (to[1] - from[1]) * 0.3 - 8];
        put(node, { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": beside ? "start" : "end" });
        write(node, this.words.bound);
      }
    });
  }

  drawHistograms({ z, variance, far }, places, wide, low, panels, ranges, log) {
    const reach = [0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.1, 1.7, 2.4, 3.5, 5, 8, 12, 20].find((h) => h >= far * 1.15) ?? 20;
    const bins = this.narrow ? 40 : 60, ofR = new Float64Array(bins), ofV = new Float64Array(bins);
    let outside = 0;
    for (const value of z) {
      if (Math.abs(value) > reach) { outside += 1; continue; }
      ofR[Math.min(bins - 1, Math.floor(((value + reach) / (2 * reach)) * bins))] += 1;
    }
    const [[px, py], [qx, qy]] = places;
    const x = axisScale(Math.exp(-reach), Math.exp(reach), px, px + wide, true);
    const v = axisScale(...ranges.x, qx, qx + wide, log);
    for (const value of variance) {
      const at = Math.floor(((v(Math.max(value, ranges.x[0])) - qx) / wide) * bins);
      ofV[Math.min(bins - 1, Math.max(0, at))] += 1;
    }
    const words = this.words, height = (counts, py2) => axisScale(0, Math.max(...counts) || 1, py2 + low, py2);
    memo(this.layers.frameH, [px, py, wide, reach, outside], () => frameOf({ x, y: height(ofR, py), title: sentence(outside ? words.histogram_r_out : words.histogram_r, { out: count(outside) }), xName: words.ratio, noY: true }));
    memo(this.layers.frameV, [qx, qy, wide, v], () => frameOf({ x: v, y: height(ofV, qy), title: words.histogram_v, xName: words.variance, noY: true }));
    const bar = (counts, left, at) => {
      const y = height(counts, at), step = wide / bins;
      return counts.reduce((d, n, i) => (n ? `${d}M${(left + i * step + 0.5).toFixed(1)},${at + low}V${y(n).toFixed(1)}h${(step - 1).toFixed(1)}V${at + low}Z` : d), "") || "M0,0";
    };
    const marks = [svg("line", { class: "exh-one", x1: x(1), x2: x(1), y1: py, y2: py + low })];
    pool(this.layers.bars, 2, () => svg("path", { class: "exh-bars" })).forEach((path, i) => put(path, { d: i ? bar(ofV, qx, qy) : bar(ofR, px, py) }));
    memo(this.layers.marks, [x(1), py], () => marks);
  }

  // ── words and numbers ───────────────────────────────────────────────────────────────────────
  fill({ most, middle, mean, z }, judged) {
    const words = this.words;
    const row = (name, j) => [name, `${count(j.above)} / ${count(j.n)}`, `${factorText(j.factor)} ×`];
    this.fillTable(sentence(words.table, { n: count(mean.length), tokens: count(z.length), most: show(Number(most.toPrecision(3))), middle: show(Number(middle.toPrecision(3))) }),
      words.columns, [row(words.row_z, judged.z), row(words.row_r, judged.r)]);
    if (this.seed) write(this.seed, sentence(words.seed, { seed: this.values.numbers.seed }));
  }

  describe() {
    const { judged } = this, tokens = this.tokens(), { tau } = this.values.numbers;
    return sentence(this.words.alt, {
      n: count(tokens.mean.length), tokens: count(tokens.z.length), tau: show(tau), middle: show(Number(tokens.middle.toPrecision(3))),
      aboveZ: count(judged.z.above), factorZ: factorText(judged.z.factor), aboveR: count(judged.r.above), factorR: factorText(judged.r.factor),
    });
  }

  caption() {
    const { tau, within, between, sequences, length, seed } = this.values.numbers;
    const what = this.data.file ? this.data.file.name : `${sequences} × ${length}, within ${show(within)}, between ${show(between)}, ${this.values.tail}, seed ${seed}`;
    return `τ = ${show(tau)}; ${what}`;
  }

  table() {
    const { mean, variance, starts } = this.tokens(), { tau } = this.values.numbers;
    const rows = [["sequence", "tokens", "log_s", "variance", "tau", "bound", "distance_gate_in_z", "distance_gate_in_r"]];
    mean.forEach((m, i) => rows.push([this.data.file?.ids?.[i] ?? i, starts[i + 1] - starts[i], m, variance[i], tau, (tau ** 2 / 4) * variance[i], this.inZ[i], this.inR[i]]));
    return rows;
  }
}

// mulberry32: a seed gives the same draws on every machine.
function generator(seed) {
  let a = (seed * 2654435761 + 1) >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function normal(random) { return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()); }

// Student's t with 3 degrees of freedom has variance 3: divided by √3 it spreads as the normal does.
function studentT3(random) {
  const chi = normal(random) ** 2 + normal(random) ** 2 + normal(random) ** 2;
  return normal(random) / Math.sqrt(chi);
}

// The paper's stand-in for the gate, taken in z: not an objective of the catalogue, so no formula has it.
function sech2(x) { const e = Math.exp(-2 * Math.abs(x)); return (4 * e) / (1 + e) ** 2; }

// Below what |z| the given shares of the tokens lie, to a part in 4,096: sorting 100,000 numbers takes too long.
function shares(z, wanted) {
  let top = 1e-9;
  for (const value of z) top = Math.max(top, Math.abs(value));
  const bins = new Uint32Array(4097);
  for (const value of z) bins[Math.floor((Math.abs(value) / top) * 4096)] += 1;
  return wanted.map((share) => {
    let below = 0, bin = 0;
    while (below + bins[bin] < share * z.length) below += bins[bin++];
    return ((bin + 1) / 4096) * top;
  });
}

// Below 1 rounded down: a sequence just under its bound must not be said to lie on it.
function factorText(factor) { return show(factor < 1 ? Math.floor(factor * 1000) / 1000 : Number(factor.toPrecision(3))); }

function median(values) { const sorted = Float64Array.from(values).sort(); return sorted[Math.floor(sorted.length / 2)] ?? NaN; }

function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((m) => m * power >= value * 0.9999);
}
