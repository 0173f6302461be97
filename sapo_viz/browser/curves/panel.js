// The controls beside the curves: a slider per knob, the ratio that is read, where the tokens are, and matching τ to ε.

import { FORMULAS } from "../formulas.js";
import { CorrectionGroup } from "../shared/correction.js";
import { el } from "../shared/dom.js";
import { linkTo } from "../shared/link_to.js";
import { show } from "../shared/numbers.js";
import { button, group, knobGroups } from "../shared/parts.js";
import { knobParts, sliderRow } from "../shared/sliders.js";
import { matchKnob } from "./readouts.js";

/** @typedef {{ lo: number; hi: number; ui_lo: number; ui_hi: number; scale: string; step: number }} Range */

export class Panel {
  /** @param {CurvesHand} lab whose values it shows and changes */
  constructor(lab) {
    this.lab = lab;
    this.host = el("div", { class: "lab-panel" });
    /** @type {(() => void)[]} */
    this.inputs = [];
    this.showMatch = () => {};
    /** @type {CorrectionGroup | undefined} */
    this.correction = undefined;
  }

  /** @param {CurvesData} data */
  build(data) {
    this.inputs = [];
    this.host.replaceChildren();
    const shown = data.objectives.filter((objective) => objective.knobs.length || !data.compact);
    this.host.append(...knobGroups(shown, (objective, knob) => this.knobRow(objective, knob), data.labels.no_knobs));
    this.showMatch = () => {};
    if (data.readout) this.host.append(this.readGroup());
    if (data.distribution) this.host.append(this.tokensGroup(data.distribution));
    this.correction = data.correction ? this.correctionGroup(data.correction) : undefined;
    if (this.correction) this.host.append(this.correction.node);
    if (!data.compact) this.host.append(button(data.labels.reset, () => this.lab.reset()));
  }

  // Values that were set elsewhere.
  sync() {
    for (const sync of this.inputs) sync();
    this.correction?.sync();
  }

  // It multiplies all curves alike, by what a token of this ρ counts.
  /** @param {Correction} control */
  correctionGroup(control) {
    const { lab } = this;
    const { labels } = lab.data;
    const words = labels.correction;
    const moved = () => lab.data.objectives.forEach((objective) => lab.schedule(objective));
    return new CorrectionGroup(control, labels, {
      value: () => lab.values.correction,
      moved,
      released: () => lab.released(),
      more: ({ level }) => [
        this.addRow({
          symbol: "ρ",
          name: level === "token" ? words.rho : words.rho_sequence,
          label: words.rho,
          help: words.rho_help,
          test: "rho",
          spec: { lo: 1e-3, hi: 1e3, ui_lo: 0.1, ui_hi: 10, scale: "log", step: 0.01 },
          get: () => lab.values.rho,
          set: (value) => {
            lab.values.rho = value;
          },
          moved: () => {
            this.correction?.tell();
            moved();
          },
        }),
      ],
      note: (choice) => {
        if (!choice) return [];
        const told = [words.times.replace("{x}", show(lab.times()))];
        const most = Math.floor(Math.log(lab.values.correction.high) / control.nats);
        if (choice.level === "sequence-sum")
          told.push(words.sum.replace("{d}", String(control.nats)).replace("{n}", most.toLocaleString("en")));
        const there = new URL("tokens", document.baseURI);
        const { low, high } = lab.values.correction;
        there.search = String(
          new URLSearchParams({
            look: "batch",
            correction: choice.name,
            "correction.low": String(low),
            "correction.high": String(high),
          }),
        );
        const picture = linkTo(there.href, { "data-testid": "correction-picture" }, words.picture);
        return [`${told.join(" ")} `, picture];
      },
    });
  }

  /** @type {(objective: CurveObjective, knob: KnobSpec) => HTMLElement} */
  knobRow(objective, knob) {
    const { lab } = this;
    const parts = knobParts(objective, knob, () => lab.values[objective.name]);
    return this.addRow({ ...parts, moved: () => lab.schedule(objective) });
  }

  /** @param {Omit<Parameters<typeof sliderRow>[0], "words" | "released">} parts */
  addRow(parts) {
    const row = sliderRow({ ...parts, words: this.lab.data.labels, released: () => this.lab.released() });
    this.inputs.push(row.sync);
    return row.node;
  }

