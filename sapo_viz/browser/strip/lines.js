// The running text of the strip. Only the lines in sight are in the document, so that 50 or 50,000 tokens cost the
// same to colour; they are text, so that they can be selected, copied and read aloud.

import { el } from "../shared/dom.js";
import { barsRoom, StripBars } from "./bars.js";
import { blocksOf, halvesOf, padOf } from "./blocks.js";
import { linesOf, proseOf } from "./prose.js";
import { appendProse, piecesOf } from "./token_text.js";

const INK = 24; // pixels of a line of text, without the bars under it
const GAP = 6; // between lines
const SPARE = 320; // pixels of lines kept above and below what is in sight
const LONGEST = 400; // characters of a token that are drawn; the panel shows the rest
const SLACK = 6; // pixels by which kerning may be wrong
const PAD = 13; // pixels of one place of an image
const BLANK = 0.28; // em before a word of prose: room that is drawn, and counted where lines are broken

const TAG = 100; // beside which its block's name stands
const WORD = /^ \S/; // one blank, then ink
const PADS = new Set(["image", "video", "audio"]);

/**
 * What the lines ask of the strip: a token's text, how it is painted, what its bars are drawn from, which token is
 * chosen, and what is said of it.
 * @typedef {{
 *   text: (i: number) => string; paint: (i: number) => Painted; weighed: (name: string) => Weighed;
 *   masked: () => Uint8Array; current: () => number; describe: (i: number) => string;
 * }} StripHand
 */
/**
 * A font that text is measured in, with what was measured: `widths` of the distinct texts, `known` of others too.
 * @typedef {{ css: string; marks: string; blank: number; known: Map<string, number>; widths?: Float32Array }} Font
 */
/**
 * A token in sight, or a part of one; `left`, `width` and `y` say where its bars go.
 * @typedef {Painted & {
 *   i: number; cell: HTMLElement; place: number; rtl: boolean; code: boolean; left: number; width: number; y: number;
 * }} Entry
 */

export class StripLines {
  /** @param {StripHand} hand */
  constructor({ text, paint, weighed, masked, current, describe }) {
    // Of the sequence that is laid out: tokens, their texts, and where it is in the whole one.
    this.length = this.first = this.total = 0;
    /** @type {{ texts: string[]; token: ArrayLike<number> }} */
    this.vocabulary = { texts: [], token: [] };
    /** @type {string | undefined} the key of the sequence that paragraphs and blocks are known of */
    this.read = undefined;
    /** @type {Block[]} */
    this.blocks = [];
    /** @type {Map<number, Half[]>} */
    this.halves = new Map();
    /** @type {string[]} by text: which kind of place it is */
    this.pads = [];
    /** @type {Prose} */
    this.prose = { bits: new Uint16Array(), paragraphs: [] };
    /** @type {TextLine[]} */
    this.lines = [];
    this.x = new Float32Array();
    /** @type {Words} of the interface */
    this.words = {};
    /** @type {string | undefined} what the lines are broken for */
    this.broken = undefined;
    this.width = this.room = 0; // pixels of the strip, and for text
    this.block = INK + GAP; // pixels of a line with its bars
    /** @type {[number, number] | null} lines that are in the document */
    this.range = null;
    this.scrolling = 0;
    this.text = text;
    this.paint = paint;
    this.weighed = weighed;
    this.masked = masked;
    this.current = current;
    this.describe = describe;
    this.bars = new StripBars();
    this.inner = el("div", { class: "tok-lines" });
    this.inner.style.setProperty("--tok-blank", `${BLANK}em`);
    this.sheet = el("div", { class: "tok-sheet" }, this.inner, this.bars.node);
    this.sizer = el("div", { class: "tok-sizer" }, this.sheet);
    this.node = el("div", { class: "tok-scroll", role: "listbox", "data-testid": "strip" }, this.sizer);
    this.paper = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
    /** @type {Partial<Record<"prose" | "code", Font>>} */
    this.fonts = {};
    /** @type {Entry[]} */
    this.entries = [];
    /** @type {{ has: (i: number) => boolean }} */
    this.found = { has: () => false };
    this.node.addEventListener("scroll", () => this.renderSoon());
    this.inner.addEventListener("copy", (event) => this.copy(event));
  }

