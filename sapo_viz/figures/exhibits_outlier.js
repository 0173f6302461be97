// Outlier tokens: the ratios of one sequence as handles, and below them what each objective keeps of its gradient.

const TOP = 34, PLOT = 176, ROW = 66, BAR = 30; // pixels: above the plot, the plot, a row of bars, its tallest bar

export default function (component) { return mount(component, OutlierExhibit); }

class OutlierExhibit extends Exhibit {
  constructor(parent) {
    super(parent);
    put(this.svg, { role: "group" });
    this.layers = Object.fromEntries(["bands", "frame", "lines", "stems", "handles", "rows"].map((name) => [name, svg("g", { "aria-hidden": name === "handles" ? null : "true" })]));
    this.svg.append(...Object.values(this.layers));
  }

  // DPPO looks at how far a probability moved; whether any of the objectives does shows in its numbers.
  received() {
    this.asksOld = this.data.objectives.some((o) => o.reads_logprobs && [-2, -0.5, 0.5, 2].some((z) => {
      const at = (old) => FORMULAS[o.name](z, Math.sign(z), this.values.knobs[o.name], old)[1];
      return at(-2.5) !== at(-4.5);
    }));
    this.selected = Math.min(this.selected ?? furthest(this.values.ratios), this.values.ratios.length - 1);
  }

  taken() { this.selected = furthest(this.values.ratios); }

  // ── controls ────────────────────────────────────────────────────────────────────────────────
  build() {
    const { words, data } = this;
    const grow = this.button(words.add, () => this.resize(1), "add-token");
    const shrink = this.button(words.remove, () => this.resize(-1), "remove-token");
    const { length, ratio, old } = data.controls;
    const sequence = this.group(words.sequence, null,
      this.row({
        symbol: "r", name: words.chosen, label: words.chosen_ratio, help: ratio.help, test: "chosen-ratio", spec: ratio,
        get: () => this.values.ratios[this.selected], set: (value) => { this.values.ratios[this.selected] = value; },
      }),
      el("div", { class: "exh-pair" }, grow, shrink),
      this.row({
        symbol: "T", name: length.name, label: words.length, help: length.help, test: "length", spec: length,
        get: () => this.values.ratios.length + this.values.more,
        set: (value) => { this.values.more = Math.max(0, Math.round(value) - this.values.ratios.length); },
      }),
      ...(this.asksOld ? [this.row({
        symbol: old.symbol, name: old.name, label: old.name, help: old.help, test: "old", spec: old,
        get: () => this.values.old, set: (value) => { this.values.old = value; },
      })] : []));
    const knobs = data.objectives.filter((o) => o.knobs.length).map((o) => this.group(o.label, o, ...o.knobs.map((knob) => this.row({
      symbol: knob.symbol, name: knob.name, label: `${o.label} ${knob.name}`, help: knob.help, test: `knob-${o.name}-${knob.name}`, spec: knob,
      get: () => this.values.knobs[o.name][knob.name], set: (value) => { this.values.knobs[o.name][knob.name] = value; },
    }))));
    return [
      this.choice("A", "sign", [[1, "A > 0"], [-1, "A < 0"]]),
      this.choice(words.axis, "axis", [["linear", words.linear], ["log", words.log]]),
      this.choice(words.show, "show", [["weight", words.weight], ["coefficient", words.coefficient]]),
      sequence, ...knobs,
    ];
  }

  resize(by) {
    const { ratios } = this.values;
    if (by > 0 && ratios.length < this.data.most) ratios.splice(++this.selected, 0, 1);
    if (by < 0 && ratios.length > 1) ratios.splice(this.selected, 1);
    this.selected = Math.min(this.selected, ratios.length - 1);
    this.showValues();
    this.schedule();
    this.released();
  }

  setRatio(index, value) {
    const { lo, hi } = this.data.controls.ratio;
    this.values.ratios[index] = Number(Math.min(hi, Math.max(lo, value)).toPrecision(3));
    this.showValues();
    this.schedule();
  }

