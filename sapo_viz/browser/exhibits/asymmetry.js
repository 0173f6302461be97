// Asymmetric temperatures: what one good and one bad update do to the logits of a whole vocabulary, and what τ₋
// changes.

import { FORMULAS } from "../formulas.js";
import { axisScale, tickText } from "../shared/axis.js";
import { mounted } from "../shared/mounted.js";
import { show } from "../shared/numbers.js";
import { unpack } from "../shared/packed.js";
import { dotsPath, label, linePath, memo, pool, put, svg, write } from "../shared/svg.js";
import { Exhibit } from "./exhibit.js";
import { frameOf } from "./frame.js";
import { logitUpdate, otherTokens, zipfSums } from "./logit_update.js";
import { count, sentence } from "./words.js";

const LARGEST = 6; // bars for this many of the other tokens
const MARGIN = { left: 62, right: 14 };

/** @typedef {import("./logit_update.js").Sums} Sums */
/** @typedef {ReturnType<typeof logitUpdate>} Update */
/** @typedef {{ text: string } & Record<string, any>} Text what is written, with the attributes of its node */

/** @extends {Exhibit<AsymmetryData>} */
class AsymmetryExhibit extends Exhibit {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    super(parent);
    this.pair = true;
    /** @type {({ exponent: number } & Sums) | undefined} */
    this.zipf = undefined;
    /** @type {Update[]} of the last picture: the good one, the bad one */
    this.updates = [];
    this.change = "–"; // of the total on the other tokens, by τ₋ alone
    const names = ["frameP", "frameN", "frameV", "frameT", "bars", "lines", "marks", "texts"];
    this.layers = Object.fromEntries(names.map((name) => [name, svg("g", { "aria-hidden": "true" })]));
    this.svg.append(...Object.values(this.layers));
  }

  // ── controls ────────────────────────────────────────────────────────────────────────────────
  build() {
    const { words, data } = this;
    const c = data.controls;
    return [
      this.choice(words.scale, "scale", [
        ["weight", words.weight],
        ["coefficient", words.coefficient],
      ]),
      this.group(
        words.policy,
        null,
        this.slider("numbers", c.vocabulary, { whole: true }),
        this.slider("numbers", c.p),
        this.slider("numbers", c.zipf),
      ),
      this.group(
        "SAPO",
        data.objective,
        ...data.objective.knobs.map((knob) => this.slider("knobs", knob, { owner: "SAPO" })),
      ),
      this.group(words.update, null, this.slider("numbers", c.ratio)),
    ];
  }

  // ── numbers ─────────────────────────────────────────────────────────────────────────────────
  // Once for each exponent.
  /** @param {number} exponent */
  sums(exponent) {
    if (this.zipf?.exponent === exponent) return this.zipf;
    this.zipf = { exponent, ...zipfSums(exponent, this.data.controls.vocabulary.hi) };
    return this.zipf;
  }

  /** @param {number} vocabulary */
  spread(vocabulary) {
    const { numbers } = this.values;
    return otherTokens(numbers, vocabulary, this.sums(numbers.zipf));
  }

  // SAPO's weight (or coefficient) at r for one sign; `knobs` may differ from those in force.
  /** @type {(sign: number, knobs?: Knobs) => number} */
  factor(sign, knobs = this.values.knobs) {
    const { ratio } = this.values.numbers;
    const c = FORMULAS.sapo(Math.log(ratio), sign, knobs, 0)[1];
    return this.values.scale === "weight" ? c / ratio : c;
  }

  /** @param {number} sign */
  logitUpdate(sign) {
    const { p, vocabulary } = this.values.numbers;
    return logitUpdate(sign, this.factor(sign), p, this.spread(vocabulary));
  }

  // ── drawing ─────────────────────────────────────────────────────────────────────────────────
  draw() {
    const { left, right } = MARGIN;
    const gap = 76;
    const top = 34;
    const high = this.high(this.narrow ? 210 : 250, top + 44, 150);
    const low = this.narrow ? 190 : 180;
    const wide = this.narrow ? this.width - left - right : (this.width - left - gap - right) / 2;
    const stack = [top, top + high + 76, top + 2 * (high + 76), top + 2 * (high + 76) + low + 86];
    const at = this.narrow
      ? stack.map((y) => [left, y])
      : [
          [left, top],
          [left + wide + gap, top],
          [left, top + high + 84],
          [left + wide + gap, top + high + 84],
        ];
    const updates = [this.logitUpdate(1), this.logitUpdate(-1)];
    this.updates = updates;
    const size = Math.max(...updates.map((u) => Math.abs(u.sampled)));
    const reach = [0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.25, 1.6, 2, 4].find((v) => v >= size * 1.12) ?? 4;
    /** @type {Text[]} */
    const texts = [];
    const bars = updates.flatMap((u, i) => this.drawBars(u, at[i], wide, high, reach, texts, i));
    pool(this.layers.bars, bars.length, () => svg("path")).forEach((path, i) => put(path, bars[i]));
    const lines = [...this.drawSizes(at[2], wide, low, texts), ...this.drawTau(at[3], wide, low, texts)];
    pool(this.layers.lines, lines.length, () => svg("path", { fill: "none" })).forEach((path, i) =>
      put(path, lines[i]),
    );
    pool(this.layers.texts, texts.length, () => label(0, 0, "")).forEach((node, i) => {
      const { text, ...attributes } = texts[i];
      put(node, { "text-anchor": null, class: null, "data-testid": null, ...attributes });
      write(node, text);
    });
    this.fill(updates);
    return at[3][1] + low + 44;
  }

  // Sampled logit, all others together, then a few of those one by one and the mean of the rest.
  /** @type {(u: Update, place: number[], wide: number, high: number, reach: number, texts: Text[], index: number) => Record<string, any>[]} */
  drawBars(u, [px, py], wide, high, reach, texts, index) {
    const words = this.words;
    const { vocabulary } = this.values.numbers;
    const few = Math.min(LARGEST, vocabulary - 1);
    const y = axisScale(-reach, reach, py + high, py);
    const tight = wide < 300;
    const apart = tight ? 2.2 : 1.6; // the first two have names of a word
    const step = wide / (few + 3 + apart);
    const x = axisScale(0, 1, px, px + wide);
    const names = [words.sampled, words.together, ...Array.from({ length: few }, (_, k) => `${k + 1}`), words.rest];
    /** @type {(i: number) => number} */
    const centre = (i) => px + step * (i < 2 ? 0.75 + apart * i : i + 0.4 + apart);
    memo(this.layers[index ? "frameN" : "frameP"], [px, py, wide, high, reach, few], () => [
      ...frameOf({ x, y, title: index ? words.bad : words.good, noX: true, yName: words.gradient }),
      svg("line", { class: "exh-axis", x1: px, x2: px + wide, y1: y(0), y2: y(0) }),
      ...names.map((name, i) =>
        label(centre(i), py + high + 16, i === 1 && tight ? words.together_short : name, {
          "text-anchor": "middle",
          class: "exh-tick",
        }),
      ),
      label((centre(2) + centre(few + 2)) / 2, py + high + 33, words.one_by_one, {
        "text-anchor": "middle",
        class: "exh-name",
      }),
    ]);
    const values = [u.sampled, u.others, ...Array.from({ length: few }, (_, k) => u.of(k + 1)), u.mean];
    return values.map((value, i) => {
      const half = Math.min(step * 0.38, 30);
      const cx = centre(i);
      const up = value > 0;
      if (i < 2 || i === 2 || i === few + 2) {
        const shown = i < 2 ? show(Number(value.toPrecision(3))) : shortNumber(value);
        texts.push({
          text: shown,
          x: cx.toFixed(1),
          y: (y(value) + (up ? -5 : 15)).toFixed(1),
          "text-anchor": "middle",
          class: i < 2 ? "exh-strong exh-halo" : "exh-tick exh-halo",
          "data-testid": i < 2 ? `bar-${index ? "bad" : "good"}-${i ? "others" : "sampled"}` : null,
        });
      }
      const d = `M${(cx - half).toFixed(1)},${y(0).toFixed(1)}V${y(value).toFixed(1)}h${(2 * half).toFixed(1)}V${y(0).toFixed(1)}Z`;
      return {
        d,
        fill: i ? this.data.objective.color : "currentColor",
        "fill-opacity": i ? 0.9 : 0.6,
        stroke: "currentColor",
        "stroke-width": i === 1 ? 1.4 : 0,
        "stroke-dasharray": i === 1 ? "4 3" : null,
      };
    });
  }

  // Sizes on unsampled tokens against the vocabulary, for the bad update.
  /** @type {(place: number[], wide: number, low: number, texts: Text[]) => Record<string, any>[]} */
  drawSizes([px, py], wide, low, texts) {
    const words = this.words;
    const { lo, hi } = this.data.controls.vocabulary;
    const { p, vocabulary } = this.values.numbers;
    const f = this.factor(-1);
    wide -= 92; // the lines' names stand to the right of them
    const x = axisScale(lo, hi, px, px + wide, true);
    const last = 60;
    const steps = Array.from({ length: last + 1 }, (_, i) => Math.round(lo * (hi / lo) ** (i / last)));
    const spreads = steps.map((V) => this.spread(V));
    const smallest = 10 ** Math.floor(Math.log10(Math.max(1e-12, spreads[last].mean * f)));
    const largest = 10 ** Math.ceil(Math.log10(Math.max(smallest * 10, (1 - p) * f * 1.001)));
    const y = axisScale(smallest, largest, py + low, py, true);
    memo(this.layers.frameV, [px, py, wide, low, smallest, largest], () =>
      frameOf({ x, y, title: words.sizes, xName: words.vocabulary, yName: words.size }),
    );
    /** @type {[string, (s: ReturnType<typeof otherTokens>) => number, Record<string, any>][]} */
    const kinds = [
      [words.total, () => (1 - p) * f, { "stroke-width": 3 }],
      [words.norm, (s) => s.norm * f, { "stroke-dasharray": "8 3 2 3" }],
      [words.largest, (s) => s.largest * f, { "stroke-dasharray": "7 4" }],
      [words.mean, (s) => s.mean * f, { "stroke-dasharray": "2 3" }],
    ];
    let taken = -Infinity;
    /** @type {Record<string, any>[]} */
    const lines = kinds.map(([name, of, style]) => {
      const points = steps.map((V, i) => /** @type {Point} */ ([x(V), y(of(spreads[i]))]));
      // The name beside its line's end, pushed down where another stands.
      const ty = Math.max(points[last][1] + 4, taken + 15);
      taken = ty;
      texts.push({ text: name, x: (px + wide + 6).toFixed(1), y: ty.toFixed(1), class: "exh-tick" });
      return {
        d: linePath(points),
        stroke: this.data.objective.color,
        "stroke-width": 2,
        "stroke-dasharray": null,
        class: null,
        ...style,
      };
    });
    lines.push({
      d: `M${x(vocabulary).toFixed(1)},${py}V${py + low}`,
      stroke: "currentColor",
      "stroke-width": 1.5,
      "stroke-dasharray": "2 3",
      class: null,
    });
    return lines;
  }

  // What τ₋ does to the total at this ratio, with the good update's total beside it.
  /** @type {(place: number[], wide: number, low: number, texts: Text[]) => Record<string, any>[]} */
  drawTau([px, py], wide, low, texts) {
    const words = this.words;
    const { p } = this.values.numbers;
    const { tau_neg } = this.values.knobs;
    const spec = /** @type {KnobSpec} */ (this.data.objective.knobs.find((k) => k.name === "tau_neg"));
    const x = axisScale(spec.ui_lo, spec.ui_hi, px, px + wide, true);
    const full = this.values.scale === "weight" ? 1 : this.values.numbers.ratio;
    const top = [0.05, 0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10].find((v) => v >= (1 - p) * full) ?? 10;
    const y = axisScale(0, top, py + low, py);
    const good = (1 - p) * this.factor(1);
    const bad = (1 - p) * this.factor(-1);
    memo(this.layers.frameT, [px, py, wide, low, top], () =>
      frameOf({ x, y, title: words.by_tau, xName: words.tau_neg, yName: words.mass }),
    );
    const points = Array.from({ length: 81 }, (_, i) => {
      const tau = spec.ui_lo * (spec.ui_hi / spec.ui_lo) ** (i / 80);
      return /** @type {Point} */ ([x(tau), y((1 - p) * this.factor(-1, { ...this.values.knobs, tau_neg: tau }))]);
    });
    texts.push({
      text: words.good_total,
      x: px + 6,
      y: (y(good) + (y(good) < py + 24 ? 17 : -8)).toFixed(1),
      class: "exh-halo exh-tick",
    });
    texts.push({
      text: `τ₋ = ${show(tau_neg)}: ${show(Number(bad.toPrecision(3)))}`,
      x: (x(tau_neg) + 10).toFixed(1),
      y: (y(bad) + (y(bad) < py + 30 ? 22 : -10)).toFixed(1),
      class: "exh-halo exh-strong",
    });
    return [
      {
        d: `M${px},${y(good).toFixed(1)}H${px + wide}`,
        stroke: "currentColor",
        "stroke-width": 1.6,
        "stroke-dasharray": "7 4",
        class: null,
      },
      {
        d: linePath(points),
        stroke: this.data.objective.color,
        "stroke-width": 2.4,
        "stroke-dasharray": null,
        class: null,
      },
      {
        d: dotsPath([[x(tau_neg), y(bad)]]),
        class: "exh-spot",
        stroke: this.data.objective.color,
        "stroke-width": null,
        "stroke-dasharray": null,
      },
    ];
  }

  // ── words and numbers ───────────────────────────────────────────────────────────────────────
  /** @param {Update[]} updates */
  fill(updates) {
    const words = this.words;
    const same = this.factor(-1, { ...this.values.knobs, tau_neg: this.values.knobs.tau_pos });
    const { ratio, vocabulary } = this.values.numbers;
    const change = same ? updates[1].f / same - 1 : NaN;
    this.change = Number.isFinite(change) ? `${change <= 0 ? "−" : "+"}${three(Math.abs(change) * 100)} %` : "–";
    this.fillTable(
      sentence(words.table, { ratio: show(ratio), change: this.change, vocabulary: count(vocabulary) }),
      words.columns,
      updates.map((u) => [
        u.sign > 0 ? words.good_row : words.bad_row,
        show(u.f),
        three(u.sampled),
        three(u.others),
        shortNumber(u.mean),
        three(u.norm),
        three(u.normOthers),
      ]),
    );
  }

  describe() {
    const [good, bad] = this.updates;
    const { p, vocabulary, ratio } = this.values.numbers;
    return sentence(this.words.alt, {
      vocabulary: count(vocabulary),
      p: show(p),
      ratio: show(ratio),
      good: three(good.sampled),
      goodOthers: three(good.others),
      bad: three(bad.sampled),
      badOthers: three(bad.others),
      mean: shortNumber(bad.mean),
      change: this.change,
    });
  }

  caption() {
    const { p, vocabulary, ratio, zipf } = this.values.numbers;
    const { tau_pos, tau_neg } = this.values.knobs;
    return `V = ${count(vocabulary)}, π(y) = ${show(p)}, Zipf ${show(zipf)}, r = ${show(ratio)}, τ₊ = ${show(tau_pos)}, τ₋ = ${show(tau_neg)}, ${this.values.scale}`;
  }

  table() {
    const { p, vocabulary, ratio, zipf } = this.values.numbers;
    const { tau_pos, tau_neg } = this.values.knobs;
    /** @type {unknown[][]} */
    const rows = [
      [
        "advantage",
        "token",
        "tokens",
        "gradient_each",
        "gradient_sum",
        "vocabulary",
        "p_sampled",
        "zipf",
        "ratio",
        "tau_pos",
        "tau_neg",
        "scaled_by",
      ],
    ];
    const end = [vocabulary, p, zipf, ratio, tau_pos, tau_neg, this.values.scale];
    for (const u of this.updates) {
      rows.push([u.sign, "sampled", 1, u.sampled, u.sampled, ...end]);
      for (let k = 1; k <= Math.min(LARGEST, vocabulary - 1); k++)
        rows.push([u.sign, `other ${k}`, 1, u.of(k), u.of(k), ...end]);
      rows.push([u.sign, "all others", vocabulary - 1, u.mean, u.others, ...end]);
    }
    return rows;
  }
}

export default mounted(AsymmetryExhibit, unpack);

/** @param {number} value */
function three(value) {
  return show(Number(value.toPrecision(3)));
}

// For numbers from 1 down to a millionth on a small label.
/** @type {(value: number) => string} */
function shortNumber(value) {
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "+";
  if (size === 0) return "0";
  return sign + (size >= 0.001 ? String(Number(size.toPrecision(2))) : tickText(Number(size.toPrecision(2))));
}
