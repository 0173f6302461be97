// What the three exhibits share: figure, controls and read-out in one component. The picture follows the hand in
// the browser; the values go to Python, and from there to the address, when the hand lets go.

const INSTANCES = new WeakMap();

function mount(component, Kind) {
  const { parentElement, data, setStateValue } = component;
  let instance = INSTANCES.get(parentElement);
  if (!instance) {
    instance = new Kind(parentElement);
    INSTANCES.set(parentElement, instance);
  }
  instance.setStateValue = setStateValue;
  instance.update(unpack(data));
  return () => { instance.close(); INSTANCES.delete(parentElement); };
}

// A kind of exhibit has: build() (controls), draw(), describe() (for who cannot see it), table() (CSV), caption().
class Exhibit {
  constructor(parent) {
    this.host = el("div", { class: "lab exh" });
    this.cases = el("div", { class: "exh-cases", role: "group" });
    this.note = el("p", { class: "exh-note", role: "status", "data-testid": "case-note" });
    this.figure = el("div", { class: "exh-figure" });
    this.svg = svg("svg", { role: "img" });
    this.figure.append(this.svg);
    this.tools = el("div", { class: "lab-tools" });
    this.readout = el("div", { class: "lab-readout" });
    this.panel = el("div", { class: "lab-panel" });
    this.host.append(el("div", { class: "lab-main" }, this.cases, this.note, this.figure, this.readout, this.tools), this.panel);
    parent.appendChild(this.host);
    this.send = debounce(150, () => this.setStateValue("values", structuredClone(this.values)));
    this.observer = new ResizeObserver(() => { if (this.data && Math.abs(this.figure.clientWidth - this.width) > 1) this.paint(); });
    this.observer.observe(this.figure);
    this.frame = 0;
    this.repaints = 0;
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    this.host.remove();
  }

