// The token strip: each token on the colour of its weight, one row an objective, recoloured under the hand.
// Only the lines in sight are in the document, so that 50 or 50,000 tokens cost the same to colour.

const INSTANCES = new WeakMap();
const ROW = 27, GAP = 12, PAD = 6; // pixels: height of a row, space between lines, padding of a token
const SPARE = 12; // lines kept above and below what is in sight

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let instance = INSTANCES.get(parentElement);
  if (!instance) {
    instance = new TokenStrip(parentElement);
    INSTANCES.set(parentElement, instance);
  }
  instance.setStateValue = setStateValue;
  instance.update(data);
  return () => { instance.close(); INSTANCES.delete(parentElement); };
}

class TokenStrip {
  constructor(parent) {
    this.host = el("div", { class: "tok" });
    this.tabs = el("div", { class: "tok-tabs", role: "group" });
    this.inner = el("div", { class: "tok-lines" });
    this.sizer = el("div", { class: "tok-sizer" }, this.inner);
    this.scroller = el("div", { class: "tok-scroll", role: "listbox" }, this.sizer);
    this.legend = el("div", { class: "tok-legend" });
    this.details = el("div", { class: "tok-details", role: "status", "data-testid": "token-details" });
    this.panel = el("div", { class: "lab-panel tok-panel" });
    this.host.append(el("div", { class: "tok-main" }, this.tabs, this.scroller, this.legend, this.details), this.panel);
    parent.appendChild(this.host);
    this.send = debounce(150, () => this.setStateValue("values", structuredClone(this.values)));
    this.paper = document.createElement("canvas").getContext("2d");
    this.widths = new Map();
    this.selected = -1;
    this.frame = 0;
    this.listen();
  }

  close() {
    this.observer.disconnect();
    this.scheme.removeEventListener("change", this.onScheme);
    cancelAnimationFrame(this.frame);
    this.host.remove();
  }

  update(data) {
    const signature = JSON.stringify([data.key, data.objectives.map((o) => [o.name, o.live, o.knobs, o.values]), data.values, data.view, data.labels]);
    if (signature === this.signature) { this.data = data; return; }
    this.signature = signature;
    const other = data.key !== this.data?.key;
    const shape = JSON.stringify([data.objectives.map((o) => [o.name, o.knobs]), data.labels]);
    this.data = data;
    // A rerun that was under way when the hand moved on brings older values: the hand is right.
    const moving = performance.now() - (this.touched ?? -1e9) < 1000;
    this.values = { ...structuredClone(data.values), ...(moving ? this.values : {}) };
    const known = data.objectives.map((o) => o.name);
    this.view = known.includes(data.view) ? data.view : known.length > 1 ? "compare" : known[0];
    if (other) {
      this.masked = new Set(data.masked);
      this.selected = -1;
      this.scroller.scrollTop = 0;
    }
    this.scroller.setAttribute("aria-label", data.labels.strip);
    if (shape !== this.shape) { this.shape = shape; this.buildPanel(); } else for (const sync of this.inputs) sync();
    this.compute(data.objectives);
    this.buildTabs();
    this.readTheme();
    this.layout();
    if (other) this.select(this.liveliest(), false);
    this.showDetails();
    this.host.dataset.ready = "true";
  }

  listen() {
    this.observer = new ResizeObserver(() => { if (this.data && this.scroller.clientWidth !== this.width) this.layout(); });
    this.observer.observe(this.scroller);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.onScheme = () => requestAnimationFrame(() => { if (this.data) { this.readTheme(); this.colour(); } });
    this.scheme.addEventListener("change", this.onScheme);
    document.fonts?.ready.then(() => { this.widths.clear(); if (this.data) this.layout(); });
    this.scroller.addEventListener("scroll", () => this.renderSoon());
    const tokenAt = (event) => { const cell = event.target.closest?.(".tok-cell"); return cell ? Number(cell.dataset.i) : -1; };
    this.inner.addEventListener("mouseover", (event) => this.showDetails(tokenAt(event)));
    this.inner.addEventListener("mouseleave", () => this.showDetails());
    this.inner.addEventListener("click", (event) => { const i = tokenAt(event); if (i >= 0) this.select(i, true); });
    this.inner.addEventListener("focusin", (event) => { const i = tokenAt(event); if (i >= 0 && i !== this.selected) this.select(i, false); });
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    // Copying gives the tokens' own characters in order, once, whatever rows the selection crosses.
    this.inner.addEventListener("copy", (event) => this.copy(event));
  }