  // ── numbers ─────────────────────────────────────────────────────────────────────────────────
  // w and c of every token, the fillers' last. At sequence level every token stands at the sequence's own ratio;
  // where tokens are treated before they are averaged (GMPO), each receives its own slope of that.
  numbers(objective) {
    const { ratios, more, sign, old } = this.values, f = FORMULAS[objective.name], knobs = this.values.knobs[objective.name];
    const treated = f.token ? (z) => f.token(z, sign, knobs) : (z) => [z, 1], gate = f.level ?? f;
    const z = ratios.map(Math.log), total = ratios.length + more;
    const sum = z.reduce((all, one) => all + treated(one)[0], 0) + more * treated(0)[0];
    const level = { sequence: sum / total, "sequence-product": sum }[objective.level];
    const at = (own) => {
      const [here, slope] = treated(own), x = level ?? here, ratio = Math.exp(Math.min(20, Math.max(-20, x)));
      const c = slope * gate(x, sign, knobs, Math.min(Math.log(old), -own))[1]; // a probability stays ≤ 1: π_old ≤ 1/r
      return { w: c / ratio, c, ratio };
    };
    const tokens = z.map(at), filler = more ? at(0) : null;
    const kept = (tokens.reduce((a, t) => a + t.w, 0) + (filler ? more * filler.w : 0)) / total;
    const alive = tokens.filter((t) => t.c !== 0).length + (filler && filler.c !== 0 ? more : 0);
    return { tokens, filler, kept, alive, total, level };
  }

  logS() {
    const { ratios, more } = this.values;
    return ratios.reduce((a, r) => a + Math.log(r), 0) / (ratios.length + more);
  }

  // ── drawing ─────────────────────────────────────────────────────────────────────────────────
  draw() {
    const { ratios, more, axis } = this.values, left = 48, right = this.width - (this.narrow ? 70 : 92);
    const columns = ratios.length + (more ? 1.6 : 0), step = (right - left) / columns;
    const place = (i) => left + step * (i < ratios.length ? i + 0.5 : ratios.length + 0.8);
    if (!this.dragging) this.top = Math.max(3, Math.ceil(Math.max(...ratios) * 1.1));
    const y = axis === "log" ? axisScale(0.05, 20, TOP + PLOT, TOP, true) : axisScale(0, this.top, TOP + PLOT, TOP);
    const x = axisScale(0, 1, left, right);
    this.y = y;
    memo(this.layers.frame, [left, right, axis, this.top, this.words], () => frameOf({ x, y, title: this.words.title, noX: true, yName: this.words.ratio }).concat(label(right + 6, TOP + PLOT + 18, this.words.kept, { class: "exh-name" })));
    const s = Math.exp(this.logS());
    this.drawBands(y, left, right, s);
    this.drawHandles(y, place, step);
    const all = this.data.objectives.map((objective) => ({ objective, ...this.numbers(objective) }));
    this.all = all;
    this.drawRows(all, place, step, left, right);
    this.fill(all);
    return TOP + PLOT + 30 + ROW * all.length;
  }

