// Scrubbing through a run: at each snapshot, how far its tokens had moved (a histogram of log r, A > 0 upwards,
// A < 0 downwards), under the objective's gate; bars and tokens grow pale where the gate closes. Above it the
// snapshots side by side, with the ratios at which half of the gradient is left. A recorded run may have thousands:
// some are read, evenly spread, and that at which the slider stands.

import { FORMULAS } from "../formulas.js";
import { luminance, parseColour, rampOf, shadeOf, swatchOf } from "../shared/colour.js";
import { el } from "../shared/dom.js";
import { linkTo } from "../shared/link_to.js";
import { show } from "../shared/numbers.js";
import { withPicture } from "../shared/prompt_picture.js";
import { label, put, svg } from "../shared/svg.js";
import { debounce } from "../shared/timing.js";
import { tokensAddress } from "./cursor.js";
import { isNumber, nearestOf, spreadOf } from "./math.js";
import { drawProbes, probesAt } from "./probe.js";
import { swatch } from "./swatch.js";

const CARDS = 3; // runs side by side
const AHEAD = 24; // snapshots of a recorded run that are read before anybody asks for them
const MOST = 200; // and of a run of our own, which are small
const REST = 150; // ms that the slider rests before the snapshot there is read
const GATE_HEIGHT = 176;
const HEAT_HEIGHT = 84;
const LEFT = 34;
const RIGHT = 8; // pixels
const RATIO_TICKS = [1e-6, 1e-4, 0.01, 0.1, 0.5, 0.8, 0.9, 1, 1.1, 1.25, 2, 10, 100, 1e4, 1e6];

/**
 * @typedef {{
 *   node: HTMLElement; head: HTMLElement; heat: HTMLCanvasElement; gate: SVGSVGElement; facts: HTMLElement;
 *   tokens: HTMLElement; probes: HTMLElement;
 * }} ScrubCard the nodes of one run
 */
/** @typedef {{ theme: Theme; shade: (w: number) => Swatch }} ScrubLook */

export class LiveScrub {
  /** @param {LiveLab} lab */
  constructor(lab) {
    this.lab = lab;
    /** @type {Run[]} one of each drawn setting */
    this.runs = [];
    /** @type {Map<string, ScrubCard>} by the run's id */
    this.cards = new Map();
    /** @type {Map<string, Look>} by the run's id */
    this.looks = new Map();
    this.axis = { scale: NaN, width: NaN }; // of the bins, as the snapshots say
    /** @type {ScrubLook} of this drawing */
    this.look = /** @type {any} */ (undefined);
    /** @type {Point} the bins that the axis shows */
    this.range = [0, 0];
    this.ids = this.drawnKey = ""; // of what is shown
    this.more = ""; // what is said of settings without a card
    this.seen = this.reading = false; // whether it is in sight, and whether the server was asked
    /** @type {number | undefined} */
    this.playing = undefined;
    this.slider = el("input", { type: "range", min: 0, step: 1, "data-testid": "scrub-slider" });
    this.shown = el("output", {});
    this.play = el("button", {
      class: "part-button",
      type: "button",
      "data-testid": "scrub-play",
      onclick: () => this.toggle(),
    });
    this.place = el("div", { class: "scrub-cards" });
    this.note = el("p", { class: "scrub-note" });
    this.title = el("summary", {});
    this.key = el("p", { class: "scrub-note" });
    this.host = el(
      "details",
      { class: "live-scrub", open: true, "data-testid": "scrub" },
      this.title,
      this.key,
      el("div", { class: "scrub-bar" }, this.play, this.slider, this.shown),
      this.place,
      this.note,
    );
    this.host.hidden = true;
    this.slider.addEventListener("input", () => this.go(this.steps()[Number(this.slider.value)]));
    this.loadSoon = debounce(REST, () => this.load());
    this.write = debounce(200, () => this.lab.view.write());
    this.sight = new IntersectionObserver((seen) => {
      this.seen = seen[seen.length - 1].isIntersecting;
      if (this.seen) this.load();
    });
    this.sight.observe(this.host);
  }

  close() {
    this.sight.disconnect();
    clearInterval(this.playing);
  }

