// Which line is which: above the panels, as text that wraps, so that it covers nothing however many there are. A click
// hides a line. Plotly's own legend would lie over the titles of the panels once it needs a third row.

import { el } from "../shared/dom.js";
import { lineSwatch } from "../shared/sliders.js";
import { lineName } from "./apart.js";

export class Legend {
  /** @param {() => void} changed a line is to be hidden or shown */
  constructor(changed) {
    this.host = el("div", { class: "lab-legend", role: "group", "data-testid": "legend" });
    this.changed = changed;
    /** @type {Set<string>} objectives by name */
    this.hidden = new Set();
    this.signature = "";
  }

  /** @param {CurveObjective} objective */
  hides({ name }) {
    return this.hidden.has(name);
  }

  /** @type {(lines: CurveObjective[][], words: Words, tokens: boolean) => void} */
  show(lines, words, tokens) {
    const key = JSON.stringify([lines, words, tokens, [...this.hidden]]);
    if (key === this.signature) return;
    this.signature = key;
    const focused = /** @type {HTMLElement | null} */ (this.host.querySelector(":focus"))?.dataset.line;
    this.host.replaceChildren(
      ...lines.map((line) => this.entry(line, words)),
      ...(tokens ? [el("span", { class: "lab-key" }, el("span", { class: "lab-cloud" }), words.tokens_here)] : []),
    );
    if (focused) /** @type {HTMLElement | null} */ (this.host.querySelector(`[data-line="${focused}"]`))?.focus();
  }

  /** @type {(line: CurveObjective[], words: Words) => HTMLElement} */
  entry(line, words) {
    const [first] = line;
    const toggle = () => {
      for (const { name } of line) this.hides(first) ? this.hidden.delete(name) : this.hidden.add(name);
      this.changed();
    };
    const what = {
      class: "lab-key",
      type: "button",
      onclick: toggle,
      title: line.length > 1 ? words.same_line : words.hide_line,
      "aria-pressed": String(!this.hides(first)),
      "data-line": first.name,
    };
    return el("button", what, lineSwatch(first), lineName(line));
  }
}