  // Where the switches stand: a sequence's band with s, and the edges of a token's band.
  drawBands(y, left, right, s) {
    const bands = [], lines = [svg("line", { class: "exh-one", x1: left, x2: right, y1: y(1), y2: y(1) })];
    let marked = false, named = false;
    for (const o of this.data.objectives) {
      const knobs = this.values.knobs[o.name], { eps_low, eps_high } = knobs, { token } = FORMULAS[o.name];
      const clips = eps_low !== undefined && eps_high !== undefined && !o.reads_logprobs;
      const [from, to] = token ? [Math.exp(token(-20, -1, knobs)[0]), Math.exp(token(20, 1, knobs)[0])] : [1 - eps_low, 1 + eps_high];
      const [low, high] = [y(Math.max(from, y.lo || 0)), Math.max(TOP, y(to))];
      if (o.level === "sequence" && !token) {
        if (clips) bands.push(svg("rect", { "data-testid": `band-${o.name}`, x: left, width: right - left, y: Math.min(high, y(1) - 1), height: Math.max(2, low - high), fill: o.color, opacity: 0.3 }));
        if (!marked) { // on one line for all of them: they share s
          lines.push(svg("line", { x1: left, x2: right, y1: y(s), y2: y(s), stroke: o.color, "stroke-width": 2, "stroke-dasharray": "8 3 2 3" }));
          lines.push(label(right + 6, y(s) + 4, `s = ${sText(s)}`, { class: "exh-strong" }));
        }
        marked = true;
      } else if (clips) {
        for (const edge of [low, high]) if (edge < TOP + PLOT && edge > TOP) bands.push(svg("line", { x1: left, x2: right, y1: edge, y2: edge, stroke: o.color, "stroke-width": 1.3, "stroke-dasharray": "6 4", opacity: 0.75 }));
        // The first one's name says what such lines are; s, on the same side, comes first.
        if (!named && low < TOP + PLOT - 4 && Math.abs(low - y(s)) > 15) lines.push(label(right + 6, low + 4, sentence(this.words.band, { label: o.label }), { class: "exh-name" }));
        named = true;
      }
    }
    this.layers.bands.replaceChildren(...bands);
    this.layers.lines.replaceChildren(...lines);
  }

  drawHandles(y, place, step) {
    const { ratios, more } = this.values;
    const stems = ratios.map((r, i) => `M${place(i).toFixed(1)},${y(1).toFixed(1)}V${this.inside(y(r)).toFixed(1)}`).join("");
    const extra = more ? [svg("circle", { cx: place(ratios.length), cy: y(1), r: 5, fill: "none", stroke: "currentColor", "stroke-width": 2 }),
      label(place(ratios.length), TOP + PLOT + 18, sentence(this.words.more, { n: count(more) }), { "text-anchor": "middle", class: "exh-tick" })] : [];
    this.layers.stems.replaceChildren(svg("path", { class: "exh-stem", d: stems }), ...extra);
    const handles = pool(this.layers.handles, ratios.length, (i) => this.makeHandle(i));
    handles.forEach((handle, i) => {
      const [knob, text, under] = [handle.children[1], handle.children[2], handle.children[3]];
      const py = this.inside(y(ratios[i])), up = py > TOP + 24 && (ratios[i] >= 1 || py > TOP + PLOT - 24);
      put(handle, {
        transform: `translate(${place(i).toFixed(1)},${py.toFixed(1)})`, "aria-valuenow": ratios[i], "aria-valuetext": this.handleText(i),
        "data-selected": i === this.selected ? "" : null,
      });
      put(handle.children[0], { r: Math.max(9, Math.min(18, step / 2)) });
      put(knob, { r: Math.max(3.5, Math.min(8, step / 3.5)) });
      put(text, { y: up ? -13 : 23, visibility: step > 34 || i === this.selected ? "visible" : "hidden" });
      put(under, { y: TOP + PLOT + 18 - py, visibility: step > 16 || i % 5 === 0 ? "visible" : "hidden" });
      if (text.textContent !== show(ratios[i])) text.textContent = show(ratios[i]);
    });
  }

  inside(py) { return Math.min(TOP + PLOT, Math.max(TOP - 4, py)); }