  // One run of each drawn setting, a pinned one first.
  /** @param {Group[]} groups */
  fill(groups) {
    /** @param {Run} run */
    const pinned = (run) => Number(this.lab.view.pin.includes(run.id));
    const ready = groups
      .filter((group) => !group.hidden)
      .sort((a, b) => Number(b.pinned) - Number(a.pinned))
      .map((group) => [...group.runs].sort((a, b) => pinned(b) - pinned(a)).find((run) => run.snapshots.length))
      .filter((run) => run !== undefined);
    this.runs = ready.slice(0, CARDS);
    this.host.hidden = !this.runs.length;
    if (this.host.hidden) return;
    const { words } = this.lab;
    this.title.textContent = words.scrub.title;
    this.key.textContent = words.scrub.key;
    this.more = ready.length > CARDS ? words.scrub.more.replace("{n}", ready.length - CARDS) : "";
    this.slider.setAttribute("aria-label", words.scrub.slider);
    if (!this.playing) this.play.textContent = words.scrub.play;
    this.looks = new Map(
      groups.flatMap((group) => group.runs.map((run) => [run.id, { color: group.color, dash: group.dash }])),
    );
    const ids = this.runs.map((run) => run.id).join();
    if (ids !== this.ids) {
      this.ids = ids;
      this.cards = new Map(this.runs.map((run) => [run.id, this.cards.get(run.id) ?? this.card(run)]));
      this.place.replaceChildren(...[...this.cards.values()].map((card) => card.node));
    }
    if (this.seen) this.load();
    const key = JSON.stringify([
      this.runs.map((run) => [
        run.id,
        run.about.title,
        run.snapshots.length,
        run.gates?.length,
        run.events.filter((event) => event.type === "sample").length,
        this.looks.get(run.id),
      ]),
      this.lab.theme(),
      this.place.clientWidth,
    ]);
    // A step without a snapshot changes nothing here.
    if (key !== this.drawnKey) {
      this.drawnKey = key;
      this.draw();
    }
  }

  /** @type {(run: Run) => ScrubCard} */
  card(run) {
    const heat = el("canvas", {
      class: "scrub-heat",
      role: "img",
      "aria-label": `${run.about.title}: ${this.lab.words.scrub.heat}`,
      "data-testid": "scrub-heat",
    });
    heat.addEventListener("click", (event) => {
      const gates = run.gates ?? [];
      const at = (event.offsetX - LEFT) / (heat.clientWidth - LEFT - RIGHT);
      if (gates.length) this.go(gates[Math.min(gates.length - 1, Math.max(0, Math.floor(at * gates.length)))].step);
    });
    const gate = svg("svg", {
      class: "scrub-gate",
      role: "img",
      "aria-label": `${run.about.title}: ${this.lab.words.scrub.alt}`,
      "data-testid": "scrub-gate",
    });
    const head = el("div", { class: "scrub-head" });
    const facts = el("div", { class: "scrub-facts" });
    const tokens = el("div", { class: "scrub-tokens", dir: "auto", "data-testid": "scrub-tokens" });
    const probes = el("div", { class: "scrub-tokens", dir: "auto", "data-testid": "scrub-probes" });
    return {
      node: el("div", { class: "scrub-card", "data-run": run.id }, head, heat, gate, facts, tokens, probes),
      head,
      heat,
      gate,
      facts,
      tokens,
      probes,
    };
  }

  // Only what is new, and only while it is in sight: a few at a time, that of the slider first.
  async load() {
    if (this.reading) return;
    this.reading = true;
    try {
      while (this.seen && this.host.open && this.host.isConnected) {
        const wanted = this.runs.map((run) => ({ run, steps: this.wanted(run) })).filter(({ steps }) => steps.length);
        if (!wanted.length) break;
        await Promise.all(wanted.map(({ run, steps }) => this.read(run, steps)));
        // The cards grow, and push away what is below them: a link of the table, perhaps under a press. The slider
        // is above them.
        if (this.slider.matches(":active")) this.draw();
        else this.lab.hand.free("snapshots", () => this.draw());
      }
    } catch {
      // the server is away; asked again with the next news
    }
    this.reading = false;
  }

  // The snapshots of a run that are to be read and are not yet.
  /** @type {(run: Run) => number[]} */
  wanted(run) {
    const steps = run.snapshots.toSorted((a, b) => a - b);
    const here = nearestOf(steps, this.lab.view.scrub ?? steps[steps.length - 1]) ?? steps[0];
    const there = new Set([...(run.gates ?? []).map((row) => row.step), ...(run.unread ?? [])]);
    const spread = spreadOf(steps, run.about.recorded ? AHEAD : MOST);
    return [...new Set([here, ...spread])].filter((step) => !there.has(step)).slice(0, MOST);
  }

