// A formula with one token's numbers put in. The symbolic part is the catalogue's LaTeX, cut into pieces by
// strip_formula.py; the numbers come from the generated formulas.

import { el } from "../shared/dom.js";
import { show } from "../shared/numbers.js";
import { lineSwatch } from "../shared/sliders.js";

// The typesetter is the one inside st.latex, so that its classes fit the style sheet that is there already.
// Streamlit carries it as a plugin that turns a tree with LaTeX into a tree with markup; null if there is none.
/**
 * @typedef {{ type: string; tagName?: string; value?: string; properties?: Record<string, any>; children?: Tree[] }} Tree
 * @typedef {(tree: Tree, file: { message(): void }) => void} Typesetter
 */
/** @type {Promise<Typesetter | null> | undefined} */
let typesetterLoad;
/** @type {(path: string) => Promise<Typesetter | null>} */
export function loadTypesetter(path) {
  typesetterLoad ||= (path ? import(new URL(path, document.baseURI).href) : Promise.reject())
    .then((module) => module.default({ fleqn: true, trust: false, strict: false }))
    .catch(() => null);
  return typesetterLoad;
}

/** @type {(typesetter: Typesetter, tex: string) => Node[]} */
function typeset(typesetter, tex) {
  const code = {
    type: "element",
    tagName: "span",
    properties: { className: ["math-inline"] },
    children: [{ type: "text", value: tex }],
  };
  /** @type {Required<Pick<Tree, "type" | "children">>} */
  const tree = { type: "root", children: [code] };
  typesetter(tree, { message() {} });
  return tree.children.map((item) => nodeOf(item));
}

/** @type {Record<string, string>} */
const NAMESPACES = { math: "http://www.w3.org/1998/Math/MathML", svg: "http://www.w3.org/2000/svg" };

/** @type {(item: Tree, namespace?: string) => Node} */
function nodeOf(item, namespace = "http://www.w3.org/1999/xhtml") {
  if (item.type !== "element" || !item.tagName) return document.createTextNode(item.value ?? "");
  const here = NAMESPACES[item.tagName] ?? namespace;
  const node = document.createElementNS(here, item.tagName);
  for (const [name, value] of Object.entries(item.properties ?? {})) {
    const attribute =
      name === "className" ? "class" : name.replace(/^aria([A-Z])/, (_, letter) => `aria-${letter.toLowerCase()}`);
    if (value !== false && value !== null && name !== "xmlns")
      node.setAttribute(attribute, Array.isArray(value) ? value.join(" ") : value);
  }
  node.append(...(item.children ?? []).map((child) => nodeOf(child, here)));
  return node;
}

// Four digits, and near 1 two digits of the distance from 1: a ratio of 0.99996 is not 1.
/** @type {(value: number) => string} */
export function fine(value) {
  const away = Math.abs(value - 1);
  return away > 1e-9 && away < 1e-2 ? String(Number(value.toFixed(Math.ceil(-Math.log10(away)) + 1))) : show(value);
}

// As TeX; a negative number in brackets, since it stands within a product.
/** @type {(value: number, bare?: boolean, raised?: boolean) => string} */
function texNumber(value, bare = false, raised = false) {
  if (!Number.isFinite(value)) return value > 0 ? "\\infty" : value < 0 ? "(-\\infty)" : "\\text{–}";
  const [digits, power] = fine(Math.abs(value)).split("e");
  const text = power ? `${digits}\\times10^{${power.replace("−", "-").replace("+", "")}}` : digits;
  if (raised && power) return `(${value < 0 ? "-" : ""}${text})`;
  return value < 0 ? (bare ? `-${text}` : `(-${text})`) : text;
}

/** @type {Record<string, string>} by the ratio level of an objective */
export const RATIO_LETTERS = { token: "r", sequence: "s", "sequence-product": "W" };

