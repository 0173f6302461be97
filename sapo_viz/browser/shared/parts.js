// Parts that the figures' controls are made of; how they look is in parts.css.

import { el } from "./dom.js";
import { lineSwatch } from "./sliders.js";
import "./parts.css";

/**
 * @param {string} text
 * @param {() => void} action
 * @param {string} [test] its data-testid
 * @param {Record<string, any>} [more] attributes
 * @returns {HTMLButtonElement}
 */
export function button(text, action, test, more = {}) {
  return el("button", { class: "part-button", type: "button", onclick: action, "data-testid": test, ...more }, text);
}

/**
 * A box of controls under a title; with a look, the line that it is drawn with stands before it.
 * @param {string} title
 * @param {Look | null} look
 * @param {...(Node | string)} rows
 * @returns {HTMLFieldSetElement}
 */
export function group(title, look, ...rows) {
  return el("fieldset", { class: "lab-group" }, el("legend", {}, ...(look ? [lineSwatch(look)] : []), title), ...rows);
}

const OPEN = 4; // boxes of knobs that fit beside a figure

/**
 * A box of knobs for each objective, or that it has none. Of many, those after the first few are folded.
 * @template {{ label: string; knobs: any[] } & Look} O
 * @param {O[]} objectives
 * @param {(objective: O, knob: O["knobs"][number]) => Node} row
 * @param {string} none
 * @returns {HTMLElement[]}
 */
export function knobGroups(objectives, row, none) {
  return objectives.map((objective, i) => {
    const { label, knobs } = objective;
    const rows = knobs.length ? knobs.map((knob) => row(objective, knob)) : [el("p", { class: "lab-note" }, none)];
    if (objectives.length <= OPEN) return group(label, objective, ...rows);
    return el(
      "details",
      { class: "lab-group", open: i < OPEN },
      el("summary", {}, lineSwatch(objective), label),
      ...rows,
    );
  });
}
