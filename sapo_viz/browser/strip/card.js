// What the hand points at, beside the token itself: what each objective does to it. The panel below has all its
// numbers; this one is for the eye alone and takes no pointer.

import { el } from "../shared/dom.js";
import { heldWithin } from "../shared/numbers.js";
import { lineSwatch } from "../shared/sliders.js";
import { fine } from "./formula.js";
import { fateOf } from "./scales.js";
import { fateOfToken } from "./token.js";
import { appendToken } from "./token_text.js";

const AWAY = 8; // pixels between a token and its card

export class TokenCard {
  constructor() {
    this.node = el("div", { class: "tok-card", "aria-hidden": "true", hidden: true });
  }

  hide() {
    this.node.hidden = true;
  }

  /**
   * @param {HTMLElement} cell the token's place
   * @param {number} i
   * @param {StripNumbers} numbers
   * @param {StripData} data
   * @param {HTMLElement} around what the card stays within
   */
  show(cell, i, numbers, data, around) {
    const words = data.labels;
    const text = numbers.text(i);
    const head = el("div", { class: "tok-card-head" });
    appendToken(head, text.length > 40 ? `${text.slice(0, 40)}…` : text);
    const rows = numbers.masked[i]
      ? [el("p", {}, words.masked)]
      : [
          el("p", {}, `r ${fine(Math.exp(heldWithin(numbers.z[i])))} · A ${fine(numbers.advantage(i))}`),
          el("table", {}, el("tbody", {}, ...data.objectives.map((o) => rowOf(o, i, numbers, words)))),
        ];
    this.node.replaceChildren(head, ...rows);
    this.node.hidden = false;
    this.place(cell, around);
  }

  /** @type {(cell: HTMLElement, around: HTMLElement) => void} */
  place(cell, around) {
    const rects = cell.getClientRects();
    const rect = rects[0] ?? cell.getBoundingClientRect();
    const host = around.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.node;
    const below = rect.bottom + Number.parseFloat(around.dataset.under ?? "0") + AWAY;
    const over = rect.top - height - AWAY;
    const top = below + height > innerHeight && over > 0 ? over : below;
    const left = Math.min(Math.max(host.left, rect.left), Math.max(host.left, host.right - width));
    this.node.style.transform = `translate(${Math.round(left - host.left)}px, ${Math.round(top - host.top)}px)`;
  }
}

/** @type {(objective: StripObjective, i: number, numbers: StripNumbers, words: Words) => HTMLElement} */
function rowOf(objective, i, numbers, words) {
  const { w, c } = numbers.of(objective.name);
  return el(
    "tr",
    { "data-look": fateOf(w[i], c[i]) },
    el("th", {}, lineSwatch(objective), objective.label),
    el("td", {}, fateOfToken(objective, i, numbers, words)),
  );
}