  /** @type {(run: Run, steps: number[]) => Promise<void>} */
  async read(run, steps) {
    const address = new URL("api/runs/snapshots", document.baseURI);
    address.searchParams.set("run", run.id);
    for (const step of steps) address.searchParams.append("step", String(step));
    /** @type {{ scale: number; width: number; snapshots?: Snapshot[] }} */
    const answer = await (await fetch(address)).json();
    if (!answer.snapshots?.length) {
      run.unread = [...(run.unread ?? []), ...steps]; // gone meanwhile
      return;
    }
    this.axis = { scale: answer.scale, width: answer.width };
    run.gates = [...(run.gates ?? []), ...answer.snapshots].sort((a, b) => a.step - b.step);
  }

  // All that can be gone to, and those of them that were read.
  steps() {
    return [...new Set(this.runs.flatMap((run) => run.snapshots))].sort((a, b) => a - b);
  }
  stepsRead() {
    return [...new Set(this.runs.flatMap((run) => (run.gates ?? []).map((row) => row.step)))].sort((a, b) => a - b);
  }

  /** @param {number} step */
  go(step) {
    this.lab.view.scrub = step;
    this.write();
    this.draw();
    this.lab.answers.draw();
    this.loadSoon();
  }

  toggle() {
    const { words } = this.lab;
    if (this.playing) {
      clearInterval(this.playing);
      this.playing = undefined;
      this.play.textContent = words.scrub.play;
      return;
    }
    const steps = this.stepsRead();
    if (!steps.length) return;
    this.play.textContent = words.scrub.pause;
    const here = this.lab.view.scrub ?? steps[steps.length - 1];
    this.go(here >= steps[steps.length - 1] ? steps[0] : here);
    this.playing = setInterval(() => {
      const next = this.stepsRead().find((step) => step > (this.lab.view.scrub ?? -1));
      if (next === undefined || !this.host.isConnected) return this.toggle();
      this.lab.hand.free("play", () => this.go(next));
    }, 700);
  }

  draw() {
    const steps = this.steps();
    const { lab } = this;
    if (!this.stepsRead().length || !this.host.open) return;
    const newest = steps[steps.length - 1];
    const step = nearestOf(steps, lab.view.scrub ?? newest) ?? newest;
    const at = steps.indexOf(step);
    this.slider.max = String(steps.length - 1);
    this.slider.value = String(at);
    this.slider.setAttribute("aria-valuetext", `${lab.words.step} ${step}`);
    this.shown.textContent = `${lab.words.step} ${step}`;
    this.note.textContent = [this.more, ...this.runs.map((run) => this.readSoFar(run))].filter(Boolean).join(" ");
    const theme = lab.theme();
    const dark = luminance(parseColour(theme.background)) < 0.3;
    const scale = lab.data.weights;
    const ramp = rampOf(scale[dark ? "dark" : "light"]);
    const above = swatchOf(parseColour(scale.above));
    this.look = { theme, shade: (/** @type {number} */ w) => (w > 1.00005 ? above : shadeOf(ramp, w)) };
    this.range = this.span();
    for (const run of this.runs) {
      const card = this.cards.get(run.id);
      if (card && run.gates?.length) this.drawCard(run, run.gates, card, step);
    }
  }

  // Of a run with many snapshots: that not all of them stand side by side.
  /** @param {Run} run */
  readSoFar(run) {
    const read = run.gates?.length ?? 0;
    if (run.snapshots.length <= (run.about.recorded ? AHEAD : MOST)) return "";
    return this.lab.words.scrub.spread
      .replace("{run}", run.about.title)
      .replace("{n}", read)
      .replace("{m}", run.snapshots.length.toLocaleString("en"));
  }

  // The bins that any snapshot of any card fills, so that the axis stands still while one scrubs.
  /** @returns {Point} */
  span() {
    let low = -13;
    let high = 13; // about r = 0.78 to 1.28
    for (const run of this.runs) {
      for (const row of run.gates ?? []) {
        for (const counts of Object.values(row.levels[this.level(run)])) {
          counts.forEach((count, i) => {
            const bin = i - (counts.length - 1) / 2;
            if (count) {
              low = Math.min(low, bin - 1);
              high = Math.max(high, bin + 1);
            }
          });
        }
      }
    }
    return [low, high];
  }

