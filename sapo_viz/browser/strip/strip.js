// The token strip: a sequence as running text. A token has the colour of what is lost of it (or of c, r, z), and under
// it a bar for each objective; both change with the sliders. Numbers, lines, bars, colours, search and the one token have
// their own files beside this one.

import { luminance, parseColour } from "../shared/colour.js";
import { CorrectionGroup } from "../shared/correction.js";
import { correctionWeight } from "../shared/correction_weight.js";
import { el } from "../shared/dom.js";
import { linkTo } from "../shared/link_to.js";
import { mounted } from "../shared/mounted.js";
import { heldWithin, show } from "../shared/numbers.js";
import { unpackArrays } from "../shared/packed.js";
import { lineSwatch } from "../shared/sliders.js";
import { themeOf } from "../shared/theme.js";
import { debounce } from "../shared/timing.js";
import { barColour, MOST_BARS } from "./bars.js";
import { TokenCard } from "./card.js";
import { knobGroups } from "./knobs.js";
import { StripLines } from "./lines.js";
import { StripNumbers } from "./numbers.js";
import { fateOf, keyOf, lossOf, QUANTITIES, scaleOf } from "./scales.js";
import { StripSearch } from "./search.js";
import { spokenOf, TokenPanel } from "./token.js";
import "./strip.css";