  // ── numbers ─────────────────────────────────────────────────────────────────────────────────
  // w, c and the share kept. At sequence level every token stands at the sequence's own ratio.
  compute(objectives) {
    const { z, advantages, tokens, log_s } = this.data;
    this.numbers ||= new Map();
    for (const objective of objectives) {
      const f = FORMULAS[objective.name], knobs = this.values[objective.name];
      const c = new Float64Array(tokens.length), w = new Float64Array(tokens.length), ratio = new Float64Array(tokens.length);
      let kept = 0, total = 0;
      for (let i = 0; i < tokens.length; i++) {
        if (this.masked.has(i)) continue;
        const A = advantages[i] ?? advantages[0];
        if (objective.live) {
          const level = objective.level === "token" ? z[i] : log_s;
          const side = A === 0 ? -1 : A; // no gradient: the gate shown is that of a small negative A
          c[i] = f(level, side, knobs, this.data.logprobs[i] - z[i])[1];
          ratio[i] = Math.exp(Math.min(20, Math.max(-20, level)));
          w[i] = c[i] / ratio[i];
        } else {
          [ratio[i], w[i]] = [objective.values.ratio[i], objective.values.weight[i]];
          c[i] = w[i] * ratio[i];
        }
        kept += Math.abs(A) * w[i];
        total += Math.abs(A);
      }
      this.numbers.set(objective.name, { c, w, ratio, kept: total ? kept / total : NaN });
    }
  }

  // ── controls ────────────────────────────────────────────────────────────────────────────────
  buildPanel() {
    this.inputs = [];
    this.panel.replaceChildren();
    const words = this.data.labels;
    for (const objective of this.data.objectives) {
      const swatch = el("span", { class: "lab-swatch", "aria-hidden": "true" });
      swatch.style.borderTop = `3px ${cssDash(objective.dash)} ${objective.color}`;
      const group = el("fieldset", { class: "lab-group" }, el("legend", {}, swatch, objective.label));
      for (const knob of objective.knobs) {
        const row = sliderRow({
          symbol: knob.symbol, name: knob.name, label: `${objective.label} ${knob.name}`, help: knob.help,
          test: `knob-${objective.name}-${knob.name}`, spec: knob, words,
          get: () => this.values[objective.name][knob.name],
          set: (value) => { this.values[objective.name][knob.name] = value; },
          moved: () => this.schedule(objective.name), released: () => this.send(),
        });
        this.inputs.push(row.sync);
        group.append(row.node);
      }
      if (!objective.knobs.length) group.append(el("p", { class: "lab-note" }, words.no_knobs));
      this.panel.append(group);
    }
    this.panel.append(el("button", { class: "lab-button", type: "button", onclick: () => this.reset() }, words.reset));
  }

  reset() {
    for (const objective of this.data.objectives) {
      for (const knob of objective.knobs) this.values[objective.name][knob.name] = knob.default;
    }
    for (const sync of this.inputs) sync();
    this.compute(this.data.objectives);
    this.colour();
    this.send();
  }

