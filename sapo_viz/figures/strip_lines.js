// The lines of the strip. Only those in sight are in the document, so that 50 or 50,000 tokens cost the same to
// colour; they are text, so that they can be selected, copied and read aloud.

const ROW = 27, GAP = 12, PAD = 6; // pixels: height of a row, space between lines, padding of a token
const SPARE = 320; // pixels of lines kept above and below what is in sight
const LONGEST = 400; // characters of a token that are drawn; the panel shows the rest

class StripLines {
  // text(i): a token's. paint(row, i): { swatch, look }, a row being { name, label, color, dash }.
  // current(): the chosen token. describe(i): what is said of it.
  constructor({ text, paint, current, describe }) {
    Object.assign(this, { text, paint, current, describe });
    this.inner = el("div", { class: "tok-lines" });
    this.sizer = el("div", { class: "tok-sizer" }, this.inner);
    this.node = el("div", { class: "tok-scroll", role: "listbox", "data-testid": "strip" }, this.sizer);
    this.paper = document.createElement("canvas").getContext("2d");
    this.widths = new Map();
    this.found = { has: () => false };
    this.rows = [];
    this.node.addEventListener("scroll", () => this.renderSoon());
    this.inner.addEventListener("copy", (event) => this.copy(event));
  }

  get narrow() { return this.width < 500; }

  // Break the sequence into lines by measured widths; a line end in a token ends the line.
  layout(rows, { texts, arrays: { token }, first, total }) {
    Object.assign(this, { length: token.length, vocabulary: { texts, token }, rows, first, total });
    const style = getComputedStyle(this.inner);
    this.paper.font = `${style.fontSize} ${style.fontFamily}`;
    this.width = this.node.clientWidth;
    this.labelled = rows.length > 1;
    const label = this.labelled ? (this.narrow ? 62 : 96) : 0;
    const anchor = this.lines?.length && this.node.scrollTop > 0 ? this.lines[Math.min(this.lines.length - 1, Math.floor(this.node.scrollTop / this.block))][0] : 0;
    this.breakLines(this.width - label - 16);
    this.block = rows.length * ROW + GAP;
    this.sizer.style.height = `${this.lines.length * this.block}px`;
    this.node.style.setProperty("--tok-label", `${label}px`);
    if (anchor) this.node.scrollTop = this.lineOf(Math.min(anchor, this.length - 1)) * this.block; // the same text stays in sight
    this.range = null;
    this.render();
  }

  breakLines(room) {
    if (this.room === room && this.broken === this.text) return;
    [this.room, this.broken] = [room, this.text];
    const { texts, token } = this.vocabulary; // measured once a text, not once a token
    const widths = Float32Array.from(texts, (text) => this.measure(text)), ends = texts.map((text) => text.includes("\n"));
    this.lines = [];
    this.x = new Float32Array(this.length);
    let start = 0, x = 0;
    for (let i = 0; i < this.length; i++) {
      const wide = widths[token[i]];
      if (i > start && x + wide > room) { this.lines.push([start, i]); start = i; x = 0; }
      this.x[i] = x;
      x += wide;
      if (ends[token[i]]) { this.lines.push([start, i + 1]); start = i + 1; x = 0; }
    }
    if (start < this.length) this.lines.push([start, this.length]);
  }

  measure(token) {
    let width = this.widths.get(token);
    if (width === undefined) {
      width = this.paper.measureText(inkOf(token.length > LONGEST ? token.slice(0, LONGEST) : token)).width + PAD + 2;
      this.widths.set(token, width);
    }
    return width;
  }

  forgetWidths() { this.widths.clear(); this.room = null; }

  renderSoon() {
    if (!this.scrolling) this.scrolling = requestAnimationFrame(() => { this.scrolling = 0; this.render(); });
  }

  render() {
    if (!this.lines) return;
    const spare = Math.ceil(SPARE / this.block), near = Math.ceil(spare / 3);
    const top = Math.floor(this.node.scrollTop / this.block);
    const count = Math.ceil((this.node.clientHeight || 400) / this.block);
    if (this.range && top >= this.range[0] + Math.min(near, top) && top + count <= this.range[1]) return;
    const first = Math.max(0, top - spare), last = Math.min(this.lines.length, top + count + spare);
    const focused = this.inner.contains(document.activeElement);
    this.range = [first, last === this.lines.length ? Infinity : last];
    this.inner.style.transform = `translateY(${first * this.block}px)`;
    this.cells = new Map(this.rows.map((row) => [row.name, []]));
    const blocks = [];
    for (let line = first; line < last; line++) blocks.push(this.blockOf(line));
    this.inner.replaceChildren(...blocks);
    this.colour();
    if (focused) this.cellOf(this.current())?.focus({ preventScroll: true });
  }

