// Outlier tokens: the ratios of one sequence as handles, and below them what each objective keeps of its gradient.

import { FORMULAS } from "../formulas.js";
import { axisScale } from "../shared/axis.js";
import { el } from "../shared/dom.js";
import { mounted } from "../shared/mounted.js";
import { show } from "../shared/numbers.js";
import { unpack } from "../shared/packed.js";
import { knobParts } from "../shared/sliders.js";
import { label, memo, put, svg } from "../shared/svg.js";
import { Exhibit } from "./exhibit.js";
import { frameOf } from "./frame.js";
import { bandMarks } from "./outlier_bands.js";
import { drawHandles } from "./outlier_handles.js";
import { drawRows } from "./outlier_rows.js";
import { sText, TOP, weightText } from "./outlier_shared.js";
import { furthest, tokenWeights } from "./token_weights.js";
import { count, percent, sentence } from "./words.js";

const AXIS = 30; // pixels below the plot, for the tokens' numbers

/** @extends {Exhibit<OutlierData>} */
class OutlierExhibit extends Exhibit {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    super(parent);
    put(this.svg, { role: "group" });
    this.layers = Object.fromEntries(
      ["bands", "frame", "lines", "stems", "handles", "rows"].map((name) => [
        name,
        svg("g", { "aria-hidden": name === "handles" ? null : "true" }),
      ]),
    );
    this.svg.append(...Object.values(this.layers));
    this.selected = -1; // which token; none yet
    this.top = 3;
    this.asksOld = false;
    this.y = axisScale(0, 1, 1, 0);
    /** @type {OutlierRow[]} */
    this.all = [];
    /** @type {OutlierHand["dragging"]} the handle under the pointer */
    this.dragging = null;
  }

  // DPPO looks at how far a probability moved; whether any of the objectives does shows in its numbers.
  received() {
    this.asksOld = this.data.objectives.some(
      (o) =>
        o.reads_logprobs &&
        [-2, -0.5, 0.5, 2].some((z) => {
          /** @type {(old: number) => number} */
          const at = (old) => FORMULAS[o.name](z, Math.sign(z), this.values.knobs[o.name], old)[1];
          return at(-2.5) !== at(-4.5);
        }),
    );
    const selected = this.selected < 0 ? furthest(this.values.ratios) : this.selected;
    this.selected = Math.min(selected, this.values.ratios.length - 1);
  }

  taken() {
    this.selected = furthest(this.values.ratios);
  }

  // ── controls ────────────────────────────────────────────────────────────────────────────────
  build() {
    const { words, data } = this;
    const grow = this.button(words.add, () => this.resize(1), "add-token");
    const shrink = this.button(words.remove, () => this.resize(-1), "remove-token");
    const { length, ratio, old } = data.controls;
    const sequence = this.group(
      words.sequence,
      null,
      this.row({
        symbol: "r",
        name: words.chosen,
        label: words.chosen_ratio,
        help: ratio.help,
        test: "chosen-ratio",
        spec: ratio,
        get: () => this.values.ratios[this.selected],
        set: (/** @type {number} */ value) => {
          this.values.ratios[this.selected] = value;
        },
      }),
      el("div", { class: "exh-pair" }, grow, shrink),
      this.row({
        symbol: "T",
        name: length.name,
        label: words.length,
        help: length.help,
        test: "length",
        spec: length,
        get: () => this.values.ratios.length + this.values.more,
        set: (/** @type {number} */ value) => {
          this.values.more = Math.max(0, Math.round(value) - this.values.ratios.length);
        },
      }),
      ...(this.asksOld
        ? [
            this.row({
              symbol: old.symbol,
              name: old.name,
              label: old.name,
              help: old.help,
              test: "old",
              spec: old,
              get: () => this.values.old,
              set: (/** @type {number} */ value) => {
                this.values.old = value;
              },
            }),
          ]
        : []),
    );
    const knobs = data.objectives
      .filter((o) => o.knobs.length)
      .map((o) =>
        this.group(o.label, o, ...o.knobs.map((knob) => this.row(knobParts(o, knob, () => this.values.knobs[o.name])))),
      );
    return [
      this.choice("A", "sign", [
        [1, "A > 0"],
        [-1, "A < 0"],
      ]),
      this.choice(words.axis, "axis", [
        ["linear", words.linear],
        ["log", words.log],
      ]),
      this.choice(words.show, "show", [
        ["weight", words.weight],
        ["coefficient", words.coefficient],
      ]),
      sequence,
      ...knobs,
    ];
  }

  /** @param {number} by */
  resize(by) {
    const { ratios } = this.values;
    if (by > 0 && ratios.length < this.data.most) ratios.splice(++this.selected, 0, 1);
    if (by < 0 && ratios.length > 1) ratios.splice(this.selected, 1);
    this.selected = Math.min(this.selected, ratios.length - 1);
    this.showValues();
    this.schedule();
    this.released();
  }

  /** @type {(index: number, value: number) => void} */
  setRatio(index, value) {
    const { lo, hi } = this.data.controls.ratio;
    this.values.ratios[index] = Number(Math.min(hi, Math.max(lo, value)).toPrecision(3));
    this.showValues();
    this.schedule();
  }

  // ── numbers ─────────────────────────────────────────────────────────────────────────────────
  /** @param {ExhibitObjective} objective */
  numbers(objective) {
    return tokenWeights(objective, this.values.knobs[objective.name], this.values);
  }

  logS() {
    /** @type {OutlierHand["values"]} */
    const { ratios, more } = this.values;
    return ratios.reduce((a, r) => a + Math.log(r), 0) / (ratios.length + more);
  }

  // ── drawing ─────────────────────────────────────────────────────────────────────────────────
  draw() {
    const { ratios, more, axis } = this.values;
    const left = 48;
    const right = this.width - (this.narrow ? 70 : 92);
    const columns = ratios.length + (more ? 1.6 : 0);
    const step = (right - left) / columns;
    /** @type {(i: number) => number} */
    const place = (i) => left + step * (i < ratios.length ? i + 0.5 : ratios.length + 0.8);
    if (!this.dragging) this.top = Math.max(3, Math.ceil(Math.max(...ratios) * 1.1));
    // Of a low window the rows take what they need to be read, the plot the rest.
    const n = this.data.objectives.length;
    const row = this.high(66 * n, TOP + 110 + AXIS, 46 * n) / n;
    const foot = TOP + this.high(176, TOP + AXIS + row * n, 84);
    const y = axis === "log" ? axisScale(0.05, 20, foot, TOP, true) : axisScale(0, this.top, foot, TOP);
    const x = axisScale(0, 1, left, right);
    this.y = y;
    memo(this.layers.frame, [left, right, foot, axis, this.top, this.words], () =>
      frameOf({ x, y, title: this.words.title, noX: true, yName: this.words.ratio }).concat(
        label(right + 6, foot + 18, this.words.kept, { class: "exh-name" }),
      ),
    );
    const s = Math.exp(this.logS());
    const marks = bandMarks(this.data.objectives, this.values.knobs, { y, left, right, s, words: this.words });
    this.layers.bands.replaceChildren(...marks.bands);
    this.layers.lines.replaceChildren(...marks.lines);
    drawHandles(this, place, step);
    /** @type {OutlierRow[]} */
    const all = this.data.objectives.map((objective) => ({
      objective,
      ...this.numbers(objective),
    }));
    this.all = all;
    drawRows(this.layers.rows, all, {
      place,
      step,
      left,
      right,
      top: foot + AXIS,
      row,
      by: this.values.show === "weight" ? "w" : "c",
      selected: this.selected,
      tally: this.narrow ? "{alive} / {total}" : this.words.tally,
    });
    this.fill(all);
    return foot + AXIS + row * n;
  }

  // ── words and numbers ───────────────────────────────────────────────────────────────────────
  /** @param {OutlierRow[]} all */
  fill(all) {
    const at = furthest(this.values.ratios);
    const words = this.words;
    const rows = all.map(({ objective, tokens, kept, alive, total }) => [
      objective.label,
      percent(kept),
      `${count(alive)} / ${count(total)}`,
      weightText(tokens[at].w),
      show(tokens[at].c),
    ]);
    this.fillTable(
      sentence(words.table, { s: sText(Math.exp(this.logS())), r: show(this.values.ratios[at]) }),
      words.columns,
      rows,
    );
  }

  describe() {
    const { ratios, more, sign } = this.values;
    const rows = this.all.map((row) =>
      sentence(this.words.alt_row, {
        label: row.objective.label,
        share: percent(row.kept),
        alive: count(row.alive),
        total: count(row.total),
      }),
    );
    return sentence(this.words.alt, {
      ratios: ratios.map(show).join(", "),
      more: count(more),
      sign: sign > 0 ? "A > 0" : "A < 0",
      s: sText(Math.exp(this.logS())),
      rows: rows.join("; "),
    });
  }

  caption() {
    const knobs = this.data.objectives.map((o) =>
      [o.label, ...o.knobs.map((k) => `${k.symbol} ${show(this.values.knobs[o.name][k.name])}`)].join(" "),
    );
    return `${this.values.sign > 0 ? "A > 0" : "A < 0"}; s = ${sText(Math.exp(this.logS()))}; ${knobs.join("; ")}`;
  }

  table() {
    /** @type {unknown[][]} */
    const rows = [
      ["objective", "knobs", "advantage", "token", "count", "ratio", "weight", "coefficient", "weighed_at", "s"],
    ];
    const s = Math.exp(this.logS());
    for (const { objective, tokens, filler } of this.all) {
      const knobs = Object.entries(this.values.knobs[objective.name])
        .map(([k, v]) => `${k}=${v}`)
        .join(" ");
      tokens.forEach((t, i) =>
        rows.push([objective.name, knobs, this.values.sign, i + 1, 1, this.values.ratios[i], t.w, t.c, t.ratio, s]),
      );
      if (filler)
        rows.push([
          objective.name,
          knobs,
          this.values.sign,
          "rest",
          this.values.more,
          1,
          filler.w,
          filler.c,
          filler.ratio,
          s,
        ]);
    }
    return rows;
  }
}

export default mounted(OutlierExhibit, unpack);