export class TokenStrip {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    /** @type {Send} */
    this.setStateValue = () => {};
    // From the first update on, before anything is drawn: what Python sent, and what is made of it.
    /** @type {StripData} */
    this.data = /** @type {any} */ (undefined);
    /** @type {StripNumbers} */
    this.numbers = /** @type {any} */ (undefined);
    /** @type {StripSearch} */
    this.search = /** @type {any} */ (undefined);
    /** @type {TokenPanel} */
    this.panel = /** @type {any} */ (undefined);
    /** @type {ColourScale} of what is shown */
    this.scale = /** @type {any} */ (undefined);
    /** @type {ColourScale} of weights */
    this.weights = /** @type {any} */ (undefined);
    /** @type {StripData["values"]} */
    this.values = {};
    /** @type {Packed | undefined} what the data were unpacked from */
    this.bytes = undefined;
    this.shape = this.legendShape = ""; // of what is built
    this.touched = -1e9;
    this.selected = this.hovered = -1;
    /** @type {HTMLElement | null} the cell under the pointer */
    this.pointed = null;
    this.view = "compare";
    this.show = QUANTITIES[0];
    /** @type {StripObjective[]} */
    this.barredNow = [];
    this.barredNames = "";
    /** @type {StripObjective[] | undefined} among which they were chosen */
    this.barredOf = undefined;
    /** @type {(() => void)[]} show a value that was set elsewhere */
    this.inputs = [];
    /** @type {CorrectionGroup | undefined} */
    this.correction = undefined;
    this.frame = 0;
    /** @type {Set<string>} what has moved: objectives by their knobs, the correction */
    this.changed = new Set();
    this.asked = 0;
    this.host = el("div", { class: "tok" });
    this.tabs = el("div", { class: "tok-tabs", role: "group" });
    this.shown = el("div", { class: "tok-tabs tok-show", role: "group" });
    this.legend = el("div", { class: "tok-legend" });
    this.knobs = el("div", { class: "lab-panel tok-panel" });
    parent.appendChild(this.host);
    this.sendValues = debounce(150, () => this.setStateValue("values", structuredClone(this.values)));
    this.sendLink = debounce(300, () => this.setStateValue("link", this.link()));
    this.lines = new StripLines({
      text: (i) => this.numbers.text(i),
      paint: (i) => this.paint(i),
      weighed: (name) => this.numbers.of(name),
      masked: () => this.numbers.masked,
      current: () => this.selected,
      describe: (i) => spokenOf(i, this.numbers, this.data),
    });
    this.card = new TokenCard();
    this.stage = el("div", { class: "tok-stage" }, this.lines.node, this.card.node);
    this.observer = new ResizeObserver(() => {
      if (this.lines.node.clientWidth !== this.lines.width) this.layout();
      else this.lines.renderSoon(); // higher: more lines are in sight
    });
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.onScheme = () =>
      requestAnimationFrame(() => {
        this.readTheme();
        this.lines.colour();
        this.showToken();
      });
    this.onBack = () => {
      this.follow();
      this.buildTabs();
      this.readTheme();
      this.layout();
    };
  }

  /** @param {StripData} data */
  build(data) {
    this.search = new StripSearch(data.labels, {
      goTo: (i) => {
        this.select(i);
        this.lines.bringIntoSight(i);
      },
      ask: (text, step) => {
        if (!this.data.alone) this.setStateValue("find", { text, step, turn: ++this.asked });
      },
      marked: (found) => {
        this.lines.found = found;
        this.lines.colour();
      },
    });
    this.panel = new TokenPanel(data.typesetter);
    const tools = el("div", { class: "tok-tools" }, this.shown, this.search.node);
    this.host.append(
      el("div", { class: "tok-main" }, this.tabs, tools, this.legend, this.stage, this.panel.node),
      this.knobs,
    );
    this.listen();
  }

  close() {
    this.observer.disconnect();
    this.scheme.removeEventListener("change", this.onScheme);
    removeEventListener("popstate", this.onBack);
    cancelAnimationFrame(this.frame);
    this.host.remove();
  }

  /** @param {Packed} bytes */
  update(bytes) {
    if (sameBytes(bytes, this.bytes)) return;
    this.bytes = bytes;
    /** @type {StripData} */
    const data = unpackArrays(bytes);
    const first = !this.data;
    const other = data.key !== this.data?.key;
    const shape = JSON.stringify([data.objectives.map((o) => [o.name, o.knobs]), data.labels]);
    this.data = data;
    if (first) this.build(data);
    // A rerun that was under way when the hand moved on brings older values: the hand is right.
    const moving = performance.now() - this.touched < 1000;
    this.values = { ...structuredClone(data.values), ...(moving ? this.values : {}) };
    this.numbers = new StripNumbers(data);
    if (other) {
      this.selected = this.hovered = -1;
      this.lines.node.scrollTop = 0;
    }
    if (first) this.follow();
    if (!data.objectives.some((o) => o.name === this.view))
      this.view = data.objectives.length > 1 ? "compare" : data.objectives[0].name;
    this.lines.node.setAttribute("aria-label", data.labels.strip);
    this.lines.words = data.labels;
    if (shape !== this.shape) {
      this.shape = shape;
      this.buildKnobs();
    } else {
      for (const sync of this.inputs) sync();
      this.correction?.sync();
    }
    this.numbers.correct(this.values.correction);
    for (const objective of data.objectives) this.numbers.weigh(objective, this.values[objective.name]);
    this.buildTabs();
    this.readTheme();
    this.layout();
    if (other) {
      const asked = readLink().token - 1 - data.first; // Python takes a token of another sequence out of the address
      const known = asked >= 0 && asked < this.numbers.length;
      this.select(known ? asked : this.liveliest(), { silent: true });
      if (known) this.lines.bringIntoSight(asked);
      this.search.read(this.numbers);
    }
    this.search.heard(data.elsewhere);
    if (other && data.elsewhere?.arriving) this.search.arrive(data.elsewhere.text, data.elsewhere.arriving);
    this.showToken();
    this.host.dataset.ready = "true";
  }

  listen() {
    this.observer.observe(this.lines.node);
    this.scheme.addEventListener("change", this.onScheme);
    addEventListener("popstate", this.onBack);
    document.fonts?.ready.then(() => {
      this.lines.forgetWidths();
      this.layout();
    });
    /** @type {(event: Event) => HTMLElement | null} */
    const cellAt = ({ target }) => (target instanceof Element ? target.closest(".tok-cell") : null);
    /** @type {(event: Event) => number} */
    const tokenAt = (event) => Number(cellAt(event)?.dataset.i ?? -1);
    const { inner, node } = this.lines;
    inner.addEventListener("mouseover", (event) => {
      this.pointed = cellAt(event);
      this.hovered = tokenAt(event);
      this.schedule();
    });
    const leave = () => {
      this.pointed = null;
      this.hovered = -1;
      this.schedule();
    };
    inner.addEventListener("mouseleave", leave);
    node.addEventListener("scroll", leave);
    inner.addEventListener("click", (event) => {
      const i = tokenAt(event);
      if (i >= 0) this.select(i, { focus: true });
    });
    inner.addEventListener("focusin", (event) => {
      const i = tokenAt(event);
      if (i >= 0 && i !== this.selected) this.select(i);
    });
    node.addEventListener("keydown", (event) => this.key(event));
    this.panel.node.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.lines.cellOf(this.selected)?.focus();
    });
  }

  // ── the address ─────────────────────────────────────────────────────────────────────────────
  link() {
    return { view: this.view, show: this.show, token: this.selected < 0 ? 0 : this.data.first + this.selected + 1 };
  }

  follow() {
    const link = readLink();
    this.view = link.view;
    this.show = QUANTITIES.includes(link.show) ? link.show : QUANTITIES[0];
    if (!this.data.objectives.some((o) => o.name === this.view))
      this.view = this.data.objectives.length > 1 ? "compare" : this.data.objectives[0].name;
  }

  // ── controls ────────────────────────────────────────────────────────────────────────────────
  buildKnobs() {
    this.inputs = [];
    const groups = knobGroups(this.data, () => this.values, {
      inputs: this.inputs,
      moved: (name) => {
        this.touched = performance.now();
        this.schedule(name);
      },
      released: () => this.sendValues(),
    });
    this.correction = new CorrectionGroup(this.data.correction, this.data.labels, {
      value: () => this.values.correction,
      moved: () => {
        this.touched = performance.now();
        this.schedule("correction");
      },
      released: () => this.sendValues(),
      disabled: () => !this.data.correction.log_rho,
      note: (choice) => this.corrected(choice),
    });
    this.knobs.replaceChildren(
      ...groups,
      this.correction.node,
      el("button", { class: "part-button", type: "button", onclick: () => this.reset() }, this.data.labels.reset),
    );
  }

  reset() {
    for (const { name, knobs } of this.data.objectives)
      for (const knob of knobs) this.values[name][knob.name] = knob.default;
    for (const sync of this.inputs) sync();
    this.values.correction.choice = this.data.correction.off;
    this.correction?.sync();
    for (const name of [...this.data.objectives.map((o) => o.name), "correction"]) this.schedule(name);
    this.sendValues();
  }

  // What the correction does to this answer, and where to see which answers of the file it drops.
  /** @type {(choice: CorrectionChoice | undefined) => (string | Node)[]} */
  corrected(choice) {
    const words = this.data.labels.correction;
    const { log_rho } = this.data.correction;
    if (!log_rho) return [words.none];
    if (!choice || this.data.typesetter === "") return [];
    const there = new URL(location.href);
    there.searchParams.set("look", "batch");
    const picture = linkTo(there.href, {}, words.picture);
    if (choice.level === "token") return [picture];
    const weight = correctionWeight(choice, this.values.correction, log_rho[choice.level]);
    const said = (weight ? words.here : words.dropped)
      .replace("{rho}", show(Math.exp(heldWithin(log_rho[choice.level]))))
      .replace("{x}", show(weight));
    return [`${said} `, picture];
  }

  // Once a frame, only what moved.
  /** @param {string} [name] of what has moved */
  schedule(name) {
    if (name) this.changed.add(name);
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      const { changed } = this;
      this.changed = new Set();
      if (changed.size) this.recolour(changed);
      this.showToken();
    });
  }

  /** @param {Set<string>} changed */
  recolour(changed) {
    const start = performance.now();
    const all = changed.has("correction");
    if (all) this.numbers.correct(this.values.correction);
    for (const o of this.data.objectives) if (changed.has(o.name)) this.numbers.weigh(o, this.values[o.name]);
    this.lines.colour(all ? new Set(this.data.objectives.map((o) => o.name)) : changed);
    this.showKept();
    this.showLegend();
    this.host.dataset.recolourMs = (performance.now() - start).toFixed(2);
    this.host.dataset.recolours = String(Number(this.host.dataset.recolours || 0) + 1);
  }

  buildTabs() {
    const words = this.data.labels;
    const { objectives } = this.data;
    /** @type {(what: "view" | "show", value: string) => () => void} */
    const choose = (what, value) => () => {
      this[what] = value;
      this.buildTabs();
      this.readTheme();
      this.layout();
      this.showToken();
      this.sendLink();
    };
    /** @type {(what: "view" | "show", value: string, label: string) => HTMLButtonElement} */
    const tab = (what, value, label) =>
      el(
        "button",
        {
          class: "part-button tok-tab",
          type: "button",
          "aria-pressed": String(this[what] === value),
          "data-testid": `${what}-${value}`,
          onclick: choose(what, value),
        },
        label,
      );
    /** @param {StripObjective} o */
    const kept = (o) => {
      const button = tab("view", o.name, o.label);
      button.prepend(lineSwatch(o));
      button.append(el("small", { "data-kept": o.name, title: words.kept }));
      return button;
    };
    this.refill(this.tabs, words.view, [
      ...(objectives.length > 1 ? [tab("view", "compare", words.compare)] : []),
      ...objectives.map(kept),
    ]);
    this.refill(this.shown, words.shown, [
      el("span", { class: "tok-what" }, words.shown),
      ...QUANTITIES.map((q) => tab("show", q, words[q])),
    ]);
    this.showKept();
  }

  // The keyboard stays on the button that was pressed.
  /** @type {(group: HTMLElement, label: string, nodes: Node[]) => void} */
  refill(group, label, nodes) {
    const { activeElement } = document;
    const inside = activeElement instanceof HTMLElement && group.contains(activeElement);
    const at = inside ? activeElement.dataset.testid : undefined;
    group.setAttribute("aria-label", label);
    group.replaceChildren(...nodes);
    if (at) group.querySelector(`[data-testid="${at}"]`)?.focus();
  }

  showKept() {
    for (const place of this.tabs.querySelectorAll("[data-kept]")) {
      const { kept = NaN } = this.numbers.of(place.dataset.kept ?? "");
      place.textContent = Number.isNaN(kept) ? "–" : kept.toFixed(3);
    }
  }

  // Whose bars stand under the tokens: of all that are compared, or of the one that is looked at.
  barred() {
    const { objectives } = this.data;
    const shown =
      this.view === "compare" ? objectives.slice(0, MOST_BARS) : objectives.filter((o) => o.name === this.view);
    const names = shown.map(({ name }) => name).join();
    if (names !== this.barredNames || this.barredOf !== objectives) {
      this.barredNames = names;
      this.barredOf = objectives;
      this.barredNow = shown;
    }
    return this.barredNow;
  }

  layout() {
    this.lines.layout(this.barred(), this.data);
    this.stage.dataset.under = String(this.lines.block - 24);
    this.host.dataset.show = this.show;
  }

  // ── colour ──────────────────────────────────────────────────────────────────────────────────
  readTheme() {
    const { data } = this;
    const theme = themeOf(this.host);
    const dark = luminance(parseColour(theme.background)) < 0.2;
    const ink = parseColour(theme.text);
    this.scale = scaleOf(this.show, data.scale, dark, data.limit, ink);
    this.weights = scaleOf("weight", data.scale, dark, data.limit, ink);
    this.showLegend();
  }

  showLegend() {
    const { data, scale } = this;
    const words = data.labels;
    const bars = this.barred();
    const weighed = bars.map(({ name }) => this.numbers.of(name));
    const seen = {
      more: weighed.some((own) => own.more ?? false),
      reversed: weighed.some((own) => own.reversed ?? false),
    };
    const shape = JSON.stringify([this.show, this.view, seen, scale.dark, bars.map(({ name }) => name), data.key]);
    if (shape === this.legendShape) return;
    this.legendShape = shape;
    const barKeys = bars.map((o) => {
      const swatch = lineSwatch({ dash: "solid", color: barColour(o, bars) });
      return el("span", { class: "tok-key", "data-bar": o.name }, swatch, o.label);
    });
    this.legend.replaceChildren(
      el("span", { class: "tok-key", "data-testid": "legend" }, ...scale.legend(words, bars.length > 1)),
      ...scale.keys(words, seen),
      ...(data.arrays.masked.length ? [keyOf(null, words.masked, "masked")] : []),
      el("span", { class: "tok-key" }, `${words.bars}:`, ...barKeys),
    );
  }

  // Of several objectives a token takes the colour of the one that treats it least as usual; one that treats the whole
  // sequence alike says nothing of a token: its bars run under all of them.
  /** @type {(i: number) => Painted} */
  paint(i) {
    const { numbers } = this;
    if (numbers.masked[i]) return { swatch: null, look: "masked" };
    const bars = this.barred();
    /** @type {Weighed | undefined} */
    let own;
    let most = -1;
    for (const { name } of bars) {
      const weighed = numbers.of(name);
      if (bars.length > 1 && !weighed.varies) continue;
      const { w, c, ratio } = weighed;
      const away =
        this.show === "weight"
          ? lossOf(w[i])
          : this.show === "coefficient"
            ? lossOf(c[i])
            : Math.abs(Math.log(ratio[i]));
      if (away > most) [most, own] = [away, weighed];
    }
    if (this.show === "change")
      return { swatch: this.scale.swatch(numbers.z[i]), look: own ? fateOf(own.w[i], own.c[i]) : "" };
    if (!own) return { swatch: null, look: "" };
    const { w, c, ratio } = own;
    const value = this.show === "weight" ? w[i] : this.show === "coefficient" ? c[i] : Math.log(ratio[i]);
    return { swatch: this.scale.swatch(c[i] === 0 && this.show === "weight" ? 0 : value), look: fateOf(w[i], c[i]) };
  }

  // ── one token ───────────────────────────────────────────────────────────────────────────────
  /** @type {(i: number, how?: { focus?: boolean; silent?: boolean }) => void} */
  select(i, { focus = false, silent = false } = {}) {
    const before = this.selected;
    this.selected = i;
    this.lines.select(before, i, focus);
    this.schedule();
    if (!silent && before !== i) this.sendLink();
  }

  // What is shown before anybody points: of the tokens in sight, the one that moved most.
  liveliest() {
    const { lines, block } = this.lines;
    const { z, masked } = this.numbers;
    const end = lines[Math.min(lines.length, Math.max(1, Math.floor(400 / block))) - 1]?.to ?? 0;
    let best = -1;
    for (let i = 0; i < end; i++) if (!masked[i] && (best < 0 || Math.abs(z[i]) > Math.abs(z[best]))) best = i;
    return best;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" && this.selected >= 0) {
      // to the numbers; Escape leads back
      event.preventDefault();
      this.panel.node.focus();
      return;
    }
    const next = this.lines.keyed(event.key, Math.max(this.selected, 0));
    if (next === undefined) return;
    event.preventDefault();
    this.lines.bringIntoSight(this.selected < 0 ? 0 : next);
    this.select(this.selected < 0 ? 0 : next, { focus: true });
  }

  showToken() {
    const i = this.hovered >= 0 && this.hovered < this.numbers.length ? this.hovered : this.selected;
    this.panel.show(i, this.numbers, this.data, this.values, this.weights.swatch);
    if (i === this.hovered && this.pointed?.isConnected)
      this.card.show(this.pointed, i, this.numbers, this.data, this.stage);
    else this.card.hide();
    const cell = this.lines.cellOf(this.selected);
    if (cell) cell.setAttribute("aria-label", spokenOf(this.selected, this.numbers, this.data));
  }
}

export default mounted(TokenStrip);

function readLink() {
  const query = new URLSearchParams(location.search);
  return {
    view: query.get("view") ?? "compare",
    show: query.get("show") ?? "",
    token: Number(query.get("token") || NaN),
  };
}

/** @type {(a: Packed, b: Packed | undefined) => boolean} */
function sameBytes(a, b) {
  if (!b || a.byteLength !== b.byteLength) return false;
  const [x, y] = [a, b].map((bytes) => (bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)));
  return x.every((value, k) => value === y[k]);
}