  // `bars` are the objectives that have one under each token.
  /** @type {(bars: StripObjective[], data: StripData) => void} */
  layout(bars, data) {
    const { texts, key, first, total } = data;
    const { token } = data.arrays;
    Object.assign(this, { length: token.length, vocabulary: { texts, token }, first, total });
    if (this.read !== key) this.readText(key, texts, token);
    if (this.bars.objectives !== bars) this.bars.build(bars);
    this.width = this.node.clientWidth;
    const anchor =
      this.lines.length && this.node.scrollTop > 0
        ? this.lines[Math.min(this.lines.length - 1, Math.floor(this.node.scrollTop / this.block))].from
        : 0;
    this.breakLines();
    this.block = INK + barsRoom(bars.length).room + GAP;
    this.node.style.setProperty("--tok-block", `${this.block}px`);
    this.node.style.setProperty("--tok-text", `${this.lines.length * this.block}px`);
    this.sizer.style.height = `${this.lines.length * this.block}px`;
    if (anchor) this.node.scrollTop = this.lineOf(Math.min(anchor, this.length - 1)) * this.block; // the same text stays in sight
    this.range = null;
    this.render();
  }

  /** @type {(key: string, texts: string[], token: ArrayLike<number>) => void} */
  readText(key, texts, token) {
    this.read = key;
    this.blocks = blocksOf(texts, token);
    this.halves = halvesOf(texts, token);
    this.pads = texts.map(padOf);
    this.prose = proseOf(texts, token, new Set(this.blocks.map(({ from }) => from)));
    let at = -1;
    for (const paragraph of this.prose.paragraphs) {
      while (this.blocks[at + 1]?.from <= paragraph.from) at++;
      paragraph.block = at;
    }
    this.forgetWidths();
  }

  breakLines() {
    const inset = this.blocks.some(({ role, kind }) => role || kind) ? 14 : 0;
    const room = this.width - 26 - inset - SLACK;
    const broken = `${this.read} ${room}`;
    if (this.broken === broken) return;
    this.broken = broken;
    this.room = room;
    const { texts, token } = this.vocabulary; // measured once a text, not once a token
    /** @type {(paragraph: Paragraph) => Record<number, number>} */
    const widthsOf = (paragraph) => {
      if (this.kindOf(paragraph) === "pads") return { [token[paragraph.from]]: PAD };
      const font = this.font(paragraph.code);
      font.widths ||= Float32Array.from(texts, (text) => this.measure(text, font));
      return font.widths;
    };
    /** @type {(i: number, a: number, b: number, code: boolean) => number} */
    const pieceWidth = (i, a, b, code) => this.measure(this.text(i).slice(a, b < 0 ? undefined : b), this.font(code));
    /** @type {(paragraph: Paragraph) => number} */
    const roomOf = (paragraph) => (this.kindOf(paragraph) === "pads" ? room - TAG : room);
    Object.assign(this, linesOf(this.prose, token, roomOf, widthsOf, pieceWidth));
  }

  // What a paragraph's block is: an image's places are drawn as such.
  /** @param {Paragraph} paragraph */
  kindOf({ block }) {
    const kind = this.blocks[block ?? -1]?.kind ?? "";
    return PADS.has(kind) ? "pads" : kind;
  }

