// What the three exhibits share: figure, controls and read-out in one component. The picture follows the pointer in
// the browser; the values go to Python, and from there to the address, when the hand lets go.

import { onPage } from "../shared/colour.js";
import { el } from "../shared/dom.js";
import { csvOf, saveText } from "../shared/download.js";
import { button, group } from "../shared/parts.js";
import { controlsBeside, pageOf, roomBelow } from "../shared/room.js";
import { sliderRow } from "../shared/sliders.js";
import { put, svg } from "../shared/svg.js";
import { themeOf } from "../shared/theme.js";
import { debounce } from "../shared/timing.js";
import { saveSvgPng, saveSvgText } from "./picture.js";
import { between, holds, merged } from "./values.js";
import "../curves/curves.css";
import "./exhibits.css";

const MOVE = 200; // milliseconds from one case to another

/** @template {ExhibitData} D */
export class Exhibit {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    /** @type {Send} */
    this.setStateValue = () => {};
    /** @type {D} from Python, before anything is built or drawn */
    this.data = /** @type {any} */ (undefined);
    /** @type {D["values"]} what the controls set */
    this.values = /** @type {any} */ (undefined);
    /** @type {Words} */
    this.words = {};
    /** @type {(() => void)[]} show a value that was set elsewhere */
    this.inputs = [];
    /** @type {{ shape: string; cells: HTMLElement[][]; title: HTMLElement } | undefined} */
    this.cells = undefined;
    this.signature = this.shape = "";
    this.touched = -1e9;
    this.place = this.width = 280; // pixels of the page, and of the picture
    this.pair = false; // two panels beside each other
    this.narrow = false;
    this.below = this.room = Infinity; // pixels to the foot of the window, and of the picture there
    this.host = el("div", { class: "lab exh" });
    this.cases = el("div", { class: "exh-cases", role: "group" });
    this.note = el("p", { class: "exh-note", role: "status", "data-testid": "case-note" });
    this.figure = el("div", { class: "exh-figure" });
    this.svg = svg("svg", { role: "img" });
    this.figure.append(this.svg);
    this.tools = el("div", { class: "lab-tools" });
    this.readout = el("div", { class: "lab-readout" });
    this.panel = el("div", { class: "lab-panel" });
    this.host.append(
      el("div", { class: "lab-main" }, this.cases, this.note, this.figure, this.readout, this.tools),
      this.panel,
    );
    parent.appendChild(this.host);
    this.send = debounce(150, () => this.setStateValue("values", structuredClone(this.values)));
    // Its width changes, or what is above it does.
    this.observer = new ResizeObserver(() => {
      const wider = Math.abs(this.figure.clientWidth - this.place) > 1;
      if (this.data && (wider || Math.abs(roomBelow(this.figure) - this.below) > 1)) this.paint();
    });
    this.observer.observe(this.figure);
    this.observer.observe(pageOf(this.figure));
    this.onWindow = debounce(60, () => this.data && this.paint());
    addEventListener("resize", this.onWindow);
    this.frame = this.move = 0;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.repaints = 0;
  }

  // ── what a kind of exhibit brings ───────────────────────────────────────────────────────────
  // Other data than before; another case was taken.
  received() {}
  taken() {}

  /** @returns {Node[]} the controls */
  build() {
    return [];
  }

  /** @returns {number} the height of what was drawn */
  draw() {
    return 0;
  }

  /** @returns {string} for who cannot see the picture */
  describe() {
    return "";
  }

  /** @returns {string} below a picture that is taken home */
  caption() {
    return "";
  }

  /** @returns {unknown[][]} for CSV, its head first */
  table() {
    return [];
  }

  // ── on the page ─────────────────────────────────────────────────────────────────────────────
  close() {
    this.observer.disconnect();
    removeEventListener("resize", this.onWindow);
    cancelAnimationFrame(this.frame);
    cancelAnimationFrame(this.move);
    this.host.remove();
  }

  /** @param {D} data */
  update(data) {
    const signature = JSON.stringify(data);
    if (signature === this.signature) return;
    this.signature = signature;
    const shape = JSON.stringify({ ...data, values: null });
    for (const look of [data, data.objective, ...(data.objectives ?? [])])
      if (look?.color) look.color = onPage(look.color);
    this.data = data;
    this.words = data.labels;
    // A rerun that was under way when the hand moved on brings older values: the hand is right.
    const moving = performance.now() - this.touched < 1000;
    this.values = { ...structuredClone(data.values), ...(moving ? this.values : {}) };
    if (shape !== this.shape) {
      this.shape = shape;
      this.received();
      this.rebuild();
      this.buildCases();
      this.buildTools();
    } else this.showValues();
    this.markCase();
    this.paint();
    this.host.dataset.ready = "true";
  }

  // ── controls ────────────────────────────────────────────────────────────────────────────────
  rebuild() {
    this.inputs = [];
    this.panel.replaceChildren(...this.build());
    if (this.data.usual) this.panel.append(button(this.words.reset, () => this.take(this.data.usual)));
  }

  // One slider of `this.values[group]`; `whole` values are rounded, `then` is told of a change before the picture.
  /** @type {(group: string, spec: KnobSpec, more?: { then?: () => void; whole?: boolean; name?: string; owner?: string }) => Node} */
  slider(group, spec, { then, whole = false, name = spec.name, owner = "" } = {}) {
    return this.row({
      symbol: spec.symbol,
      name,
      label: `${owner}${owner && " "}${name}`,
      help: spec.help,
      test: `knob-${group}-${spec.name}`,
      spec,
      get: () => this.values[group][spec.name],
      set: (/** @type {number} */ value) => {
        this.values[group][spec.name] = whole ? Math.round(value) : value;
        then?.();
      },
    });
  }

  /** @param {Omit<Parameters<typeof sliderRow>[0], "words" | "moved" | "released">} parts */
  row(parts) {
    const row = sliderRow({
      words: this.words,
      moved: () => this.schedule(),
      released: () => this.released(),
      ...parts,
    });
    this.inputs.push(row.sync);
    return row.node;
  }

  // A few choices side by side, as native radio buttons: arrows move between them.
  /** @type {(legend: string, key: string, options: [any, string][], more?: { then?: () => void }) => Node} */
  choice(legend, key, options, { then } = {}) {
    const box = el("fieldset", { class: "part-choice" }, el("legend", {}, legend));
    const name = `exh-${key}-${Math.random().toString(36).slice(2)}`;
    const inputs = options.map(([value, text]) => {
      const input = el("input", { type: "radio", name, value: String(value), "data-testid": `${key}-${value}` });
      input.addEventListener("change", () => {
        this.values[key] = value;
        then?.();
        this.schedule();
        this.released();
      });
      box.append(el("label", {}, input, el("span", {}, text)));
      return [value, input];
    });
    const sync = () => {
      for (const [value, input] of inputs) input.checked = value === this.values[key];
    };
    this.inputs.push(sync);
    sync();
    return box;
  }

  /** @type {(title: string, style: Look | null, ...rows: (Node | string)[]) => HTMLFieldSetElement} */
  group(title, style, ...rows) {
    return group(title, style, ...rows);
  }

  /** @type {(text: string, action: () => void, test: string, more?: Record<string, any>) => HTMLButtonElement} */
  button(text, action, test, more = {}) {
    return button(text, action, test, more);
  }

  showValues() {
    for (const sync of this.inputs) sync();
  }

  // Cases worth seeing: a button each, and one sentence on what it shows.
  buildCases() {
    this.cases.replaceChildren();
    this.cases.setAttribute("aria-label", this.words.cases);
    this.cases.hidden = this.note.hidden = !this.data.cases?.length;
    for (const item of this.data.cases || []) {
      this.cases.append(this.button(item.label, () => this.take(item.values), `case-${item.name}`));
    }
  }

  markCase() {
    let note = this.words.own_case;
    (this.data.cases || []).forEach((item, i) => {
      const on = holds(this.values, item.values);
      this.cases.children[i].setAttribute("aria-pressed", String(on));
      if (on) note = item.note;
    });
    if (this.note.textContent !== note) this.note.textContent = note || "";
  }

  /** @param {ExhibitCase["values"]} values */
  take(values) {
    const from = this.values;
    this.values = merged(from, values);
    this.taken();
    this.showValues();
    this.markCase();
    this.released();
    this.goOverFrom(from);
  }

  // The picture goes over to the values; controls, address and words have them already.
  /** @param {D["values"]} from */
  goOverFrom(from) {
    cancelAnimationFrame(this.move);
    if (this.still.matches) return this.paint();
    const to = this.values;
    const began = performance.now();
    const step = () => {
      const t = Math.min(1, (performance.now() - began) / MOVE);
      if (t === 1 || this.values !== to) return this.paint(); // there, or a hand wants something else
      this.values = between(from, to, t * t * (3 - 2 * t));
      this.drawPicture();
      this.values = to;
      this.move = requestAnimationFrame(step);
    };
    step();
  }

  buildTools() {
    const file = `sapo-viz-${this.data.name}`;
    this.tools.replaceChildren(
      this.button("PNG", () => saveSvgPng(this.svg, file, this.caption(), themeOf(this.host)), "save-png"),
      this.button("SVG", () => saveSvgText(this.svg, file, this.caption(), themeOf(this.host)), "save-svg"),
      this.button("CSV", () => saveText(`${file}.csv`, csvOf(this.table()), "text/csv"), "save-csv"),
    );
  }

  released() {
    this.touched = performance.now();
    this.send();
  }

  // ── drawing ─────────────────────────────────────────────────────────────────────────────────
  schedule() {
    this.touched = performance.now();
    if (!this.frame)
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.paint();
      });
  }

  paint() {
    cancelAnimationFrame(this.move);
    this.drawPicture();
    this.markCase();
  }

  // How high to draw what should be seen at once: as usual, or what the window has left beside `other` pixels.
  /** @type {(usual: number, other: number, least: number) => number} */
  high(usual, other, least) {
    return Math.max(least, Math.min(usual, this.room - other));
  }

  drawPicture() {
    this.place = Math.max(280, this.figure.clientWidth);
    // Panels that belong beside each other are drawn smaller rather than one below the other, where the window is low.
    this.width = this.pair && controlsBeside() && this.place > 500 ? Math.max(this.place, 640) : this.place;
    const scale = this.place / this.width;
    this.narrow = this.width < 620;
    this.below = roomBelow(this.figure);
    this.room = this.below / scale;
    const height = this.draw();
    put(this.svg, {
      width: this.place,
      height: height * scale,
      viewBox: `0 0 ${this.width} ${height}`,
      "aria-label": this.describe(),
    });
    this.host.dataset.repaints = String(++this.repaints);
  }

  // The read-out: kept as nodes, only the texts change.
  /** @type {(caption: string, head: string[], rows: string[][]) => void} */
  fillTable(caption, head, rows) {
    if (!this.cells || this.cells.shape !== `${head}/${rows.length}`) {
      const body = el("tbody");
      const cells = rows.map((row) => row.map((_, i) => el(i ? "td" : "th", i ? {} : { scope: "row" })));
      for (const row of cells) body.append(el("tr", {}, ...row));
      const title = el("caption");
      this.readout.replaceChildren(
        el(
          "table",
          { "data-testid": "readout" },
          title,
          el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
          body,
        ),
      );
      this.cells = { shape: `${head}/${rows.length}`, cells, title };
    }
    const { cells, title } = this.cells;
    if (title.textContent !== caption) title.textContent = caption;
    rows.forEach((row, i) =>
      row.forEach((text, j) => {
        const cell = cells[i][j];
        if (cell.textContent !== text) cell.textContent = text;
      }),
    );
  }
}
