// A knob's control, the same in every live figure: one slider and one number box on the same value.

import { onPage } from "./colour.js";
import { el } from "./dom.js";
import { show } from "./numbers.js";
import "./sliders.css";

// The slider is even in log where the knob says so. `spec` is the knob as the catalogue declares it. `moved` is
// called while the hand moves, `released` when it lets go; `sync` shows a value that was set elsewhere.
/**
 * @param {{
 *   symbol: string; name: string; label: string; help?: string; test: string; spec: KnobRange; words: Words;
 *   get: () => number; set: (value: number) => void; moved: () => void; released: () => void;
 * }} parts
 * @returns {{ node: HTMLLabelElement; sync: () => void }}
 */
export function sliderRow({ symbol, name, label, help, test, spec, words, get, set, moved, released }) {
  const log = spec.scale === "log";
  /** @type {(value: number) => number} */
  const to = log ? (v) => Math.log10(Math.max(v, 1e-12)) : (v) => v;
  /** @type {(value: number) => number} */
  const from = log ? (x) => 10 ** x : (x) => x;
  const low = to(spec.ui_lo);
  const high = to(spec.ui_hi);
  /** @type {(value: number) => number} */
  const neat = (v) => Number(v.toPrecision(log ? 3 : 6));
  const range = el("input", {
    type: "range",
    min: low,
    max: high,
    step: log ? (high - low) / 400 : spec.step,
    "aria-label": label,
    "data-testid": test,
  });
  const box = el("input", { type: "number", step: log ? "any" : spec.step, "aria-label": `${label}, ${words.number}` });
  const sync = () => {
    range.value = String(to(get()));
    range.setAttribute("aria-valuetext", `${name} ${show(get())}`);
    if (document.activeElement !== box) box.value = String(neat(get()));
  };
  range.addEventListener("input", () => {
    set(Math.min(spec.hi, Math.max(spec.lo, neat(from(Number(range.value))))));
    sync();
    moved();
  });
  range.addEventListener("change", () => released());
  box.addEventListener("input", () => {
    const value = Number(box.value);
    const good = box.value !== "" && Number.isFinite(value) && value >= spec.lo && value <= spec.hi;
    box.setCustomValidity(good ? "" : words.takes.replace("{lo}", spec.lo).replace("{hi}", spec.hi));
    if (!good) {
      box.reportValidity();
      return;
    }
    set(value);
    sync();
    moved();
  });
  box.addEventListener("change", () => {
    box.setCustomValidity("");
    box.value = String(neat(get()));
    released();
  });
  sync();
  const node = el(
    "label",
    { class: "lab-row", title: help },
    el("span", { class: "lab-name" }, el("b", {}, ...lettered(symbol)), el("small", {}, name)),
    range,
    box,
  );
  return { node, sync };
}

// ε_low as a letter with its index.
/** @type {(symbol: string) => (string | Element)[]} */
function lettered(symbol) {
  const [letter, index] = symbol.split("_");
  return index ? [letter, el("sub", {}, index)] : [letter];
}

/**
 * What such a row needs of an objective's knob.
 * @param {{ name: string; label: string }} objective
 * @param {KnobSpec} knob
 * @param {() => Knobs} own the objective's values as they are now
 */
export function knobParts(objective, knob, own) {
  return {
    symbol: knob.symbol,
    name: knob.name,
    label: `${objective.label} ${knob.name}`,
    help: knob.help,
    test: `knob-${objective.name}-${knob.name}`,
    spec: knob,
    get: () => own()[knob.name],
    /** @param {number} value */
    set: (value) => {
      own()[knob.name] = value;
    },
  };
}

// A piece of the line that an objective is drawn with, to go beside its name. CSS has fewer line styles than Plotly.
/** @type {(look: Look) => HTMLElement} */
export function lineSwatch({ dash, color }) {
  const swatch = el("span", { class: "lab-swatch", "aria-hidden": "true" });
  swatch.style.borderTop = `3px ${dash === "solid" ? "solid" : dash === "dot" ? "dotted" : "dashed"} ${onPage(color)}`;
  return swatch;
}
