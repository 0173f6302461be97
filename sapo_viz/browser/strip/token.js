// The panel of one token: its text and numbers, and each objective's formula with these numbers put in.

import { el } from "../shared/dom.js";
import { heldWithin, show } from "../shared/numbers.js";
import { FormulaList, fine, loadTypesetter, RATIO_LETTERS, texOfToken } from "./formula.js";
import { fateOf } from "./scales.js";
import { appendToken, escapedOf, spokenText } from "./token_text.js";

export class TokenPanel {
  /** @param {string} typesetterPath */
  constructor(typesetterPath) {
    /** @type {Awaited<ReturnType<typeof loadTypesetter>> | undefined} once it is known whether there is one */
    this.typesetter = undefined;
    /** @type {(() => void) | undefined} what is shown, once more */
    this.again = undefined;
    /** @type {number | undefined} the token whose formulas are set */
    this.typesetFor = undefined;
    /** @type {number | undefined} */
    this.later = undefined;
    this.facts = el("div", { class: "tok-details", "data-testid": "token-details" });
    this.formulas = new FormulaList();
    this.node = el("div", { class: "tok-token", tabindex: "-1", role: "region" }, this.facts, this.formulas.node);
    loadTypesetter(typesetterPath).then((typesetter) => {
      this.typesetter = typesetter;
      this.again?.();
    });
  }

  /**
   * @param {number} i -1: none
   * @param {StripNumbers} numbers
   * @param {StripData} data
   * @param {StripData["values"]} values
   * @param {ColourScale["swatch"]} swatchOf
   */
  show(i, numbers, data, values, swatchOf) {
    this.again = () => this.show(i, numbers, data, values, swatchOf);
    const words = data.labels;
    this.node.setAttribute("aria-label", words.panel);
    const live = i >= 0 && !numbers.masked[i];
    this.formulas.node.hidden = !live;
    if (!live) this.typesetFor = undefined;
    if (i < 0) {
      this.facts.replaceChildren(el("p", { class: "lab-note" }, words.point));
      return;
    }
    const text = appendToken(el("code", { class: "tok-text" }), numbers.text(i), 10000);
    const id = numbers.id(i) === undefined ? "" : ` · ${words.token_id} ${numbers.id(i)}`;
    const head = el("div", { class: "tok-head" }, text, el("small", {}, placeOf(i, data) + id));
    const escaped = escapedOf(numbers.text(i));
    const spelled = escaped === numbers.text(i) ? [] : [el("div", { class: "tok-escaped" }, el("code", {}, escaped))];
    if (!live) {
      this.facts.replaceChildren(el("div", {}, head, ...spelled, el("p", { class: "lab-note" }, words.masked_note)));
      return;
    }
    const A = numbers.advantage(i);
    const note = A === 0 ? [el("p", { class: "lab-note" }, words.no_gradient)] : [];
    this.facts.replaceChildren(
      el("div", {}, head, ...spelled, factsOf(i, numbers), ...note),
      tableOf(i, numbers, data, swatchOf),
    );
    // A formula takes some milliseconds to set: under a dragged knob one changes, at another token all of them do.
    clearTimeout(this.later);
    const typeset = () =>
      this.formulas.show(
        data.objectives,
        this.typesetter,
        (objective) => noteOf(objective, i, numbers, words),
        (objective) => texOfToken(objective, numbers, values[objective.name], i),
      );
    if (i === this.typesetFor) typeset();
    else
      this.later = setTimeout(() => {
        this.typesetFor = i;
        typeset();
      }, 60);
  }
}

/** @type {(i: number, data: StripData) => string} */
function placeOf(i, data) {
  const words = data.labels;
  return words.place
    .replace("{i}", (data.first + i + 1).toLocaleString("en"))
    .replace("{n}", data.total.toLocaleString("en"));
}