  // Once a frame, only what moved.
  schedule(name) {
    this.touched = performance.now();
    (this.changed ||= new Set()).add(name);
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const changed = this.changed;
      this.changed = null;
      const start = performance.now();
      this.compute(this.data.objectives.filter((o) => changed.has(o.name)));
      this.colour(changed);
      this.host.dataset.recolourMs = (performance.now() - start).toFixed(2);
    });
  }

  buildTabs() {
    const words = this.data.labels;
    const tab = (view, label) => el("button", {
      class: "lab-button tok-tab", type: "button", "aria-pressed": String(this.view === view), "data-testid": `view-${view}`,
      onclick: () => { this.view = view; this.buildTabs(); this.layout(); this.setStateValue("view", view); },
    }, label);
    const share = (o) => el("small", { "data-kept": o.name, title: words.kept });
    const alone = this.data.objectives.map((o) => { const button = tab(o.name, o.label); button.append(share(o)); return button; });
    this.tabs.setAttribute("aria-label", words.view);
    this.tabs.replaceChildren(...(alone.length > 1 ? [tab("compare", words.compare)] : []), ...alone);
    this.showKept();
  }

  showKept() {
    for (const place of this.tabs.querySelectorAll("[data-kept]")) {
      const { kept } = this.numbers.get(place.dataset.kept);
      place.textContent = Number.isNaN(kept) ? "–" : kept.toFixed(3);
    }
  }

  rows() { return this.view === "compare" ? this.data.objectives : this.data.objectives.filter((o) => o.name === this.view); }

  // ── lines ───────────────────────────────────────────────────────────────────────────────────
  // Break the sequence into lines by measured widths; a line end in a token ends the line.
  layout() {
    const style = getComputedStyle(this.inner);
    this.paper.font = `${style.fontSize} ${style.fontFamily}`;
    this.width = this.scroller.clientWidth;
    this.labelled = this.rows().length > 1;
    const room = this.width - (this.labelled ? (this.width < 500 ? 62 : 96) : 0) - 16;
    const { tokens } = this.data;
    this.lines = [];
    this.x = new Float32Array(tokens.length);
    let start = 0, x = 0;
    for (let i = 0; i < tokens.length; i++) {
      const wide = this.measure(tokens[i]);
      if (i > start && x + wide > room) { this.lines.push([start, i]); start = i; x = 0; }
      this.x[i] = x;
      x += wide;
      if (tokens[i].includes("\n")) { this.lines.push([start, i + 1]); start = i + 1; x = 0; }
    }
    if (start < tokens.length) this.lines.push([start, tokens.length]);
    this.block = this.rows().length * ROW + GAP;
    this.sizer.style.height = `${this.lines.length * this.block}px`;
    this.host.style.setProperty("--tok-label", this.labelled ? (this.width < 500 ? "62px" : "96px") : "0px");
    this.range = null;
    this.render();
    this.drawLegend();
  }

  measure(token) {
    let width = this.widths.get(token);
    if (width === undefined) {
      width = this.paper.measureText(inkOf(token.length > 400 ? token.slice(0, 400) : token)).width + PAD + 2;
      this.widths.set(token, width);
    }
    return width;
  }

  renderSoon() {
    if (!this.scrolling) this.scrolling = requestAnimationFrame(() => { this.scrolling = 0; this.render(); });
  }

  render() {
    const top = Math.floor(this.scroller.scrollTop / this.block);
    const count = Math.ceil((this.scroller.clientHeight || 400) / this.block);
    if (this.range && top >= this.range[0] + Math.min(4, top) && top + count <= this.range[1]) return;
    const first = Math.max(0, top - SPARE), last = Math.min(this.lines.length, top + count + SPARE);
    const focused = this.inner.contains(document.activeElement);
    this.range = [first, last === this.lines.length ? Infinity : last];
    this.inner.style.transform = `translateY(${first * this.block}px)`;
    this.cells = new Map(this.rows().map((o) => [o.name, []]));
    const blocks = [];
    for (let line = first; line < last; line++) blocks.push(this.lineBlock(line));
    this.inner.replaceChildren(...blocks);
    this.colour();
    if (focused) this.cellOf(this.selected)?.focus({ preventScroll: true });
  }

  lineBlock(line) {
    const [start, end] = this.lines[line];
    const block = el("div", { class: "tok-block" });
    block.style.height = `${this.block}px`;
    this.rows().forEach((objective, place) => {
      const row = el("div", { class: "tok-row", "data-objective": objective.name, "aria-hidden": place ? "true" : null });
      if (this.labelled) row.append(this.rowLabel(objective));
      const cells = this.cells.get(objective.name);
      for (let i = start; i < end; i++) {
        const cell = el("span", { class: "tok-cell", "data-i": i });
        if (!place) {
          cell.setAttribute("role", "option");
          cell.tabIndex = i === Math.max(this.selected, 0) ? 0 : -1;
          if (i === this.selected) cell.setAttribute("aria-selected", "true");
        }
        appendToken(cell, this.data.tokens[i], 400);
        cells.push([i, cell]);
        row.append(cell);
      }
      block.append(row);
    });
    return block;
  }

  rowLabel(objective) {
    const label = el("span", { class: "tok-label", title: objective.label }, el("b", {}, objective.label));
    label.style.borderLeft = `3px ${cssDash(objective.dash)} ${objective.color}`;
    return label;
  }

  // ── colour ──────────────────────────────────────────────────────────────────────────────────
  readTheme() {
    const dark = luminance(parseColour(themeOf(this.host).background)) < 0.2;
    const stops = (dark ? this.data.scale.dark : this.data.scale.light).map(parseColour);
    this.ramp = Array.from({ length: 101 }, (_, i) => swatchOf(between(stops, i / 100)));
    this.above = swatchOf(parseColour(this.data.scale.above));
    this.drawLegend();
  }

  // Above 1 by more than rounding (drawn numbers have four digits).
  swatch(w) { return w > 1.00005 ? this.above : this.ramp[Math.round(Math.min(1, Math.max(0, w)) * 100)]; }

  colour(names) {
    for (const [name, cells] of this.cells) {
      if (names && !names.has(name)) continue;
      const { w, c } = this.numbers.get(name);
      for (const [i, cell] of cells) {
        const masked = this.masked.has(i);
        const swatch = masked ? null : this.swatch(w[i]);
        const look = masked ? "masked" : c[i] === 0 ? "cut" : "";
        if (cell.dataset.look !== look) cell.dataset.look = look;
        cell.style.backgroundColor = swatch?.background ?? "";
        cell.style.color = swatch?.text ?? "";
        if (i === this.selected) cell.dataset.selected = "true";
      }
    }
    this.showKept();
    this.showDetails(this.hovered);
    this.host.dataset.recolours = Number(this.host.dataset.recolours || 0) + 1;
  }

  drawLegend() {
    if (!this.ramp || !this.data) return;
    const words = this.data.labels;
    const chip = (swatch, text, look = "") => {
      const box = el("span", { class: "tok-chip", "data-look": look, "aria-hidden": "true" });
      if (swatch) box.style.backgroundColor = swatch.background;
      return el("span", { class: "tok-key" }, box, text);
    };
    const bar = el("span", { class: "tok-bar", "aria-hidden": "true" });
    bar.style.background = `linear-gradient(90deg, ${this.ramp.filter((_, i) => i % 10 === 0).map((s) => s.background).join(", ")})`;
    this.legend.replaceChildren(
      el("span", { class: "tok-key" }, `${words.weight} 0`, bar, "1"), chip(this.above, words.above), chip(this.ramp[0], words.cut, "cut"),
      ...(this.masked.size ? [chip(null, words.masked, "masked")] : []),
    );
  }

  // ── one token ───────────────────────────────────────────────────────────────────────────────
  cellOf(i) { return this.inner.querySelector(`.tok-cell[tabindex][data-i="${i}"]`); }

  select(i, focus) {
    for (const cell of this.inner.querySelectorAll("[data-selected]")) delete cell.dataset.selected;
    const before = this.cellOf(Math.max(this.selected, 0));
    if (before) { before.tabIndex = -1; before.removeAttribute("aria-selected"); }
    this.selected = i;
    for (const cell of this.inner.querySelectorAll(`.tok-cell[data-i="${i}"]`)) cell.dataset.selected = "true";
    const cell = this.cellOf(i);
    if (cell) { cell.tabIndex = 0; cell.setAttribute("aria-selected", "true"); if (focus) cell.focus({ preventScroll: true }); }
    this.showDetails();
  }

  // What is shown before anybody points: of the tokens in sight, the one that moved most.
  liveliest() {
    const end = this.lines[Math.min(this.lines.length, Math.max(1, Math.floor(400 / this.block))) - 1]?.[1] ?? 0;
    let best = -1;
    for (let i = 0; i < end; i++) if (!this.masked.has(i) && (best < 0 || Math.abs(this.data.z[i]) > Math.abs(this.data.z[best]))) best = i;
    return best;
  }

  lineOf(i) {
    let low = 0, high = this.lines.length - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (this.lines[middle][0] <= i) low = middle; else high = middle - 1; }
    return low;
  }

  key(event) {
    const here = Math.max(this.selected, 0), line = this.lineOf(here), last = this.data.tokens.length - 1;
    const beside = (step) => {
      const [start, end] = this.lines[Math.min(this.lines.length - 1, Math.max(0, line + step))];
      let best = start;
      for (let i = start; i < end; i++) if (Math.abs(this.x[i] - this.x[here]) < Math.abs(this.x[best] - this.x[here])) best = i;
      return best;
    };
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.block));
    const moves = {
      ArrowRight: () => here + 1, ArrowLeft: () => here - 1, ArrowDown: () => beside(1), ArrowUp: () => beside(-1),
      PageDown: () => beside(page), PageUp: () => beside(-page), Home: () => 0, End: () => last,
    };
    if (event.altKey || event.ctrlKey || event.metaKey || !moves[event.key]) return;
    event.preventDefault();
    const next = Math.min(last, Math.max(0, this.selected < 0 ? 0 : moves[event.key]()));
    const top = this.lineOf(next) * this.block, view = this.scroller;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + this.block > view.scrollTop + view.clientHeight) view.scrollTop = top + this.block - view.clientHeight;
    this.render();
    this.select(next, true);
  }

  copy(event) {
    const range = document.getSelection()?.rangeCount ? document.getSelection().getRangeAt(0) : null;
    if (!range) return;
    const taken = new Set();
    for (const cells of this.cells.values()) for (const [i, cell] of cells) if (range.intersectsNode(cell)) taken.add(i);
    event.clipboardData.setData("text/plain", [...taken].sort((a, b) => a - b).map((i) => this.data.tokens[i]).join(""));
    event.preventDefault();
  }

  showDetails(hovered = -1) {
    this.hovered = hovered;
    const i = hovered >= 0 && hovered < this.data.tokens.length ? hovered : this.selected;
    const words = this.data.labels, { tokens, z, logprobs, advantages } = this.data;
    if (i < 0) { this.details.replaceChildren(el("p", { class: "lab-note" }, words.point)); return; }
    const place = words.place.replace("{i}", (this.data.first + i + 1).toLocaleString("en")).replace("{n}", this.data.total.toLocaleString("en"));
    const id = this.data.token_ids ? ` · ${words.token_id} ${this.data.token_ids[i]}` : "";
    const head = el("div", { class: "tok-head" }, appendToken(el("code", { class: "tok-text" }), tokens[i], 2000), el("small", {}, place + id));
    if (this.masked.has(i)) { this.details.replaceChildren(head, el("p", { class: "lab-note" }, words.masked_note)); return; }
    const old = logprobs[i] - z[i], A = advantages[i] ?? advantages[0];
    const pairs = [["log π_θ", show(logprobs[i])], ["log π_old", show(old)], ["z", show(z[i])], ["r", show(Math.exp(Math.min(20, Math.max(-20, z[i]))))], ["A", show(A)]];
    const facts = el("dl", { class: "tok-facts" }, ...pairs.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))));
    const body = el("tbody");
    for (const objective of this.data.objectives) {
      const { w, c, ratio } = this.numbers.get(objective.name);
      const box = el("span", { class: "tok-chip", "data-look": c[i] === 0 ? "cut" : "", "aria-hidden": "true" });
      box.style.backgroundColor = this.swatch(w[i]).background;
      const level = objective.level === "token" ? "r" : "s";
      body.append(el("tr", {}, el("th", { scope: "row" }, box, objective.label), el("td", {}, show(w[i])), el("td", {}, show(c[i])), el("td", {}, `${level} ${show(ratio[i])}`)));
    }
    const heads = [words.objective, "w", "c", words.ratio].map((text) => el("th", { scope: "col" }, text));
    const table = el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body);
    const note = A === 0 ? [el("p", { class: "lab-note" }, words.no_gradient)] : [];
    this.details.replaceChildren(el("div", {}, head, facts, ...note), el("div", { class: "tok-table" }, table));
  }
}

// ── colours ─────────────────────────────────────────────────────────────────────────────────────
function parseColour(text) {
  const hex = /^#([0-9a-f]{6})/i.exec(text);
  if (hex) return [0, 2, 4].map((k) => parseInt(hex[1].slice(k, k + 2), 16));
  const parts = (text.match(/[\d.]+/g) || [255, 255, 255]).map(Number);
  return parts.slice(0, 3);
}

function between(stops, t) {
  const place = t * (stops.length - 1), k = Math.min(stops.length - 2, Math.floor(place));
  return stops[k].map((v, j) => Math.round(v + (stops[k + 1][j] - v) * (place - k)));
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((v) => { const s = v / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// Black or white, whichever reads better: the better one is never below 4.58:1.
function swatchOf(rgb) {
  return { background: `rgb(${rgb.join(", ")})`, text: luminance(rgb) > 0.179 ? "#000000" : "#ffffff" };
}