  /** @param {Run} run */
  level(run) {
    return run.about.gate ?? "token";
  }
  /** @param {number} bin */
  zOf(bin) {
    const { scale, width } = this.axis;
    const u = bin * width;
    return Math.sign(u) * scale * Math.expm1(Math.abs(u));
  }
  /** @param {number} z */
  binOf(z) {
    const { scale, width } = this.axis;
    return (Math.sign(z) * Math.log1p(Math.abs(z) / scale)) / width;
  }

  // Share of the gradient that is left; undefined where the ratio alone does not decide it.
  /** @type {(run: Run, z: number, sign: number, old?: number) => number | undefined} */
  weight(run, z, sign, old) {
    const f = FORMULAS[run.about.objective];
    if (!f || !run.about.gate || (run.about.reads_logprobs && old === undefined)) return undefined;
    const held = Math.min(20, Math.max(-20, z));
    return f(z, sign, run.about.knobs, old ?? 0)[1] / Math.exp(held);
  }

  /** @type {(run: Run, gates: Snapshot[], card: ScrubCard, step: number) => void} */
  drawCard(run, gates, card, step) {
    const near = nearestOf(
      gates.map((gate) => gate.step),
      step,
    );
    card.node.toggleAttribute("data-waiting", near !== nearestOf(run.snapshots, step));
    const row = gates.find((gate) => gate.step === near) ?? gates[0];
    const { words } = this.lab;
    /** @type {Metrics} */
    const metrics = run.steps.find((event) => event.step === row.step)?.metrics ?? {};
    const link = linkTo(
      tokensAddress(run.id, row.step),
      { class: "part-button", "data-testid": "scrub-open" },
      words.tokens,
    );
    card.head.replaceChildren(
      swatch(this.looks.get(run.id) ?? run.about),
      el("strong", {}, run.about.title),
      `${words.step} ${row.step}`,
      link,
    );
    this.drawHeat(run, gates, card.heat, row.step);
    const kept = this.drawGate(run, gates, card.gate, row);
    const facts = ["reward", "gate_mean", "ratio_max"].flatMap((name) => {
      const value = metrics[name];
      return isNumber(value) ? [`${this.lab.data.told[name] ?? name} ${show(value)}`] : [];
    });
    card.facts.textContent = [kept, ...facts, row.damage].filter(Boolean).join(" · ");
    card.gate.setAttribute(
      "aria-label",
      `${run.about.title}, ${words.step} ${row.step}: ${words.scrub.alt}. ${card.facts.textContent}`,
    );
    this.drawTokens(run, card.tokens, row);
    drawProbes(card.probes, probesAt(run, row.step), this.look, words.scrub);
  }

  /** @type {(run: Run, gates: Snapshot[], canvas: HTMLCanvasElement, step: number) => void} */
  drawHeat(run, gates, canvas, step) {
    const wide = canvas.clientWidth;
    const ratio = devicePixelRatio || 1;
    const [low, high] = this.range;
    const paper = canvas.getContext("2d");
    if (!wide || !paper) return;
    canvas.width = wide * ratio;
    canvas.height = HEAT_HEIGHT * ratio;
    paper.setTransform(ratio, 0, 0, ratio, 0, 0);
    const column = (wide - LEFT - RIGHT) / gates.length;
    const line = HEAT_HEIGHT / (high - low + 1);
    /** @param {number} bin */
    const y = (bin) => HEAT_HEIGHT - (bin - low + 0.5) * line;
    const most = this.most(run, gates);
    paper.fillStyle = this.look.theme.text;
    gates.forEach((row, i) => {
      const { pos, neg } = row.levels[this.level(run)];
      for (let bin = low; bin <= high; bin++) {
        const place = bin + (pos.length - 1) / 2;
        const count = (pos[place] ?? 0) + (neg[place] ?? 0);
        if (!count) continue;
        paper.globalAlpha = Math.min(0.9, 0.12 + (0.78 * Math.log1p(count)) / Math.log1p(most));
        paper.fillRect(LEFT + i * column, y(bin) - line / 2, Math.max(1, column - 1), line);
      }
    });
    paper.globalAlpha = 1;
    paper.strokeStyle = (this.looks.get(run.id) ?? run.about).color;
    paper.lineWidth = 1.5;
    for (const sign of [1, -1]) {
      paper.setLineDash(sign > 0 ? [] : [3, 3]);
      for (const bin of this.halves(run, sign)) {
        paper.beginPath();
        paper.moveTo(LEFT, y(bin));
        paper.lineTo(wide - RIGHT, y(bin));
        paper.stroke();
      }
    }
    paper.setLineDash([]);
    const at = gates.findIndex((row) => row.step === step);
    paper.strokeRect(LEFT + at * column - 0.5, 0.5, Math.max(2, column), HEAT_HEIGHT - 1);
    paper.fillStyle = this.look.theme.text;
    paper.font = `11px ${this.look.theme.font}`;
    paper.textBaseline = "middle";
    for (const tick of this.ticks(HEAT_HEIGHT / (high - low + 1), 14))
      paper.fillText(tick.text, 0, Math.min(HEAT_HEIGHT - 6, Math.max(6, y(tick.bin))));
    canvas.setAttribute("aria-label", `${run.about.title}: ${this.lab.words.scrub.heat}`);
  }

