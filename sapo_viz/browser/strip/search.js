// Finding text in the strip: the browser's own search sees the lines in sight only, this one sees all tokens, and asks
// the server how it stands with the other sequences of the file. Beyond the last place here it goes on there.

import { el } from "../shared/dom.js";
import { debounce } from "../shared/timing.js";

const MOST = 20000; // places kept

export class StripSearch {
  /**
   * @param {Words} words
   * @param {{
   *   goTo: (i: number) => void; marked: (tokens: Set<number>) => void; ask: (text: string, step: number) => void;
   * }} page chooses a token; shows which are found; looks in the other sequences, and goes there by a step
   */
  constructor(words, { goTo, marked, ask }) {
    this.words = words;
    /** @type {Elsewhere | undefined} what the server says of the other sequences, for a text */
    this.elsewhere = undefined;
    /** @type {StripNumbers | undefined} */
    this.numbers = undefined;
    /** @type {SearchedText | undefined} made when something is looked for */
    this.whole = undefined;
    this.goTo = goTo;
    this.marked = marked;
    this.ask = ask;
    this.askSoon = debounce(400, () => this.ask(this.field.value, 0));
    /** @type {[number, number][]} first and last token of each place */
    this.places = [];
    this.at = -1;
    this.field = el("input", {
      type: "search",
      placeholder: words.find,
      "aria-label": words.find,
      "data-testid": "find",
      autocomplete: "off",
      spellcheck: "false",
    });
    this.count = el("span", { class: "tok-count", role: "status" });
    /** @type {(by: number, sign: string, label: string) => HTMLElement} */
    const step = (by, sign, label) =>
      el(
        "button",
        { class: "part-button", type: "button", "aria-label": label, title: label, onclick: () => this.step(by) },
        sign,
      );
    this.node = el(
      "div",
      { class: "tok-find", role: "search" },
      this.field,
      step(-1, "↑", words.find_before),
      step(1, "↓", words.find_next),
      this.count,
    );
    this.field.addEventListener("input", () => {
      this.find();
      this.askSoon();
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        this.step(event.shiftKey ? -1 : 1);
      }
      if (event.key === "Escape" && this.field.value) {
        event.preventDefault();
        this.field.value = "";
        this.find();
        this.askSoon();
      }
    });
  }

  /** @param {StripNumbers} numbers of the tokens that are looked through from now on */
  read(numbers) {
    this.numbers = numbers;
    this.whole = undefined;
    this.find(false);
  }

  // Here from another sequence, in which there was no further place: on to the first one, or to the last.
  /** @type {(text: string, by: number) => void} */
  arrive(text, by) {
    this.field.value = text;
    this.find(false);
    if (this.places.length) this.step(by);
    this.field.focus({ preventScroll: true }); // the next key goes on from here
    this.holdFocus(performance.now() + 1000);
  }

  // What the page does when another sequence comes may take the focus to nowhere after this: then it comes back.
  /** @param {number} until */
  holdFocus(until) {
    if (!document.activeElement || document.activeElement === document.body) this.field.focus({ preventScroll: true });
    if (performance.now() < until) setTimeout(() => this.holdFocus(until), 50);
  }

  // What the server found for `text` in the other sequences.
  /** @param {Elsewhere | undefined} elsewhere */
  heard(elsewhere) {
    this.elsewhere = elsewhere;
    this.say();
  }

  get others() {
    return this.elsewhere?.text === this.field.value && this.elsewhere.hits ? this.elsewhere : undefined;
  }

  find(move = true) {
    const asked = this.field.value;
    this.places = [];
    this.at = -1;
    if (asked && this.numbers) {
      this.whole ??= searched(this.numbers);
      const { text, starts, folds } = this.whole;
      const what = folds ? asked.toLowerCase() : asked;
      for (let k = text.indexOf(what); k >= 0 && this.places.length < MOST; k = text.indexOf(what, k + what.length))
        this.places.push([tokenAt(k, starts), tokenAt(k + what.length - 1, starts)]);
    }
    const found = new Set();
    for (const [first, last] of this.places) for (let i = first; i <= last; i++) found.add(i);
    this.marked(found);
    if (move && this.places.length) this.step(1);
    else this.say();
  }

  /** @param {number} by */
  step(by) {
    const { length } = this.places;
    const beyond = this.at + by;
    if (this.others && (!length || (this.at >= 0 && (beyond < 0 || beyond >= length)))) {
      this.ask(this.field.value, by);
      return;
    }
    if (!length) {
      this.say();
      return;
    }
    this.at = this.at < 0 ? (by > 0 ? 0 : length - 1) : (this.at + by + length) % length;
    this.goTo(this.places[this.at][0]);
    this.say();
  }

  say() {
    const { places, at, words, others } = this;
    const here = places.length;
    /** @type {string} */
    const said = !this.field.value
      ? ""
      : others
        ? here
          ? words.found_also
          : words.found_elsewhere
        : here
          ? words.found
          : words.found_none;
    /** @type {Record<string, number>} */
    const numbers = { i: at + 1, here, n: others?.hits ?? here, k: others?.sequences ?? 0 };
    this.count.textContent = said.replace(/\{(\w+)\}/g, (_, name) => {
      const more = others && !others.whole && (name === "n" || name === "k") ? "+" : ""; // not all were looked through
      return numbers[name].toLocaleString("en") + more;
    });
  }
}

/** @typedef {{ text: string; starts: Uint32Array; folds: boolean }} SearchedText `starts`: of each token, and the end */

// The tokens as one text, in small letters where that `folds` without shifting any place.
/** @type {(numbers: StripNumbers) => SearchedText} */
function searched(numbers) {
  const starts = new Uint32Array(numbers.length + 1);
  const parts = Array.from({ length: numbers.length }, (_, i) => numbers.text(i));
  parts.forEach((part, i) => {
    starts[i + 1] = starts[i] + part.length;
  });
  const text = parts.join("");
  const lower = text.toLowerCase();
  const folds = lower.length === text.length; // a letter whose small form is longer would shift all places
  return { text: folds ? lower : text, starts, folds };
}

// The token that character k is in; an empty token holds none.
/** @type {(k: number, starts: Uint32Array) => number} */
function tokenAt(k, starts) {
  let low = 0;
  let high = starts.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= k) low = middle;
    else high = middle - 1;
  }
  return low;
}
