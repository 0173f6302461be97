// The controls of the view, above the legend: smoothing, x axis, band. They act in the browser alone.

import { el } from "../shared/dom.js";
import { debounce } from "../shared/timing.js";

export class LiveControls {
  /** @param {LiveLab} lab */
  constructor(lab) {
    this.lab = lab;
    this.host = el("div", { class: "live-controls", role: "group" });
    this.signature = ""; // the words that it was built with
  }

  build() {
    const { lab } = this;
    const { words, view } = lab;
    const signature = JSON.stringify(words.view);
    if (signature === this.signature) return;
    this.signature = signature;
    this.host.setAttribute("aria-label", words.view.title);
    const smooth = el("input", {
      type: "range",
      min: 0,
      max: 0.99,
      step: 0.01,
      "data-testid": "smooth",
      "aria-label": words.view.smooth,
      title: words.view.smooth_help,
    });
    const shown = el("output", {});
    const say = () => {
      shown.textContent = Number(smooth.value).toFixed(2);
    };
    smooth.value = String(view.smooth);
    say();
    const write = debounce(200, () => view.write());
    smooth.addEventListener("input", () => {
      view.smooth = Number(smooth.value);
      say();
      write();
      lab.drawSoon();
    });
    this.host.replaceChildren(
      el("label", {}, words.view.smooth, smooth, shown),
      this.choice("x", words.view.x, words.view.axes, () => view.set("zoom", null)),
      this.choice("band", words.view.band, words.view.bands),
      this.more(),
    );
  }

  more() {
    const { lab } = this;
    const tick = el("input", { type: "checkbox", "data-testid": "view-more" });
    tick.checked = Boolean(lab.view.more);
    tick.addEventListener("change", () => {
      lab.view.set("more", tick.checked ? "1" : "");
      lab.draw();
    });
    return el("label", {}, tick, lab.words.view.more);
  }

  /** @type {(name: "x" | "band", label: string, options: Record<string, string>, also?: () => void) => HTMLElement} */
  choice(name, label, options, also = () => {}) {
    const { lab } = this;
    const list = el(
      "select",
      { "data-testid": `view-${name}` },
      ...Object.entries(options).map(([value, text]) => el("option", { value }, text)),
    );
    list.value = lab.view[name];
    list.addEventListener("change", () => {
      also();
      lab.view.set(name, /** @type {View[typeof name]} */ (list.value));
      lab.draw();
    });
    return el("label", {}, label, list);
  }
}