// Lines: J = symbols ≈ numbers ≈ value, and what follows from it: c, and w = c / ratio. Each is set as inline maths,
// which breaks where there is no room.
/** @type {(objective: StripObjective, numbers: StripNumbers, knobs: Knobs, i: number) => string[]} */
export function texOfToken(objective, numbers, knobs, i) {
  const symbols = numbers.symbols(objective, i);
  const { c, w, ratio } = numbers.of(objective.name);
  const pieces = objective.pieces[symbols.A > 0 ? "up" : "down"];
  const put = pieces.map((piece) => {
    if (typeof piece === "string") return piece;
    const value = "knob" in piece ? knobs[piece.knob] : symbols[piece.token];
    return `{${texNumber(value, false, Boolean(piece.raised))}}`;
  });
  // A formula that begins with |y| counts its sequence by length; J is a token's.
  const [head] = pieces;
  const byLength = typeof head === "object" && "token" in head && head.token === "length";
  const whole = numbers.surrogate(objective, knobs, i) * (byLength ? symbols.length : 1);
  const letter = RATIO_LETTERS[objective.level];
  const weight = `w=\\tfrac{c}{${letter}}\\approx\\tfrac{${texNumber(c[i], true)}}{${texNumber(ratio[i], true)}}\\approx${texNumber(w[i], true)}`;
  return [
    `J_t=${objective.formula}`,
    `\\approx ${put.join("")}`,
    `\\approx ${texNumber(whole, true)}`,
    `c\\approx ${texNumber(c[i], true)},\\quad ${weight}`,
  ].map((line) => `\\displaystyle ${line}`);
}

/**
 * What is set of one objective, with what each line shows now.
 * @typedef {{ node: HTMLElement; tex?: string; typesetter?: Typesetter | null }} FormulaLine
 * @typedef {{ node: HTMLElement; lines: FormulaLine[]; note: HTMLElement }} FormulaCard
 */

export class FormulaList {
  constructor() {
    this.node = el("div", { class: "tok-formulas", "data-testid": "token-formulas" });
    /** @type {Map<string, FormulaCard>} by objective */
    this.cards = new Map();
    this.shape = ""; // which objectives, in which order
  }

  // One card per objective, in order; what has not changed is left as it is.
  /**
   * @param {StripObjective[]} objectives
   * @param {Typesetter | null | undefined} typesetter
   * @param {(objective: StripObjective) => string} noteOf
   * @param {(objective: StripObjective) => string[]} texOf
   */
  show(objectives, typesetter, noteOf, texOf) {
    const shape = objectives.map((o) => o.name).join();
    if (shape !== this.shape) {
      this.shape = shape;
      this.cards = new Map(objectives.map((objective) => [objective.name, this.card(objective)]));
      this.node.replaceChildren(...[...this.cards.values()].map((card) => card.node));
    }
    for (const objective of objectives) {
      const card = this.cards.get(objective.name);
      if (!card) continue;
      const note = noteOf(objective);
      texOf(objective).forEach((tex, k) => {
        const line = card.lines[k];
        if (line.tex === tex && line.typesetter === typesetter) return;
        Object.assign(line, { tex, typesetter });
        line.node.dataset.tex = tex;
        line.node.replaceChildren(...(typesetter ? typeset(typesetter, tex) : [el("code", {}, tex)]));
      });
      if (card.note.textContent !== note) card.note.textContent = note;
    }
  }

  /** @type {(objective: StripObjective) => FormulaCard} */
  card(objective) {
    /** @type {FormulaLine[]} */
    const lines = Array.from({ length: 4 }, () => ({ node: el("div", { class: "tok-tex" }) }));
    const note = el("p", { class: "lab-note" });
    const rows = lines.map((line) => line.node);
    const node = el(
      "section",
      { class: "tok-formula", "data-formula": objective.name },
      el("h4", {}, lineSwatch(objective), objective.label),
      ...rows,
      note,
    );
    return { node, lines, note };
  }
}