  readGroup() {
    const { lab } = this;
    const { data } = lab;
    const words = data.labels;
    const box = group(
      words.read_out,
      null,
      this.addRow({
        symbol: "r",
        name: words.read_at,
        label: words.read_at,
        help: words.read_help,
        test: "read-at",
        spec: { lo: 1e-3, hi: 1e3, ui_lo: data.axis.lo, ui_hi: data.axis.hi, scale: data.axis.kind, step: 0.01 },
        get: () => lab.readAt,
        set: (value) => {
          lab.readAt = value;
          lab.values.read_at = value;
        },
        moved: () => lab.schedule(),
      }),
    );
    const readers = data.objectives.filter((objective) => objective.reads_logprobs);
    if (readers.length) {
      const spec = { lo: 1e-4, hi: 0.9999, ui_lo: 0.01, ui_hi: 0.99, scale: "linear", step: 0.01 };
      box.append(this.extraRow("π", "p_old", spec, () => readers.forEach((objective) => lab.schedule(objective))));
    }
    return box;
  }

  /** @type {(symbol: string, name: string, spec: Range, moved: () => void) => HTMLElement} */
  extraRow(symbol, name, spec, moved) {
    const words = this.lab.data.labels;
    return this.addRow({
      symbol,
      name: words[name],
      label: words[name],
      help: words[`${name}_help`],
      test: name.replace("_", "-"),
      spec,
      get: () => this.lab.values[name],
      set: (value) => {
        this.lab.values[name] = value;
      },
      moved,
    });
  }

  // Where the tokens are, and the τ that keeps as much of them as an ε does.
  /** @type {(distribution: { label?: string; z?: number[] }) => HTMLElement} */
  tokensGroup(distribution) {
    const { lab } = this;
    const words = lab.data.labels;
    const box = group(words.tokens_here, null);
    if (distribution.z) box.append(el("p", { class: "lab-note" }, distribution.label ?? ""));
    else {
      const spec = { lo: 0.001, hi: 3, ui_lo: 0.01, ui_hi: 2, scale: "log", step: 0.01 };
      box.append(this.extraRow("σ", "spread", spec, () => lab.schedule("tokens")));
    }
    const sapo = lab.data.objectives.find((o) => o.name === "sapo");
    const grpo = lab.data.objectives.find((o) => o.name === "grpo");
    if (!sapo || !grpo || lab.data.compact) return box;
    const note = el("p", { class: "lab-note", "data-testid": "match", "aria-live": "polite" });
    this.showMatch = () => {
      /** @type {(objective: CurveObjective) => string} */
      const kept = (objective) =>
        [1, -1].map((sign) => `${(100 * (lab.facts(objective, sign).kept ?? 0)).toFixed(1)} %`).join(" / ");
      note.textContent = words.match.replace("{sapo}", kept(sapo)).replace("{grpo}", kept(grpo));
    };
    /** @type {(to: CurveObjective, from: CurveObjective, names: [number, string][]) => () => void} */
    const match = (to, from, names) => () => {
      const failed = this.match(to, from, names);
      this.sync();
      lab.draw();
      lab.released();
      if (failed.length) note.textContent = words.no_match.replace("{knobs}", failed.join(", "));
    };
    /** @type {[number, string][]} */
    const taus = [
      [1, "tau_pos"],
      [-1, "tau_neg"],
    ];
    /** @type {[number, string][]} */
    const epsilons = [
      [1, "eps_high"],
      [-1, "eps_low"],
    ];
    box.append(
      note,
      el(
        "div",
        { class: "lab-tools" },
        button(words.tau_from_eps, match(sapo, grpo, taus), "tau-from-eps"),
        button(words.eps_from_tau, match(grpo, sapo, epsilons), "eps-from-tau"),
      ),
    );
    return box;
  }

  // Sets the knobs of `to` so that it keeps what `from` keeps; the symbols of those that cannot.
  /** @type {(to: CurveObjective, from: CurveObjective, names: [number, string][]) => string[]} */
  match(to, from, names) {
    const { lab } = this;
    const failed = [];
    for (const [sign, name] of names) {
      const spec = to.knobs.find((knob) => knob.name === name);
      if (!spec) continue;
      const kept = lab.facts(from, sign).kept ?? 0;
      const found = matchKnob(FORMULAS[to.name], lab.values[to.name], name, spec, sign, lab.tokens(), kept);
      if (found === null) failed.push(spec.symbol);
      else lab.values[to.name][name] = found;
    }
    return failed;
  }
}