  /** @type {(code: boolean) => Font} */
  font(code) {
    const kind = code ? "code" : "prose";
    const there = this.fonts[kind];
    if (there) return there;
    const style = getComputedStyle(this.inner);
    const family = code ? style.getPropertyValue("--tok-code") : style.fontFamily;
    const size = code ? "14.5px" : style.fontSize;
    /** @type {Font} */
    const font = {
      css: `${size} ${family}`,
      marks: `11px ${style.getPropertyValue("--tok-code")}`,
      blank: code ? 0 : BLANK * Number.parseFloat(size), // in code a blank is as wide as any character
      known: new Map(),
    };
    this.fonts[kind] = font;
    return font;
  }

  /** @type {(whole: string, font: Font) => number} */
  measure(whole, font) {
    let width = font.known.get(whole);
    if (width !== undefined) return width;
    width = 0;
    let text = whole;
    let plain = "";
    this.paper.font = font.css;
    if (font.blank && WORD.test(text)) {
      width = font.blank;
      text = text.slice(1);
    }
    for (const [piece, kind] of piecesOf(text.length > LONGEST ? text.slice(0, LONGEST) : text)) {
      if (kind === "text" || kind === "space") {
        plain += piece;
        continue;
      }
      this.paper.font = font.marks;
      width += kind === "⇥" ? 30 : this.paper.measureText(kind).width + 3;
      this.paper.font = font.css;
    }
    width += this.paper.measureText(plain || (text ? "" : "∅")).width;
    font.known.set(whole, width);
    return width;
  }

  forgetWidths() {
    this.fonts = {};
    this.broken = undefined;
  }

  renderSoon() {
    if (!this.scrolling)
      this.scrolling = requestAnimationFrame(() => {
        this.scrolling = 0;
        this.render();
      });
  }

  render() {
    if (this.read === undefined) return;
    const spare = Math.ceil(SPARE / this.block);
    const near = Math.ceil(spare / 3);
    const top = Math.floor(this.node.scrollTop / this.block);
    const count = Math.ceil((this.node.clientHeight || 400) / this.block);
    if (this.range && top >= this.range[0] + Math.min(near, top) && top + count <= this.range[1]) return;
    const first = Math.max(0, top - spare);
    const last = Math.min(this.lines.length, top + count + spare);
    const focused = this.inner.contains(document.activeElement);
    this.range = [first, last === this.lines.length ? Infinity : last];
    this.sheet.style.transform = `translateY(${first * this.block}px)`;
    this.entries = [];
    const nodes = [];
    for (let line = first; line < last; line++) nodes.push(this.lineNode(line, line - first));
    this.inner.replaceChildren(...nodes);
    this.placeBars(last - first);
    this.colour();
    if (focused) this.cellOf(this.current())?.focus({ preventScroll: true });
  }

  /** @type {(number: number, place: number) => HTMLElement} */
  lineNode(number, place) {
    const line = this.lines[number];
    const paragraph = this.prose.paragraphs[line.paragraph];
    const at = paragraph.block ?? -1;
    const block = this.blocks[at];
    const first = !line.goesOn && !line.a && block?.from === line.from;
    const node = el("div", {
      class: "tok-line",
      role: "presentation",
      dir: paragraph.rtl ? "rtl" : "ltr",
      "data-code": paragraph.code,
      "data-role": block?.role,
      "data-kind": block?.kind,
      "data-tag": first ? this.tagOf(at) : undefined,
    });
    const pads = this.kindOf(paragraph) === "pads";
    for (let i = line.from; i < line.to; i++) {
      const a = i === line.from ? line.a : 0;
      const b = i === line.to - 1 ? line.b : -1;
      const cell = this.cell(i, a, b, { code: paragraph.code, hangs: line.goesOn && i === line.from, pads });
      const { rtl, code } = paragraph;
      this.entries.push({ i, cell, place, rtl, code, swatch: null, look: "", left: 0, width: 0, y: 0 });
      node.append(cell);
    }
    return node;
  }

