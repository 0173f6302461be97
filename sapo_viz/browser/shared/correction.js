// The choice of a correction for the sampler, the same beside the curves and beside the strip.

import { choiceOf } from "./correction_weight.js";
import { el } from "./dom.js";
import { group } from "./parts.js";
import { sliderRow } from "./sliders.js";

export class CorrectionGroup {
  /**
   * @param {Correction} control
   * @param {Words} labels those of the figure
   * @param {{
   *   value: () => CorrectionValue; moved: () => void; released: () => void;
   *   disabled?: () => boolean; more?: (choice: CorrectionChoice) => Node[]; note: (choice: CorrectionChoice | undefined) => (string | Node)[];
   * }} hand `more` are rows below the bounds, `note` is what the choice does here; it is asked for at every move
   */
  constructor(control, labels, hand) {
    this.control = control;
    this.labels = labels;
    this.hand = hand;
    const words = labels.correction;
    this.select = el(
      "select",
      { class: "lab-choice", "aria-label": words.choice, title: words.help, "data-testid": "correction" },
      ...[control.off, ...control.choices.map(({ name }) => name)].map((name) => el("option", { value: name }, name)),
    );
    this.select.addEventListener("change", () => this.choose(this.select.value));
    this.rows = el("div", {});
    this.note = el("p", { class: "lab-note", "data-testid": "correction-note", "aria-live": "polite" });
    this.node = group(words.title, null, this.select, this.rows, this.note);
    /** @type {(() => void)[]} */
    this.inputs = [];
    this.drawn = "";
    this.sync();
  }

  /** @param {string} name */
  choose(name) {
    const value = this.hand.value();
    value.choice = name;
    Object.assign(value, choiceOf(this.control, value)?.usual);
    this.sync();
    this.hand.moved();
    this.hand.released();
  }

  // Shows a value that was set here or elsewhere.
  sync() {
    const { choice: name } = this.hand.value();
    this.select.value = name;
    this.select.disabled = Boolean(this.hand.disabled?.());
    const choice = choiceOf(this.control, this.hand.value());
    if (name !== this.drawn) {
      this.drawn = name;
      this.inputs = [];
      this.select.title = choice?.names || this.labels.correction.help;
      this.rows.replaceChildren(
        ...(choice
          ? [...this.control.bounds.map((bound) => this.row(bound)), ...(this.hand.more?.(choice) ?? [])]
          : []),
      );
    } else for (const sync of this.inputs) sync();
    this.tell();
  }

  tell() {
    this.note.replaceChildren(...this.hand.note(choiceOf(this.control, this.hand.value())));
  }

  /** @param {KnobSpec} bound */
  row(bound) {
    const { value, moved, released } = this.hand;
    const name = /** @type {"low" | "high"} */ (bound.name);
    const made = sliderRow({
      symbol: bound.symbol,
      name,
      label: `${this.labels.correction.title} ${name}`,
      help: bound.help,
      test: `correction-${name}`,
      spec: bound,
      words: this.labels,
      get: () => value()[name],
      set: (number) => {
        value()[name] = number;
      },
      moved: () => {
        this.tell();
        moved();
      },
      released,
    });
    this.inputs.push(made.sync);
    return made.node;
  }
}
