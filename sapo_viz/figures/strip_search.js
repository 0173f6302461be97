// Finding text in the strip: the browser's own search sees the lines in sight only, this one sees all tokens.

const MOST = 20000; // places kept

class StripSearch {
  // goTo(i): choose a token. marked(set): which tokens are found.
  constructor(words, { goTo, marked }) {
    Object.assign(this, { words, goTo, marked, places: [], at: -1 });
    this.field = el("input", { type: "search", placeholder: words.find, "aria-label": words.find, "data-testid": "find", autocomplete: "off", spellcheck: "false" });
    this.count = el("span", { class: "tok-count", role: "status" });
    const step = (by, sign, label) => el("button", { class: "lab-button", type: "button", "aria-label": label, title: label, onclick: () => this.step(by) }, sign);
    this.node = el("div", { class: "tok-find", role: "search" }, this.field, step(-1, "↑", words.find_before), step(1, "↓", words.find_next), this.count);
    this.field.addEventListener("input", () => this.find());
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); this.step(event.shiftKey ? -1 : 1); }
      if (event.key === "Escape" && this.field.value) { event.preventDefault(); this.field.value = ""; this.find(); }
    });
  }

  // The tokens as one text, made when something is looked for; `starts` says where each begins.
  read(numbers) { this.numbers = numbers; this.whole = null; this.find(false); }

  index() {
    const { numbers } = this;
    this.starts = new Uint32Array(numbers.length + 1);
    const parts = Array.from({ length: numbers.length }, (_, i) => numbers.text(i));
    parts.forEach((part, i) => { this.starts[i + 1] = this.starts[i] + part.length; });
    const text = parts.join(""), lower = text.toLowerCase();
    this.folds = lower.length === text.length; // a letter whose small form is longer would shift all places
    this.whole = this.folds ? lower : text;
  }

  find(move = true) {
    const asked = this.field.value;
    this.places = [];
    this.at = -1;
    if (asked) {
      if (!this.whole) this.index();
      const what = this.folds ? asked.toLowerCase() : asked;
      for (let k = this.whole.indexOf(what); k >= 0 && this.places.length < MOST; k = this.whole.indexOf(what, k + what.length)) {
        this.places.push([this.tokenAt(k), this.tokenAt(k + what.length - 1)]);
      }
    }
    const found = new Set();
    for (const [first, last] of this.places) for (let i = first; i <= last; i++) found.add(i);
    this.marked(found);
    if (move && this.places.length) this.step(1); else this.say();
  }

  // The token that character k lies in; an empty token holds none.
  tokenAt(k) {
    let low = 0, high = this.numbers.length - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (this.starts[middle] <= k) low = middle; else high = middle - 1; }
    return low;
  }

  step(by) {
    const { length } = this.places;
    if (!length) { this.say(); return; }
    this.at = this.at < 0 ? (by > 0 ? 0 : length - 1) : (this.at + by + length) % length;
    this.goTo(this.places[this.at][0]);
    this.say();
  }

  say() {
    const { places, at, words } = this;
    this.count.textContent = !this.field.value ? "" : !places.length ? words.found_none
      : words.found.replace("{i}", (at + 1).toLocaleString("en")).replace("{n}", places.length.toLocaleString("en"));
  }
}