  // "user", "tool call", "image × 256"; nothing where a role goes on behind what was within it.
  /** @param {number} place of a block */
  tagOf(place) {
    const { from, role, kind } = this.blocks[place];
    const end = this.blocks[place + 1]?.from ?? this.length;
    const what = this.words[kind] ?? kind;
    if (PADS.has(kind)) return `${what} × ${(end - from).toLocaleString("en")}`;
    return kind ? what : this.blocks[place - 1]?.role === role ? undefined : role || undefined;
  }

  /** @type {(i: number, a: number, b: number, how: { code: boolean; hangs: boolean; pads: boolean }) => HTMLElement} */
  cell(i, a, b, { code, hangs, pads }) {
    const whole = this.text(i);
    const part = a > 0 || b >= 0 ? whole.slice(a, b < 0 ? undefined : b) : whole;
    const text = part.length > LONGEST ? part.slice(0, LONGEST) : part;
    const cell = el("span", { class: "tok-cell", "data-i": i });
    if (a > 0) cell.setAttribute("aria-hidden", "true");
    else this.makeOption(cell, i);
    if (pads) {
      cell.classList.add("tok-place");
      cell.append(el("i", { class: "tok-mark", "data-glyph": "" }, text));
      return cell;
    }
    if (this.pads[this.vocabulary.token[i]]) cell.classList.add("tok-image");
    const halves = this.halves.get(i);
    // One blank before a word is room, not ink: it is no part of what is painted, and none at all where a line goes on.
    if (WORD.test(text) && (hangs || !code) && !halves) {
      if (!hangs) cell.classList.add("tok-word");
      cell.append(el("i", { class: "tok-space" }, " "));
      appendProse(cell, text.slice(1));
    } else appendProse(cell, text, a ? [] : halves);
    if (part.length > 20 && this.measure(part, this.font(code)) > this.room) cell.classList.add("tok-long");
    return cell;
  }

  /** @type {(cell: HTMLElement, i: number) => void} */
  makeOption(cell, i) {
    cell.setAttribute("role", "option");
    cell.setAttribute("aria-posinset", String(this.first + i + 1));
    cell.setAttribute("aria-setsize", String(this.total));
    cell.tabIndex = i === Math.max(this.current(), 0) ? 0 : -1;
    if (i === this.current()) this.markCurrent(cell, i);
  }

  // Where each token's bars go, read off the laid out text: bidi and ligatures are the browser's business.
  /** @param {number} count of lines */
  placeBars(count) {
    const { left } = this.inner.getBoundingClientRect();
    /** @param {boolean} code */
    const blank = (code) => this.font(code).blank || this.measure(" ", this.font(true));
    for (const entry of this.entries) {
      const rect = entry.cell.getBoundingClientRect();
      const pad = entry.cell.classList.contains("tok-word") ? blank(entry.code) : 0;
      entry.left = rect.left - left + (entry.rtl ? 0 : pad);
      entry.width = rect.width - pad - 1;
      entry.y = entry.place * this.block + INK;
    }
    this.bars.node.setAttribute("width", String(this.inner.clientWidth));
    this.bars.node.setAttribute("height", String(count * this.block));
  }

  /** @param {Set<string>} [names] of the objectives whose weights have changed; without it all is new */
  colour(names) {
    for (const { name } of this.bars.objectives)
      if (!names || names.has(name)) this.bars.draw(name, this.entries, this.weighed(name), this.masked());
    for (const entry of this.entries) {
      const { swatch, look } = this.paint(entry.i);
      const { cell } = entry;
      if (entry.look !== look) {
        cell.dataset.look = look;
        entry.look = look;
      }
      if (entry.swatch !== swatch) {
        cell.style.backgroundColor = swatch?.background ?? "";
        if (entry.swatch?.text !== swatch?.text) cell.style.color = swatch?.text ?? "";
        entry.swatch = swatch;
      }
      if (!names) {
        if (entry.i === this.current()) cell.dataset.selected = "true";
        if (this.found.has(entry.i)) cell.dataset.found = "true";
        else if (cell.dataset.found) delete cell.dataset.found;
      }
    }
  }