/** @type {(i: number, numbers: StripNumbers) => HTMLElement} */
function factsOf(i, numbers) {
  const z = numbers.z[i];
  const logp = numbers.logprobs[i];
  /** @type {[string, number][]} */
  const pairs = [
    ["log π_θ", logp],
    ["log π_old", logp - z],
    ["z", z],
    ["r", Math.exp(heldWithin(z))],
    ["A", numbers.advantage(i)],
    ["mask", 1],
    ...samplerFacts(i, numbers),
  ];
  return el(
    "dl",
    { class: "tok-facts" },
    ...pairs.map(([name, value]) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, name === "r" ? fine(value) : show(value))),
    ),
  );
}

// Of who drew the token, and what a correction makes of that.
/** @type {(i: number, numbers: StripNumbers) => [string, number][]} */
function samplerFacts(i, numbers) {
  const { log_rho } = numbers.data.arrays;
  if (!log_rho) return [];
  const { rho } = numbers;
  /** @type {[string, number]} */
  const ratio = ["ρ", Math.exp(heldWithin(log_rho[i]))];
  return rho === null ? [ratio] : [ratio, ["× ρ", typeof rho === "number" ? rho : rho[i]]];
}

/** @type {(i: number, numbers: StripNumbers, data: StripData, swatchOf: ColourScale["swatch"]) => HTMLElement} */
function tableOf(i, numbers, data, swatchOf) {
  const words = data.labels;
  const body = el("tbody");
  for (const objective of data.objectives) {
    const { w, c, ratio } = numbers.of(objective.name);
    const box = el("span", { class: "tok-chip", "data-look": fateOf(w[i], c[i]), "aria-hidden": "true" });
    box.style.backgroundColor = swatchOf(w[i])?.background ?? "";
    const level = RATIO_LETTERS[objective.level];
    body.append(
      el(
        "tr",
        {},
        el("th", { scope: "row" }, box, objective.label),
        el("td", {}, show(w[i])),
        el("td", {}, show(c[i])),
        el("td", {}, `${level} ${fine(ratio[i])}`),
      ),
    );
  }
  const heads = [words.objective, "w", "c", words.ratio].map((text) => el("th", { scope: "col" }, text));
  return el("div", { class: "tok-table" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body));
}

// What a ratio that is not the token's own is made of, and when the numbers follow.
/** @type {(objective: StripObjective, i: number, numbers: StripNumbers, words: Words) => string} */
function noteOf(objective, i, numbers, words) {
  /** @type {Record<string, string>} */
  const made = {
    token: "",
    sequence: objective.own_mean ? words.shared_own : words.shared_mean,
    "sequence-product": words.shared_product,
  };
  const shared = made[objective.level]
    .replace("{n}", numbers.data.count.toLocaleString("en"))
    .replace("{x}", fine(numbers.of(objective.name).ratio[i]));
  return [shared, objective.live ? "" : words.on_release].filter(Boolean).join(" ");
}

// What an objective does to a token, in a word or two.
/** @type {(objective: StripObjective, i: number, numbers: StripNumbers, words: Words) => string} */
export function fateOfToken(objective, i, numbers, words) {
  const { w, c } = numbers.of(objective.name);
  const fate = fateOf(w[i], c[i]);
  if (fate === "cut") return words.fate_cut;
  if (fate === "reversed") return words.fate_reversed.replace("{x}", show(Math.abs(w[i])));
  if (fate === "more") return words.fate_more.replace("{x}", show(w[i]));
  return words.fate_keeps.replace("{x}", fate ? String(Math.min(99, Math.round(100 * w[i]))) : "100");
}

// One sentence for who cannot see the colours.
/** @type {(i: number, numbers: StripNumbers, data: StripData) => string} */
export function spokenOf(i, numbers, data) {
  const words = data.labels;
  const text = numbers.text(i);
  const said = text === "" ? words.empty : spokenText(text.length > 60 ? `${text.slice(0, 60)}…` : text);
  const parts = [`${said}, ${placeOf(i, data)}`];
  if (numbers.masked[i]) parts.push(words.masked);
  else {
    parts.push(`r ${fine(Math.exp(heldWithin(numbers.z[i])))}`);
    for (const objective of data.objectives)
      parts.push(
        `${objective.label} w ${show(numbers.of(objective.name).w[i])}, ${fateOfToken(objective, i, numbers, words)}`,
      );
  }
  return parts.join("; ");
}