  // The fullest bin of all snapshots.
  /** @type {(run: Run, gates: Snapshot[]) => number} */
  most(run, gates) {
    return Math.max(1, ...gates.flatMap((row) => Object.values(row.levels[this.level(run)]).flat()));
  }

  // Where the weight passes ½, in bins.
  /** @type {(run: Run, sign: number) => number[]} */
  halves(run, sign) {
    const [low, high] = this.range;
    const found = [];
    if (run.about.reads_logprobs) return [];
    let before = this.weight(run, this.zOf(low), sign);
    for (let bin = low; bin <= high; bin += 0.1) {
      const now = this.weight(run, this.zOf(bin), sign);
      if (before === undefined || now === undefined) return [];
      if ((before - 0.5) * (now - 0.5) < 0) found.push(bin);
      before = now;
    }
    return found;
  }

  // The ratios that are named on the axis, 1 before all others, as far as there is room.
  /** @type {(pixels: number, room: number) => { bin: number; text: string }[]} */
  ticks(pixels, room) {
    const [low, high] = this.range;
    /** @type {{ bin: number; text: string }[]} */
    const taken = [];
    const order = [...RATIO_TICKS].sort((a, b) => Math.abs(Math.log(a)) - Math.abs(Math.log(b)));
    order.sort((a, b) => Number(b === 1) - Number(a === 1));
    for (const ratio of order) {
      const bin = this.binOf(Math.log(ratio));
      if (bin >= low && bin <= high && taken.every((tick) => Math.abs(tick.bin - bin) * pixels >= room))
        taken.push({
          bin,
          text: ratio >= 1e4 || ratio <= 1e-3 ? ratio.toExponential(0).replace("+", "") : String(ratio),
        });
    }
    return taken;
  }