  /** @param {number} i */
  cellOf(i) {
    return this.inner.querySelector(`.tok-cell[tabindex][data-i="${i}"]`);
  }

  /** @type {(cell: HTMLElement, i: number) => void} */
  markCurrent(cell, i) {
    cell.tabIndex = 0;
    cell.setAttribute("aria-selected", "true");
    cell.setAttribute("aria-label", this.describe(i));
  }

  // The mark moves from `before` to `now`; with `focus` the keyboard goes along.
  /** @type {(before: number, now: number, focus: boolean) => void} */
  select(before, now, focus) {
    for (const cell of this.inner.querySelectorAll("[data-selected]")) delete cell.dataset.selected;
    const old = this.cellOf(Math.max(before, 0));
    if (old) {
      old.tabIndex = -1;
      old.removeAttribute("aria-selected");
      old.removeAttribute("aria-label");
    }
    for (const cell of this.inner.querySelectorAll(`.tok-cell[data-i="${now}"]`)) cell.dataset.selected = "true";
    const cell = this.cellOf(now);
    if (!cell) return;
    this.markCurrent(cell, now);
    if (focus) cell.focus({ preventScroll: true });
  }

  // The line that a token begins in.
  /** @param {number} i */
  lineOf(i) {
    let low = 0;
    let high = this.lines.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const { from, a } = this.lines[middle];
      if (from < i || (from === i && !a)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** @param {number} i */
  bringIntoSight(i) {
    const top = this.lineOf(i) * this.block;
    const view = this.node;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + this.block > view.scrollTop + view.clientHeight)
      view.scrollTop = Math.min(top, top + this.block - view.clientHeight + GAP);
    this.render();
  }

  // Where a key leads from token `here`; undefined for a key that is not the strip's.
  /** @type {(key: string, here: number) => number | undefined} */
  keyed(key, here) {
    const line = this.lineOf(here);
    const page = Math.max(1, Math.floor(this.node.clientHeight / this.block));
    const ahead = this.prose.paragraphs[this.lines[line].paragraph]?.rtl ? -1 : 1; // the right arrow goes to the right
    /** @param {number} step */
    const beside = (step) => {
      let at = line + step;
      /** @type {TextLine | undefined} */
      let next = this.lines[at];
      while (next?.to === here + 1 && next.from === here) {
        at += Math.sign(step); // more of the token
        next = this.lines[at];
      }
      const { from, a, to } = this.lines[Math.min(this.lines.length - 1, Math.max(0, at))];
      const begin = a > 0 && to > from + 1 ? from + 1 : from;
      let best = begin;
      for (let i = begin; i < to; i++)
        if (Math.abs(this.x[i] - this.x[here]) < Math.abs(this.x[best] - this.x[here])) best = i;
      return best;
    };
    /** @type {Record<string, () => number>} */
    const moves = {
      ArrowRight: () => here + ahead,
      ArrowLeft: () => here - ahead,
      ArrowDown: () => beside(1),
      ArrowUp: () => beside(-1),
      PageDown: () => beside(page),
      PageUp: () => beside(-page),
      Home: () => 0,
      End: () => this.length - 1,
    };
    return moves[key] && Math.min(this.length - 1, Math.max(0, moves[key]()));
  }

  // Copying gives the tokens' own characters in order, once, however many lines a token is spread over.
  /** @param {ClipboardEvent} event */
  copy(event) {
    const selection = document.getSelection();
    if (!selection?.rangeCount || !event.clipboardData) return;
    const range = selection.getRangeAt(0);
    /** @type {Set<number>} */
    const taken = new Set();
    for (const { i, cell } of this.entries) if (range.intersectsNode(cell)) taken.add(i);
    event.clipboardData.setData(
      "text/plain",
      [...taken]
        .sort((a, b) => a - b)
        .map((i) => this.text(i))
        .join(""),
    );
    event.preventDefault();
  }
}