  update(data) {
    const signature = JSON.stringify(data);
    if (signature === this.signature) return;
    this.signature = signature;
    const shape = JSON.stringify({ ...data, values: null });
    this.data = data;
    this.words = data.labels;
    // A rerun that was under way when the hand moved on brings older values: the hand is right.
    const moving = performance.now() - (this.touched ?? -1e9) < 1000;
    this.values = { ...structuredClone(data.values), ...(moving ? this.values : {}) };
    if (shape !== this.shape) {
      this.shape = shape;
      this.received?.();
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
    if (this.data.usual) this.panel.append(el("button", { class: "lab-button", type: "button", onclick: () => this.take(this.data.usual) }, this.words.reset));
  }

  // One slider of `this.values[group]`; `whole` values are rounded, `then` is told of a change before the picture.
  slider(group, spec, { then, whole = false, name = spec.name, owner = "" } = {}) {
    return this.row({
      symbol: spec.symbol, name, label: `${owner}${owner && " "}${name}`, help: spec.help, test: `knob-${group}-${spec.name}`, spec,
      get: () => this.values[group][spec.name],
      set: (value) => { this.values[group][spec.name] = whole ? Math.round(value) : value; then?.(); },
    });
  }

  row(parts) {
    const row = sliderRow({ words: this.words, moved: () => this.schedule(), released: () => this.released(), ...parts });
    this.inputs.push(row.sync);
    return row.node;
  }

  // A few choices side by side, as native radio buttons: arrows move between them.
  choice(legend, key, options, { then } = {}) {
    const group = el("fieldset", { class: "exh-choice" }, el("legend", {}, legend));
    const name = `exh-${key}-${Math.random().toString(36).slice(2)}`;
    const inputs = options.map(([value, text]) => {
      const input = el("input", { type: "radio", name, value: String(value), "data-testid": `${key}-${value}` });
      input.addEventListener("change", () => { this.values[key] = value; then?.(); this.schedule(); this.released(); });
      group.append(el("label", {}, input, el("span", {}, text)));
      return [value, input];
    });
    this.inputs.push(() => { for (const [value, input] of inputs) input.checked = value === this.values[key]; });
    this.inputs.at(-1)();
    return group;
  }

  group(title, style, ...rows) {
    const swatch = el("span", { class: "lab-swatch", "aria-hidden": "true" });
    if (style) swatch.style.borderTop = `3px ${cssDash(style.dash)} ${style.color}`;
    return el("fieldset", { class: "lab-group" }, el("legend", {}, ...(style ? [swatch] : []), title), ...rows);
  }

  button(text, action, test, more = {}) {
    return el("button", { class: "lab-button", type: "button", onclick: action, "data-testid": test, ...more }, text);
  }

  showValues() { for (const sync of this.inputs) sync(); }

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
      this.cases.children[i].setAttribute("aria-pressed", on);
      if (on) note = item.note;
    });
    if (this.note.textContent !== note) this.note.textContent = note || "";
  }

  take(values) {
    this.values = merged(this.values, values);
    this.taken?.();
    this.showValues();
    this.touched = performance.now();
    this.paint();
    this.released();
  }

  buildTools() {
    const { words, data } = this, file = `sapo-viz-${data.name}`;
    const link = this.button(words.link, async () => {
      // The address is the whole state; it follows a moment after the hand lets go.
      await navigator.clipboard?.writeText(window.location.href);
      link.textContent = words.copied;
      setTimeout(() => { link.textContent = words.link; }, 1500);
    }, "copy-link");
    this.tools.replaceChildren(link,
      this.button("PNG", () => saveSvgPng(this.svg, file, this.caption(), themeOf(this.host)), "save-png"),
      this.button("SVG", () => saveSvgText(this.svg, file, this.caption(), themeOf(this.host)), "save-svg"),
      this.button("CSV", () => saveText(`${file}.csv`, csvOf(this.table()), "text/csv"), "save-csv"));
  }

  released() { this.touched = performance.now(); this.send(); }

  // ── drawing ─────────────────────────────────────────────────────────────────────────────────
  schedule() {
    this.touched = performance.now();
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.paint(); });
  }

  paint() {
    this.width = Math.max(280, this.figure.clientWidth);
    this.narrow = this.width < 620;
    const height = this.draw();
    put(this.svg, { width: this.width, height, viewBox: `0 0 ${this.width} ${height}`, "aria-label": this.describe() });
    this.markCase();
    this.host.dataset.repaints = ++this.repaints;
  }

  // The read-out: kept as nodes, only the texts change.
  fillTable(caption, head, rows) {
    if (!this.cells || this.cells.shape !== `${head}/${rows.length}`) {
      const body = el("tbody");
      const cells = rows.map((row) => row.map((_, i) => el(i ? "td" : "th", i ? {} : { scope: "row" })));
      for (const row of cells) body.append(el("tr", {}, ...row));
      const title = el("caption");
      this.readout.replaceChildren(el("table", { "data-testid": "readout" }, title,
        el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))), body));
      this.cells = { shape: `${head}/${rows.length}`, cells, title };
    }
    if (this.cells.title.textContent !== caption) this.cells.title.textContent = caption;
    rows.forEach((row, i) => row.forEach((text, j) => {
      const cell = this.cells.cells[i][j];
      if (cell.textContent !== text) cell.textContent = text;
    }));
  }
}

// Whether every value that `part` states is the one in `values`.
function holds(values, part) {
  if (typeof part === "object" && part !== null) {
    if (Array.isArray(part) && part.length !== values?.length) return false;
    return Object.entries(part).every(([key, value]) => values?.[key] === undefined || holds(values[key], value));
  }
  return values === part;
}

function merged(values, part) {
  const result = structuredClone(values);
  for (const [key, value] of Object.entries(part)) {
    const nested = value && typeof value === "object" && !Array.isArray(value);
    result[key] = nested && result[key] ? merged(result[key], value) : structuredClone(value);
  }
  return result;
}

function percent(share, digits = 1) {
  if (!Number.isFinite(share)) return "–";
  if (share === 0) return "0 %";
  if (Math.abs(share - 1) < 1e-9) return "100 %"; // c/r leaves a rounding
  const text = (share * 100).toFixed(digits);
  return `${Number(text) === 100 && share < 1 ? ">99.9" : Number(text) === 0 ? "<0.1" : Number(text)} %`;
}

// {name} in a sentence that was translated as a whole.
function sentence(text, values) { return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all); }

function count(value) { return Math.round(value).toLocaleString("en-US"); }