  /** @type {(run: Run, gates: Snapshot[], picture: SVGSVGElement, row: Snapshot) => string} what is kept, in words */
  drawGate(run, gates, picture, row) {
    const wide = picture.clientWidth || 300;
    const [low, high] = this.range;
    const middle = (GATE_HEIGHT - 18) / 2;
    const tall = middle - 4;
    const step = (wide - LEFT - RIGHT) / (high - low + 1);
    /** @param {number} bin */
    const x = (bin) => LEFT + (bin - low + 0.5) * step;
    put(picture, { viewBox: `0 0 ${wide} ${GATE_HEIGHT}`, height: GATE_HEIGHT });
    const { theme } = this.look;
    const parts = [];
    const shares = [];
    const most = this.most(run, gates);
    for (const sign of [1, -1]) {
      const name = sign > 0 ? "pos" : "neg";
      const counts = row.levels[this.level(run)][name];
      let kept = 0;
      let total = 0;
      counts.forEach((count, place) => {
        if (!count) return;
        const bin = place - (counts.length - 1) / 2;
        const w = this.weight(run, this.zOf(bin), sign);
        const size = (tall * Math.log1p(count)) / Math.log1p(most);
        total += count;
        kept += count * (w ?? 0);
        const bar = svg("rect", {
          x: x(bin) - step / 2 + 0.5,
          y: sign > 0 ? middle - size : middle,
          width: Math.max(1, step - 1),
          height: size,
          fill: w === undefined ? theme.text : this.look.shade(w).background,
          "fill-opacity": w === undefined ? 0.35 : 1,
          stroke: theme.text,
          "stroke-opacity": 0.35,
          "stroke-width": 0.75,
        });
        bar.append(
          svg(
            "title",
            {},
            `A ${sign > 0 ? ">" : "<"} 0, r ≈ ${show(Math.exp(this.zOf(bin)))}: ${count}${w === undefined ? "" : `, w ${show(w)}`}`,
          ),
        );
        parts.push(bar);
      });
      if (total && run.about.gate && !run.about.reads_logprobs)
        shares.push(`A ${sign > 0 ? ">" : "<"} 0: ${Math.round((100 * kept) / total)} %`);
      const points = [];
      for (let bin = low - 0.5; bin <= high + 0.5; bin += 0.1) {
        const w = this.weight(run, this.zOf(bin), sign);
        if (w === undefined) break;
        points.push(`${x(bin).toFixed(1)},${(middle - sign * tall * Math.min(1.04, w)).toFixed(1)}`);
      }
      parts.push(
        svg("polyline", {
          points: points.join(" "),
          fill: "none",
          stroke: (this.looks.get(run.id) ?? run.about).color,
          "stroke-width": 2,
        }),
      );
      parts.push(
        label(0, middle - sign * (tall / 2) + 4, `A ${sign > 0 ? ">" : "<"} 0`, { fill: theme.text, "font-size": 11 }),
      );
    }
    parts.push(
      svg("line", { x1: LEFT, x2: wide - RIGHT, y1: middle, y2: middle, stroke: theme.text, "stroke-opacity": 0.5 }),
    );
    for (const tick of this.ticks(step, 36))
      parts.push(
        label(x(tick.bin), GATE_HEIGHT - 4, tick.bin === 0 ? "r = 1" : tick.text, {
          fill: theme.text,
          "font-size": 11,
          "text-anchor": "middle",
        }),
      );
    picture.replaceChildren(...parts);
    return shares.length ? `${this.lab.words.scrub.kept} ${shares.join(", ")}` : "";
  }

  /** @type {(run: Run, place: HTMLElement, row: Snapshot) => void} */
  drawTokens(run, place, row) {
    const { words } = this.lab;
    if (!row.sequences.length) return place.replaceChildren(words.scrub.none);
    place.replaceChildren(...row.sequences.flatMap((shown) => this.sequence(run, shown)));
    // What is below does not move up again by a shorter one.
    place.style.minHeight = `${Math.max(Number.parseFloat(place.style.minHeight) || 0, place.offsetHeight)}px`;
  }

  /** @type {(run: Run, shown: Snapshot["sequences"][number]) => Node[]} */
  sequence(run, shown) {
    const { words } = this.lab;
    const level = this.level(run);
    const sign = Math.sign(shown.advantage);
    const spans = shown.tokens.map((token, i) => {
      const z = level === "token" ? shown.z[i] : level === "sequence" ? shown.log_s : shown.log_w;
      const w = sign ? this.weight(run, z, sign, shown.old[i]) : undefined;
      const span = el(
        "span",
        {
          title: `r ${show(Math.exp(shown.z[i]))}${w === undefined ? "" : `, w ${show(w)}`}`,
          "data-w": w === undefined ? undefined : w.toFixed(4),
        },
        token.replaceAll("\n", "⏎") || "∅",
      );
      if (w !== undefined)
        Object.assign(span.style, (({ background, text }) => ({ background, color: text }))(this.look.shade(w)));
      return span;
    });
    const facts = [
      `${words.scrub.sequence} ${shown.index + 1}`,
      `A = ${show(shown.advantage)}`,
      ...(shown.reward === null ? [] : [`${words.scrub.reward} ${show(shown.reward)}`]),
    ];
    const prompt = (shown.start ? "… " : "") + shown.prompt.replaceAll("\n", "⏎");
    return [
      el("small", {}, el("strong", {}, words.scrub.why[shown.why]), ` · ${facts.join(", ")}`),
      el("p", {}, el("span", { class: "scrub-prompt" }, ...withPicture(prompt, words.scrub.picture)), ...spans),
    ];
  }
}
