// Sequence coherence: does the mean of the token gates equal one gate on the sequence? Draws (or a file), the
// distance D_i of the two against the spread Var_i inside the sequence, and the bound that holds for one gate only.

import { axisScale } from "../shared/axis.js";
import { el } from "../shared/dom.js";
import { mounted } from "../shared/mounted.js";
import { show } from "../shared/numbers.js";
import { unpack } from "../shared/packed.js";
import { crossesPath, dotsPath, label, linePath, memo, pool, put, svg, write } from "../shared/svg.js";
import { Exhibit } from "./exhibit.js";
import { frameOf } from "./frame.js";
import { described, distances, draws, judge, scaled } from "./gate_distance.js";
import { roundUp } from "./statistics.js";
import { count, sentence } from "./words.js";

/** @typedef {ReturnType<typeof described>} Described */
/** @typedef {ReturnType<typeof judge>} Judged */
/** @typedef {{ x: Axis; y: Axis }} Axes of one panel */
/** @typedef {{ x: Point; y: Point }} Ranges from, to */

/** @extends {Exhibit<CoherenceData>} */
class CoherenceExhibit extends Exhibit {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    super(parent);
    this.pair = true;
    // Of the last picture: the distances under both gates, and what they come to.
    this.inZ = new Float64Array();
    this.inR = new Float64Array();
    /** @type {{ z: Judged; r: Judged }} */
    this.judged = { z: judge(this.inZ, this.inZ, 1), r: judge(this.inR, this.inR, 1) };
    /** @type {({ key: string } & ReturnType<typeof draws>) | null} */
    this.drawn = null;
    /** @type {({ key: string } & Described) | null} */
    this.spread = null;
    /** @type {HTMLElement | undefined} where the draws have a seed to show */
    this.seed = undefined;
    const names = ["frameZ", "frameR", "bound", "dots", "crosses", "notes", "frameH", "frameV", "bars", "marks"];
    this.layers = Object.fromEntries(names.map((name) => [name, svg("g", { "aria-hidden": "true" })]));
    this.svg.append(...Object.values(this.layers));
  }

  received() {
    this.drawn = this.spread = null;
  }

  // ── controls ────────────────────────────────────────────────────────────────────────────────
  build() {
    const { words, data } = this;
    const c = data.controls;
    const rows = [this.group(words.gate, null, this.slider("numbers", c.tau))];
    if (!data.file) {
      rows.push(
        this.group(
          words.draws,
          null,
          this.slider("numbers", c.within),
          this.slider("numbers", c.between),
          this.slider("numbers", c.sequences, { whole: true }),
          this.slider("numbers", c.length, { whole: true }),
          this.choice(words.tail, "tail", [
            ["normal", words.normal],
            ["heavy", words.heavy],
          ]),
          el(
            "div",
            { class: "exh-pair" },
            this.button(
              words.again,
              () => {
                this.values.numbers.seed = (this.values.numbers.seed + 1) % 10000;
                this.schedule();
                this.released();
              },
              "draw-again",
            ),
            (this.seed = el("span", { class: "lab-note", "data-testid": "seed" })),
          ),
        ),
      );
    }
    return [
      this.choice(words.axes, "axes", [
        ["linear", words.linear],
        ["log", words.log],
      ]),
      ...rows,
    ];
  }

  // ── numbers ─────────────────────────────────────────────────────────────────────────────────
  // Kept as long as they hold: a spread only scales the draws, τ changes neither.
  tokens() {
    const { numbers, tail } = this.values;
    const { sequences, length, seed, between, within } = numbers;
    const { file } = this.data;
    const drawn = [sequences, length, seed, tail].join();
    const key = file ? "file" : [drawn, between, within].join();
    if (this.spread?.key === key) return this.spread;
    const { z, starts } = file
      ? { z: Float64Array.from(file.z), starts: file.starts }
      : scaled(numbers, this.draws(drawn));
    this.spread = { key, ...described(z, starts) };
    return this.spread;
  }

  /** @param {string} key */
  draws(key) {
    if (this.drawn?.key === key) return this.drawn;
    this.drawn = { key, ...draws(this.values.numbers, this.values.tail) };
    return this.drawn;
  }

  // ── drawing ─────────────────────────────────────────────────────────────────────────────────
  draw() {
    const tokens = this.tokens();
    const { tau } = this.values.numbers;
    const { inZ, inR } = distances(tokens, tau);
    const { variance } = tokens;
    const words = this.words;
    const judged = { z: judge(inZ, variance, tau), r: judge(inR, variance, tau) };
    Object.assign(this, { judged, inZ, inR });
    const log = this.values.axes === "log";
    const slope = tau ** 2 / 4;
    const ranges = this.ranges(variance, inZ, inR, log, slope);
    const gap = 62;
    const left = 58;
    const low = 92;
    const top = 48;
    const high = this.high(this.narrow ? 210 : 290, top + 44, 150);
    const wide = this.narrow ? this.width - left - 10 : (this.width - left - gap - 14) / 2;
    const places = [[left, top], this.narrow ? [left, top + high + 100] : [left + wide + gap, top]];
    const below = places[1][1] + high + 74;
    const lowPlaces = [[left, below], this.narrow ? [left, below + low + 78] : [left + wide + gap, below]];

    const panels = places.map(([px, py]) => ({
      x: axisScale(...ranges.x, px, px + wide, log),
      y: axisScale(...ranges.y, py + high, py, log),
    }));
    const titles = [words.gate_z, words.gate_r];
    ["frameZ", "frameR"].forEach((name, i) =>
      memo(this.layers[name], [panels[i], this.narrow, i], () =>
        frameOf({ ...panels[i], title: titles[i], note: "", xName: words.variance, yName: words.distance }),
      ),
    );
    const verdicts = [judged.z, judged.r].map((j) =>
      sentence(wide < 370 ? words.verdict_short : words.verdict, {
        above: count(j.above),
        n: count(j.n),
        factor: factorText(j.factor),
      }),
    );
    this.layers.notes.replaceChildren(
      ...verdicts.map((text, i) =>
        label(places[i][0], places[i][1] - 8, text, { "data-testid": `verdict-${"zr"[i]}`, class: "exh-halo" }),
      ),
    );
    /** @type {(p: Axes) => (v: number) => number} */
    const clip = (p) => (v) => (log && v < p.y.lo ? p.y.from : p.y(v));
    /** @type {string[]} */
    const dots = [];
    /** @type {string[]} */
    const crosses = [];
    [inZ, inR].forEach((distances, i) => {
      const p = panels[i];
      const y = clip(p);
      /** @type {Point[]} */
      const fine = [];
      /** @type {Point[]} */
      const over = [];
      distances.forEach((d, k) => {
        if (log && !(variance[k] > 0)) return;
        (d > slope * variance[k] * (1 + 1e-9) + 1e-13 ? over : fine).push([
          p.x(Math.max(variance[k], ranges.x[0])),
          y(d),
        ]);
      });
      dots.push(dotsPath(fine));
      crosses.push(crossesPath(over));
    });
    pool(this.layers.dots, 2, () => svg("path", { class: "exh-dots", stroke: this.data.color })).forEach((path, i) =>
      put(path, { d: dots[i] }),
    );
    pool(this.layers.crosses, 2, () => svg("path", { class: "exh-crosses" })).forEach((path, i) =>
      put(path, { d: crosses[i] }),
    );
    this.drawBound(panels, ranges, slope, log);
    this.drawHistograms(tokens, lowPlaces, wide, low, ranges, log);
    this.fill(tokens, judged);
    return lowPlaces[1][1] + low + 44;
  }

  // Ranges hold all points and change in few steps, so that the hand does not shake them.
  /** @type {(variance: Float64Array, inZ: Float64Array, inR: Float64Array, log: boolean, slope: number) => Ranges} */
  ranges(variance, inZ, inR, log, slope) {
    const tops = [variance, inZ, inR].map((values) => values.reduce((a, b) => Math.max(a, b), 1e-9));
    if (!log) return { x: [0, roundUp(tops[0])], y: [0, roundUp(Math.max(tops[1], tops[2]) * 1.05)] };
    const least = variance.reduce((a, b) => (b > 0 ? Math.min(a, b) : a), tops[0]);
    /** @type {(value: number, round: (value: number) => number) => number} */
    const half = (value, round) => 10 ** (round(Math.log10(value) * 2) / 2); // whole and half powers of ten
    /** @type {Point} */
    const x = [half(least * 0.999, Math.floor), half(tops[0] * 1.001, Math.ceil)];
    const top = Math.max(tops[1], tops[2], slope * least);
    const low = Float64Array.from([...inZ, ...inR]).sort()[Math.floor(inZ.length * 0.1)]; // a few may lie on the floor
    return { x, y: [half(Math.max(Math.min(slope * least, low), 1e-10), Math.floor), half(top * 1.001, Math.ceil)] };
  }

  /** @type {(panels: Axes[], ranges: Ranges, slope: number, log: boolean) => void} */
  drawBound(panels, ranges, slope, log) {
    const lines = panels.map(({ x, y }) => {
      const end = Math.min(ranges.x[1], ranges.y[1] / slope);
      const start = log ? Math.max(ranges.x[0], ranges.y[0] / slope) : 0;
      return [start, end].map((v) => /** @type {Point} */ ([x(v), y(slope * v)]));
    });
    pool(this.layers.bound, 4, (i) =>
      i < 2 ? svg("path", { class: "exh-bound" }) : label(0, 0, "", { class: "exh-halo exh-strong" }),
    ).forEach((node, i) => {
      const [from, to] = lines[i % 2];
      if (i < 2) put(node, { d: linePath([from, to]) });
      else {
        // Where few points are: above the middle of the line, or beside its upper end on log axes.
        const beside = log && to[0] < panels[i - 2].x.to - 80;
        const [x, y] = log
          ? [to[0] + (beside ? 8 : -8), to[1] + 14]
          : [from[0] + (to[0] - from[0]) * 0.3 - 6, from[1] + (to[1] - from[1]) * 0.3 - 8];
        put(node, { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": beside ? "start" : "end" });
        write(node, this.words.bound);
      }
    });
  }

  /** @type {(tokens: Described, places: number[][], wide: number, low: number, ranges: Ranges, log: boolean) => void} */
  drawHistograms({ z, variance, far }, places, wide, low, ranges, log) {
    const reach = [0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.1, 1.7, 2.4, 3.5, 5, 8, 12, 20].find((h) => h >= far * 1.15) ?? 20;
    const bins = this.narrow ? 40 : 60;
    const ofR = new Float64Array(bins);
    const ofV = new Float64Array(bins);
    let outside = 0;
    for (const value of z) {
      if (Math.abs(value) > reach) {
        outside += 1;
        continue;
      }
      ofR[Math.min(bins - 1, Math.floor(((value + reach) / (2 * reach)) * bins))] += 1;
    }
    const [[px, py], [qx, qy]] = places;
    const x = axisScale(Math.exp(-reach), Math.exp(reach), px, px + wide, true);
    const v = axisScale(...ranges.x, qx, qx + wide, log);
    for (const value of variance) {
      const at = Math.floor(((v(Math.max(value, ranges.x[0])) - qx) / wide) * bins);
      ofV[Math.min(bins - 1, Math.max(0, at))] += 1;
    }
    const words = this.words;
    /** @type {(counts: Float64Array, py2: number) => Axis} */
    const height = (counts, py2) => axisScale(0, Math.max(...counts) || 1, py2 + low, py2);
    memo(this.layers.frameH, [px, py, wide, reach, outside], () =>
      frameOf({
        x,
        y: height(ofR, py),
        title: sentence(outside ? words.histogram_r_out : words.histogram_r, { out: count(outside) }),
        xName: words.ratio,
        noY: true,
      }),
    );
    memo(this.layers.frameV, [qx, qy, wide, v], () =>
      frameOf({ x: v, y: height(ofV, qy), title: words.histogram_v, xName: words.variance, noY: true }),
    );
    /** @type {(counts: Float64Array, left: number, at: number) => string} */
    const bar = (counts, left, at) => {
      const y = height(counts, at);
      const step = wide / bins;
      return (
        counts.reduce(
          (/** @type {string} */ d, n, i) =>
            n
              ? `${d}M${(left + i * step + 0.5).toFixed(1)},${at + low}V${y(n).toFixed(1)}h${(step - 1).toFixed(1)}V${at + low}Z`
              : d,
          "",
        ) || "M0,0"
      );
    };
    const marks = [svg("line", { class: "exh-one", x1: x(1), x2: x(1), y1: py, y2: py + low })];
    pool(this.layers.bars, 2, () => svg("path", { class: "exh-bars" })).forEach((path, i) =>
      put(path, { d: i ? bar(ofV, qx, qy) : bar(ofR, px, py) }),
    );
    memo(this.layers.marks, [x(1), py], () => marks);
  }

  // ── words and numbers ───────────────────────────────────────────────────────────────────────
  /** @type {(tokens: Described, judged: { z: Judged; r: Judged }) => void} */
  fill({ most, middle, mean, z }, judged) {
    const words = this.words;
    /** @type {(name: string, j: Judged) => string[]} */
    const row = (name, j) => [name, `${count(j.above)} / ${count(j.n)}`, `${factorText(j.factor)} ×`];
    this.fillTable(
      sentence(words.table, {
        n: count(mean.length),
        tokens: count(z.length),
        most: show(Number(most.toPrecision(3))),
        middle: show(Number(middle.toPrecision(3))),
      }),
      words.columns,
      [row(words.row_z, judged.z), row(words.row_r, judged.r)],
    );
    if (this.seed) write(this.seed, sentence(words.seed, { seed: this.values.numbers.seed }));
  }

  describe() {
    const { judged } = this;
    const tokens = this.tokens();
    const { tau } = this.values.numbers;
    return sentence(this.words.alt, {
      n: count(tokens.mean.length),
      tokens: count(tokens.z.length),
      tau: show(tau),
      middle: show(Number(tokens.middle.toPrecision(3))),
      aboveZ: count(judged.z.above),
      factorZ: factorText(judged.z.factor),
      aboveR: count(judged.r.above),
      factorR: factorText(judged.r.factor),
    });
  }

  caption() {
    const { tau, within, between, sequences, length, seed } = this.values.numbers;
    const what = this.data.file
      ? this.data.file.name
      : `${sequences} × ${length}, within ${show(within)}, between ${show(between)}, ${this.values.tail}, seed ${seed}`;
    return `τ = ${show(tau)}; ${what}`;
  }

  table() {
    const { mean, variance, starts } = this.tokens();
    const { tau } = this.values.numbers;
    /** @type {unknown[][]} */
    const rows = [
      ["sequence", "tokens", "log_s", "variance", "tau", "bound", "distance_gate_in_z", "distance_gate_in_r"],
    ];
    mean.forEach((m, i) =>
      rows.push([
        this.data.file?.ids?.[i] ?? i,
        starts[i + 1] - starts[i],
        m,
        variance[i],
        tau,
        (tau ** 2 / 4) * variance[i],
        this.inZ[i],
        this.inR[i],
      ]),
    );
    return rows;
  }
}

export default mounted(CoherenceExhibit, unpack);

// Below 1 rounded down: a sequence just under its bound must not be said to lie on it.
/** @type {(factor: number) => string} */
function factorText(factor) {
  return show(factor < 1 ? Math.floor(factor * 1000) / 1000 : Number(factor.toPrecision(3)));
}