  blockOf(line) {
    const [start, end] = this.lines[line];
    const block = el("div", { class: "tok-block", role: "presentation" });
    block.style.height = `${this.block}px`;
    this.rows.forEach((row, place) => {
      const node = el("div", { class: "tok-row", "data-objective": row.name, "aria-hidden": place ? "true" : null, role: place ? null : "presentation" });
      if (this.labelled) node.append(this.labelOf(row));
      const cells = this.cells.get(row.name);
      for (let i = start; i < end; i++) {
        const cell = el("span", { class: "tok-cell", "data-i": i });
        if (!place) this.makeOption(cell, i);
        appendToken(cell, this.text(i), LONGEST);
        cells.push({ i, cell, swatch: undefined, look: "" });
        node.append(cell);
      }
      block.append(node);
    });
    return block;
  }

  makeOption(cell, i) {
    cell.setAttribute("role", "option");
    cell.setAttribute("aria-posinset", this.first + i + 1);
    cell.setAttribute("aria-setsize", this.total);
    cell.tabIndex = i === Math.max(this.current(), 0) ? 0 : -1;
    if (i === this.current()) this.markCurrent(cell, i);
  }

  labelOf(row) {
    const label = el("span", { class: "tok-label", title: row.label, "aria-hidden": "true" }, el("b", {}, row.label));
    label.style.borderLeft = `3px ${cssDash(row.dash)} ${row.color}`;
    return label;
  }

  colour(names) {
    for (const row of this.rows) {
      if (names && !names.has(row.name)) continue;
      for (const entry of this.cells.get(row.name)) {
        const { swatch, look } = this.paint(row, entry.i), { cell } = entry;
        if (entry.look !== look) { cell.dataset.look = look; entry.look = look; }
        if (entry.swatch !== swatch) {
          cell.style.backgroundColor = swatch?.background ?? "";
          if (entry.swatch?.text !== swatch?.text) cell.style.color = swatch?.text ?? "";
          entry.swatch = swatch;
        }
        if (entry.i === this.current()) cell.dataset.selected = "true";
        if (this.found.has(entry.i)) cell.dataset.found = "true"; else if (cell.dataset.found) delete cell.dataset.found;
      }
    }
  }

  cellOf(i) { return this.inner.querySelector(`.tok-cell[tabindex][data-i="${i}"]`); }

  markCurrent(cell, i) {
    cell.tabIndex = 0;
    cell.setAttribute("aria-selected", "true");
    cell.setAttribute("aria-label", this.describe(i));
  }

  // The mark moves from `before` to `now`; with `focus` the keyboard goes along.
  select(before, now, focus) {
    for (const cell of this.inner.querySelectorAll("[data-selected]")) delete cell.dataset.selected;
    const old = this.cellOf(Math.max(before, 0));
    if (old) { old.tabIndex = -1; old.removeAttribute("aria-selected"); old.removeAttribute("aria-label"); }
    for (const cell of this.inner.querySelectorAll(`.tok-cell[data-i="${now}"]`)) cell.dataset.selected = "true";
    const cell = this.cellOf(now);
    if (!cell) return;
    this.markCurrent(cell, now);
    if (focus) cell.focus({ preventScroll: true });
  }

  lineOf(i) {
    let low = 0, high = this.lines.length - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (this.lines[middle][0] <= i) low = middle; else high = middle - 1; }
    return low;
  }

  bringIntoSight(i) {
    const top = this.lineOf(i) * this.block, view = this.node;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + this.block > view.scrollTop + view.clientHeight) view.scrollTop = Math.min(top, top + this.block - view.clientHeight);
    this.render();
  }

  // Where a key leads from token `here`; undefined for a key that is not the strip's.
  keyed(key, here) {
    const line = this.lineOf(here), page = Math.max(1, Math.floor(this.node.clientHeight / this.block));
    const beside = (step) => {
      const [start, end] = this.lines[Math.min(this.lines.length - 1, Math.max(0, line + step))];
      let best = start;
      for (let i = start; i < end; i++) if (Math.abs(this.x[i] - this.x[here]) < Math.abs(this.x[best] - this.x[here])) best = i;
      return best;
    };
    const moves = {
      ArrowRight: () => here + 1, ArrowLeft: () => here - 1, ArrowDown: () => beside(1), ArrowUp: () => beside(-1),
      PageDown: () => beside(page), PageUp: () => beside(-page), Home: () => 0, End: () => this.length - 1,
    };
    return moves[key] && Math.min(this.length - 1, Math.max(0, moves[key]()));
  }

  // Copying gives the tokens' own characters in order, once, whatever rows the selection crosses.
  copy(event) {
    const range = document.getSelection()?.rangeCount ? document.getSelection().getRangeAt(0) : null;
    if (!range) return;
    const taken = new Set();
    for (const cells of this.cells.values()) for (const { i, cell } of cells) if (range.intersectsNode(cell)) taken.add(i);
    event.clipboardData.setData("text/plain", [...taken].sort((a, b) => a - b).map((i) => this.text(i)).join(""));
    event.preventDefault();
  }
}