  makeHandle(i) {
    const { ratio } = this.data.controls;
    const handle = svg("g", { class: "exh-handle", tabindex: 0, role: "slider", "aria-orientation": "vertical", "aria-label": sentence(this.words.handle, { n: i + 1 }), "aria-valuemin": ratio.lo, "aria-valuemax": ratio.hi, "data-testid": `handle-${i}` },
      svg("circle", { class: "exh-hit" }), svg("circle", { class: "exh-knob" }), label(0, 0, "", { "text-anchor": "middle", class: "exh-halo exh-strong" }), label(0, 0, String(i + 1), { "text-anchor": "middle", class: "exh-tick" }));
    handle.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault();
      handle.setPointerCapture(event.pointerId);
      handle.focus({ preventScroll: true });
      this.selected = i;
      // The handle does not jump to the finger: it keeps the distance at which it was taken.
      this.dragging = { i, off: event.clientY - this.svg.getBoundingClientRect().top - this.inside(this.y(this.values.ratios[i])), moved: false };
      this.showValues();
      this.schedule();
    });
    handle.addEventListener("pointermove", (event) => {
      if (this.dragging?.i !== i || !handle.hasPointerCapture(event.pointerId)) return;
      this.dragging.moved = true;
      const value = this.y.inverse(event.clientY - this.svg.getBoundingClientRect().top - this.dragging.off);
      this.setRatio(i, Math.min(value, this.y.hi));
    });
    const release = () => {
      if (this.dragging?.i !== i) return;
      const moved = this.dragging.moved;
      this.dragging = null;
      this.schedule();
      if (moved) this.released();
    };
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) handle.addEventListener(name, release);
    handle.addEventListener("focus", () => { this.selected = i; this.showValues(); this.schedule(); });
    handle.addEventListener("keydown", (event) => {
      const r = this.values.ratios[i], log = this.values.axis === "log";
      const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
      if (by !== undefined) this.setRatio(i, log ? r * 1.02 ** by : r + 0.01 * by);
      else if (event.key === "Home") this.setRatio(i, ratio.lo);
      else if (event.key === "End") this.setRatio(i, ratio.hi);
      else if (event.key === "Delete" || event.key === "Backspace") { this.selected = i; this.resize(-1); this.layers.handles.children[this.selected]?.focus(); }
      else return;
      event.preventDefault();
      this.released();
    });
    return handle;
  }

  handleText(i) {
    const parts = (this.all || []).filter((row) => row.tokens[i]).map((row) => `${row.objective.label} ${weightText(row.tokens[i].w)}`);
    return `${show(this.values.ratios[i])}; ${this.words.weight}: ${parts.join(", ")}`;
  }

  drawRows(all, place, step, left, right) {
    const key = this.values.show === "weight" ? "w" : "c";
    const top = Math.max(1, ...all.flatMap((row) => [...row.tokens, ...(row.filler ? [row.filler] : [])].map((t) => t[key])));
    const high = Math.min(top, 20), bar = Math.max(3, Math.min(46, step * 0.6));
    const rows = pool(this.layers.rows, all.length, () => svg("g", {}, svg("line", { "stroke-width": 3 }), label(0, 0, "", { class: "exh-strong" }), label(0, 0, "", { class: "exh-big" }), label(0, 0, "", { class: "exh-tick" }), svg("line", { class: "exh-axis" }), svg("line", { class: "exh-one" }), svg("g"), svg("g")));
    rows.forEach((row, k) => {
      const { objective, tokens, filler, kept, alive, total } = all[k], y0 = TOP + PLOT + 30 + ROW * k, base = y0 + ROW - 6;
      const [swatch, name, share, tally, line, one, bars, numbers] = row.children;
      put(row, { "data-testid": `row-${objective.name}`, "data-kept": kept, "data-alive": alive });
      put(swatch, { x1: 0, x2: 26, y1: y0 + 9, y2: y0 + 9, stroke: objective.color, "stroke-dasharray": svgDash(objective.dash) });
      put(name, { x: 32, y: y0 + 14 });
      put(share, { x: right + 6, y: base - 16 });
      put(tally, { x: right + 6, y: base });
      write(name, objective.label);
      write(share, percent(kept));
      write(tally, sentence(this.narrow || total > 99 ? "{alive} / {total}" : this.words.tally, { alive: count(alive), total: count(total) }));
      put(line, { x1: left, x2: right, y1: base, y2: base });
      put(one, { x1: left, x2: right, y1: base - BAR / high, y2: base - BAR / high });
      const cells = filler ? [...tokens, filler] : tokens;
      pool(bars, cells.length, () => svg("rect")).forEach((rect, i) => {
        const height = Math.max(0, Math.min(1, cells[i][key] / high)) * BAR;
        put(rect, { x: (place(i) - bar / 2).toFixed(1), width: bar.toFixed(1), y: (base - height).toFixed(1), height: height.toFixed(1), fill: objective.color });
      });
      pool(numbers, cells.length, () => label(0, 0, "", { "text-anchor": "middle", class: "exh-halo" })).forEach((node, i) => {
        const height = Math.max(0, Math.min(1, cells[i][key] / high)) * BAR;
        put(node, { x: place(i).toFixed(1), y: (base - height - 4).toFixed(1), visibility: step > 36 || i === this.selected ? "visible" : "hidden" });
        write(node, weightText(cells[i][key]));
      });
    });
  }

  // ── words and numbers ───────────────────────────────────────────────────────────────────────
  fill(all) {
    const at = furthest(this.values.ratios), words = this.words;
    const rows = all.map(({ objective, tokens, kept, alive, total }) => [objective.label, percent(kept), `${count(alive)} / ${count(total)}`, weightText(tokens[at].w), show(tokens[at].c)]);
    this.fillTable(sentence(words.table, { s: sText(Math.exp(this.logS())), r: show(this.values.ratios[at]) }), words.columns, rows);
  }

  describe() {
    const { ratios, more, sign } = this.values;
    const rows = (this.all || []).map((row) => sentence(this.words.alt_row, { label: row.objective.label, share: percent(row.kept), alive: count(row.alive), total: count(row.total) }));
    return sentence(this.words.alt, { ratios: ratios.map(show).join(", "), more: count(more), sign: sign > 0 ? "A > 0" : "A < 0", s: sText(Math.exp(this.logS())), rows: rows.join("; ") });
  }

  caption() {
    const knobs = this.data.objectives.map((o) => [o.label, ...o.knobs.map((k) => `${k.symbol} ${show(this.values.knobs[o.name][k.name])}`)].join(" "));
    return `${this.values.sign > 0 ? "A > 0" : "A < 0"}; s = ${sText(Math.exp(this.logS()))}; ${knobs.join("; ")}`;
  }

  table() {
    const rows = [["objective", "knobs", "advantage", "token", "count", "ratio", "weight", "coefficient", "weighed_at", "s"]], s = Math.exp(this.logS());
    for (const { objective, tokens, filler } of this.all) {
      const knobs = Object.entries(this.values.knobs[objective.name]).map(([k, v]) => `${k}=${v}`).join(" ");
      tokens.forEach((t, i) => rows.push([objective.name, knobs, this.values.sign, i + 1, 1, this.values.ratios[i], t.w, t.c, t.ratio, s]));
      if (filler) rows.push([objective.name, knobs, this.values.sign, "rest", this.values.more, 1, filler.w, filler.c, filler.ratio, s]);
    }
    return rows;
  }
}


// The token furthest from 1 in log ratio: the outlier of the read-out.
function furthest(ratios) { return ratios.reduce((best, r, i) => (Math.abs(Math.log(r)) > Math.abs(Math.log(ratios[best])) ? i : best), 0); }

// GSPO's band is a few parts in ten thousand wide: near 1 four digits would not show on which side s is.
function sText(s) { return Math.abs(s - 1) < 0.01 ? String(Number(s.toFixed(6))) : show(s); }

function weightText(w) {
  if (w > 0.9995 && w < 1 - 1e-9) return ">.999";
  if (w > 0 && w < 0.0005) return w < 1e-6 ? "<1e-6" : w.toExponential(0);
  return String(Number(w.toFixed(w < 0.1 ? 4 : 3)));
}
