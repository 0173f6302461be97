// The table of runs: what is drawn (tick), how far it is, how it did, and what can be asked of it.

import { el, withCode } from "../shared/dom.js";
import { linkTo } from "../shared/link_to.js";
import { button } from "../shared/parts.js";
import { setChildren } from "../shared/steady.js";
import { write } from "../shared/svg.js";
import { tokensAddress } from "./cursor.js";
import { isNumber } from "./math.js";
import { sectionsOf } from "./sections.js";
import { ruleOf } from "./story.js";
import { paintSwatch, swatch } from "./swatch.js";
import { fillTitle } from "./title.js";

const MANY = 6; // runs of which one looks for some

/**
 * @typedef {{
 *   name: string; label: string; number?: boolean; wrap?: boolean;
 *   value?: (run: Run) => string | number | null | undefined; text?: (value: any) => string;
 * }} RunColumn a column without a value is filled by hand
 */
/**
 * What is kept of a run's row.
 * @typedef {{
 *   row: HTMLTableRowElement; tick: HTMLInputElement; cells: Record<string, HTMLElement>; line: SVGElement;
 *   title: HTMLElement; word: HTMLElement; bar: HTMLProgressElement; time: HTMLElement; state: HTMLElement;
 *   actions: HTMLElement; parts: Map<string, HTMLElement | Text>;
 *   titleKey?: string; pencils?: Record<"name" | "note", HTMLElement>; why?: HTMLElement; alerts?: HTMLElement; told?: string;
 * }} RunLine
 */

export class RunTable {
  /** @param {LiveLab} lab */
  constructor(lab) {
    this.lab = lab;
    this.find = el("input", {
      class: "live-find",
      type: "search",
      "data-testid": "find-runs",
      oninput: () => this.fill(),
    });
    this.by = el("select", {
      "data-testid": "group-runs",
      onchange: () => {
        lab.view.set("by", /** @type {View["by"]} */ (this.by.value));
        lab.view.set("fold", []);
        this.build();
      },
    });
    this.byLabel = el("span");
    this.over = el("div", { class: "live-over" }, this.find, el("label", {}, this.byLabel, this.by));
    this.region = el("div", { class: "live-table", tabindex: "0", role: "region" });
    this.host = el("div", { class: "live-runs" }, this.over, this.region);
    this.sort = { column: "created", down: true };
    /** @type {Map<string, RunLine>} by the run's id */
    this.lines = new Map();
    /** @type {Map<string, { row: HTMLTableRowElement; press: HTMLElement; name: HTMLElement; count: HTMLElement }>} */
    this.headings = new Map();
    /** @type {import("./sections.js").Section[]} as they are drawn now */
    this.sections = [];
    /** @type {Map<string, HTMLElement>} by column */
    this.heads = new Map();
    /** @type {Map<string, Group>} as they are drawn now */
    this.drawn = new Map();
    this.all = el("input", { type: "checkbox" });
    this.body = el("tbody");
    this.signature = this.told = ""; // of what is built; the words of its head
  }

  /** @returns {RunColumn[]} */
  columns() {
    const { lab } = this;
    const words = lab.words.columns;
    return [
      { name: "title", label: words.title, value: (run) => run.about.title },
      {
        name: "reward",
        label: words.reward,
        number: true,
        value: (run) => lab.lastTen(run),
        text: (v) => (Number.isFinite(v) ? v.toFixed(3) : "–"),
      },
      { name: "state", label: words.state, value: (run) => run.status },
      { name: "actions", label: words.actions },
      { name: "differs", label: words.differs, wrap: true, value: (run) => run.about.differs },
      { name: "objective", label: words.objective, value: (run) => run.about.objective_label },
      { name: "steps", label: words.steps, number: true, value: (run) => lab.step(run), text: (v) => String(v) },
      {
        name: "duration",
        label: words.duration,
        number: true,
        value: (run) => lab.value(run, "seconds") ?? run.about.seconds,
        text: (v) => lab.duration(v),
      },
      {
        name: "created",
        label: words.created,
        value: (run) => run.about.created,
        text: (v) => new Date(v * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "medium" }),
      },
    ];
  }

  build() {
    const { lab } = this;
    this.host.hidden = !lab.runs.size;
    this.over.hidden = lab.runs.size < MANY && !lab.view.by;
    if (this.over.hidden) this.find.value = "";
    const signature = JSON.stringify([[...lab.runs.keys()], lab.words, this.sort, lab.view.pin, lab.view.by]);
    if (signature === this.signature) return this.fill();
    this.signature = signature;
    this.buildHead();
    for (const [name, head] of this.heads) {
      if (name !== this.sort.column) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
    }
    const old = this.lines;
    this.lines = new Map(this.sorted().map((run) => [run.id, old.get(run.id) ?? this.line(run)]));
    this.sections = this.sectioned();
    const rows = (/** @type {Run[]} */ runs) => runs.map((run) => /** @type {RunLine} */ (this.lines.get(run.id)).row);
    setChildren(
      this.body,
      this.sections.flatMap(({ key, runs }) => [...(lab.view.by ? [this.heading(key).row] : []), ...rows(runs)]),
    );
    this.fill();
  }

  /** @returns {import("./sections.js").Section[]} */
  sectioned() {
    const { view, data } = this.lab;
    if (!view.by) return [{ key: "", label: "", runs: this.sorted() }];
    const usual = { task: String(data.settings.task.usual), source: String(data.settings.source.usual) };
    return sectionsOf(this.sorted(), view.by, usual);
  }

  // A row that folds those below it, kept while it is the same section.
  /** @param {string} key */
  heading(key) {
    const { lab } = this;
    const there = this.headings.get(key);
    if (there) return there;
    const name = el("span");
    const count = el("small");
    const press = el(
      "button",
      {
        class: "live-fold",
        type: "button",
        onclick: () => {
          lab.view.toggle("fold", key);
          this.fill();
        },
      },
      name,
      " ",
      count,
    );
    const span = { scope: "colgroup", colspan: 1 + this.columns().length };
    const made = { row: el("tr", { class: "live-section" }, el("th", span, press)), press, name, count };
    this.headings.set(key, made);
    return made;
  }

  // What is looked for is shown in a folded section too.
  /** @param {Set<string>} found */
  fillSections(found) {
    const { view, words } = this.lab;
    if (!view.by) return;
    for (const { key, label, runs } of this.sections) {
      const { row, press, name, count } = this.heading(key);
      const open = !view.fold.includes(key) || Boolean(this.find.value);
      const among = runs.filter((run) => found.has(run.id));
      row.hidden = !among.length;
      press.setAttribute("aria-expanded", String(open));
      write(name, label || words.rest);
      write(count, String(among.length));
      for (const run of among) {
        const line = this.lines.get(run.id);
        if (line) line.row.hidden = !open;
      }
    }
  }

  buildHead() {
    const { lab } = this;
    const words = JSON.stringify(lab.words);
    if (words === this.told) return;
    this.told = words;
    this.region.setAttribute("aria-label", lab.words.table);
    this.find.placeholder = lab.words.find_runs;
    this.find.setAttribute("aria-label", lab.words.find_runs);
    write(this.byLabel, lab.words.group_runs);
    this.by.replaceChildren(
      ...Object.entries(lab.words.group_by).map(([value, text]) => el("option", { value }, String(text))),
    );
    this.by.value = lab.view.by;
    this.all = el("input", {
      type: "checkbox",
      "aria-label": lab.words.show_all,
      onchange: () => lab.setShown(this.found(), this.all.checked),
    });
    this.heads = new Map();
    for (const column of this.columns()) {
      const inside = column.value
        ? el("button", { class: "live-sort", type: "button", onclick: () => this.sortBy(column.name) }, column.label)
        : column.label;
      this.heads.set(column.name, el("th", { scope: "col", "data-number": column.number }, inside));
    }
    const head = el("tr", {}, el("th", { scope: "col" }, this.all), ...this.heads.values());
    this.body = el("tbody");
    this.region.replaceChildren(el("table", { "data-testid": "runs" }, el("thead", {}, head), this.body));
  }

  // The runs of which the row says all that is looked for, in any order: name, note, settings, objective, state.
  /** @returns {string[]} */
  found() {
    const wanted = this.find.value.toLowerCase().split(/\s+/);
    /** @param {Run} run */
    const said = ({ about, status }) =>
      [about.title, about.note, about.differs, about.objective_label, this.lab.words.status[status] ?? status]
        .join(" ")
        .toLowerCase();
    return [...this.lab.runs.values()]
      .filter((run) => wanted.every((word) => said(run).includes(word)))
      .map(({ id }) => id);
  }

  sorted() {
    const value = this.columns().find((column) => column.name === this.sort.column)?.value ?? (() => 0);
    /** @type {(a: ReturnType<typeof value>, b: ReturnType<typeof value>) => number} */
    const order = (a, b) =>
      typeof a === "string" ? a.localeCompare(String(b)) : Number(a ?? -Infinity) - Number(b ?? -Infinity);
    const runs = [...this.lab.runs.values()].sort((a, b) => order(value(a), value(b)));
    if (this.sort.down) runs.reverse();
    /** @param {Run} run */
    const pinned = (run) => Number(this.lab.view.pin.includes(run.id));
    return runs.sort((a, b) => pinned(b) - pinned(a)); // stable: the pinned ones first, each part in its order
  }

  /** @param {string} name */
  sortBy(name) {
    this.sort = { column: name, down: this.sort.column === name ? !this.sort.down : true };
    this.build();
  }

  /** @type {(run: Run) => RunLine} */
  line(run) {
    const { lab } = this;
    const tick = el("input", {
      type: "checkbox",
      "aria-label": `${lab.words.show_run} ${run.about.title}`,
      onchange: () => lab.setShown([run.id], tick.checked),
    });
    const word = el("span");
    const bar = el("progress", { "aria-label": lab.words.progress });
    const time = el("span");
    const state = el("div", { class: "live-state" }, word, bar, time);
    const actions = el("div", { class: "live-actions" });
    const line = swatch({ color: "currentColor", dash: "solid" });
    const title = el("span", { class: "live-title" });
    /** @type {Record<string, HTMLElement>} */
    const cells = {
      title: el("th", { scope: "row" }, line, title),
      state: el("td", {}, state),
      actions: el("td", {}, actions),
    };
    const row = el("tr", { "data-run": run.id }, el("td", {}, tick));
    for (const column of this.columns()) {
      cells[column.name] ??= el("td", { "data-number": column.number, "data-wrap": column.wrap });
      row.append(cells[column.name]);
    }
    return { row, tick, cells, line, title, word, bar, time, state, actions, parts: new Map() };
  }

  // Only what has changed is touched: focus, an open list and a selection stay.
  fill(groups = this.lab.groups.all()) {
    this.drawn = new Map(groups.map((group) => [group.key, group]));
    const found = new Set(this.found());
    for (const [id, line] of this.lines) {
      const run = this.lab.runs.get(id);
      if (!run) continue;
      line.row.hidden = !found.has(id);
      line.tick.checked = this.lab.shown.has(id);
      paintSwatch(line.line, this.drawn.get(run.about.group) ?? run.about);
      fillTitle(this, run, line);
      for (const column of this.columns())
        if (column.value && !["title", "state"].includes(column.name))
          write(line.cells[column.name], (column.text ?? String)(column.value(run)));
      this.fillState(run, line);
      this.fillActions(run, line);
    }
    this.fillSections(found);
    this.all.checked = found.size > 0 && [...found].every((id) => this.lab.shown.has(id));
  }

  /** @type {(run: Run, line: RunLine) => void} */
  fillState(run, line) {
    const { lab } = this;
    const { words } = lab;
    const step = lab.step(run);
    const live = lab.isLive(run);
    const left = lab.secondsLeft(run);
    write(line.word, live && run.stopping ? words.stopping : (words.status[run.status] ?? run.status));
    line.row.dataset.status = run.status;
    line.state.toggleAttribute("data-bad", ["failed", "killed", "damaged", "silent", "gone"].includes(run.status));
    line.bar.hidden = !run.about.total;
    line.bar.max = lab.total(run);
    line.bar.value = step;
    const begins = isNumber(run.startsIn) ? words.begins.replace("{time}", lab.duration(run.startsIn)) : words.place;
    const place = run.status === "queued" && run.place ? `, ${begins.replace("{n}", run.place)}` : "";
    const more = left === undefined ? place : `, ${lab.timeLeft(left)}`;
    write(line.time, (run.about.total ? `${step}/${run.about.total}` : String(step)) + more);
    const message = [run.message ?? run.about.message, ...Object.values(run.notes ?? {})].filter(Boolean).join(" ");
    this.fillAlerts(run, line);
    line.state.title = message || (run.collapse ? lab.story.tell(run).join(" ") : "");
    if (message && !line.why) {
      line.why = el("div", { class: "live-why" });
      line.cells.state.append(line.why);
    }
    if (line.why) write(line.why, message);
  }

  // What has become worse while this run is looked at, the newest first.
  /** @type {(run: Run, line: RunLine) => void} */
  fillAlerts(run, line) {
    const told = run.alerts ?? [];
    if (!told.length) return;
    if (!line.alerts) {
      line.alerts = el("div", { class: "live-alerts", role: "status", "data-testid": "alerts" });
      line.cells.state.append(line.alerts);
    }
    const key = JSON.stringify(told);
    if (line.told === key) return;
    line.told = key;
    line.alerts.replaceChildren(
      ...told.map(({ sentence, rule }) =>
        el("div", {}, ...withCode(sentence), ...(rule ? [" ", ruleOf(rule, this.lab.words)] : [])),
      ),
    );
  }

  /** @type {(run: Run, line: RunLine) => void} */
  fillActions(run, line) {
    const names = this.actions(run);
    const parts = names.map((name) => {
      const part = line.parts.get(name) ?? this.action(name, run, line);
      line.parts.set(name, part);
      return part;
    });
    setChildren(line.actions, parts);
    for (const part of parts) {
      if (part instanceof Text) continue;
      const label = part.dataset.label && `${part.dataset.label} ${run.about.title}`;
      if (label && part.ariaLabel !== label) part.ariaLabel = label;
    }
    const {
      stop,
      duplicate,
      snapshot,
      "open-tokens": open,
    } = Object.fromEntries(names.map((name, i) => [name, parts[i]]));
    if (stop instanceof HTMLButtonElement) stop.disabled = Boolean(run.stopping);
    if (snapshot instanceof HTMLSelectElement && open instanceof HTMLAnchorElement) this.fillSteps(run, snapshot, open);
    if (duplicate instanceof HTMLAnchorElement) duplicate.href = run.about.duplicate;
    line.actions.onkeydown = (event) => {
      if (run.confirming && event.key === "Escape") this.confirm(run, line, false);
    };
  }

  // What can be asked of a run now.
  /** @param {Run} run */
  actions(run) {
    if (run.confirming) return ["sure", "keep", "delete-yes"];
    const { lab } = this;
    const live = lab.isLive(run);
    const gone = run.status === "gone";
    /** @type {Record<string, unknown>} */
    const asked = {
      stop: live && !run.about.recorded,
      resume:
        ["stopped", "killed", "failed"].includes(run.status) &&
        !run.about.recorded &&
        !(run.forGood ?? run.about.for_good),
      snapshot: run.snapshots.length && !gone,
      "open-tokens": run.snapshots.length && !gone,
      duplicate: run.about.duplicate && !gone,
      "export-to": run.about.exports?.length && !gone,
      delete: !live && !gone && !run.about.kept,
    };
    return Object.keys(asked).filter((name) => asked[name]);
  }

  // One of them, made once for the row.
  /** @type {(name: string, run: Run, line: RunLine) => HTMLElement | Text} */
  action(name, run, line) {
    const { lab } = this;
    const { words } = lab;
    /** @type {(text: string, action: () => void, kind?: string) => HTMLButtonElement} */
    const press = (text, action, kind) => button(text, action, name, { "data-kind": kind, "data-label": `${text}:` });
    /** @type {(text: string, help: string) => HTMLAnchorElement} */
    const link = (text, help) =>
      linkTo(undefined, { class: "part-button", "data-testid": name, title: help, "data-label": help }, text);
    switch (name) {
      case "sure":
        return document.createTextNode(words.sure);
      case "keep":
        return press(words.keep, () => this.confirm(run, line, false));
      case "delete-yes":
        return press(words.delete_yes, () => lab.ask("delete", [run.id]), "danger");
      case "stop":
        return press(words.stop, () => lab.ask("stop", [run.id]));
      case "resume":
        return press(words.resume, () => lab.ask("resume", [run.id]));
      case "delete":
        return press(words.delete, () => this.confirm(run, line, true));
      case "duplicate":
        return link(words.duplicate, words.duplicate_help);
      case "export-to":
        return exportsOf(run, words);
      case "open-tokens":
        return link(words.tokens, words.tokens_help);
      default: {
        const choice = el("select", { "data-testid": name, "data-label": words.rollout_step });
        choice.addEventListener("change", () => {
          run.rollout = Number(choice.value);
          this.fillActions(run, line);
        });
        return choice;
      }
    }
  }

  /** @type {(run: Run, line: RunLine, on: boolean) => void} */
  confirm(run, line, on) {
    run.confirming = on;
    this.fill();
    line.actions.querySelector("button")?.focus();
  }

  // The steps with tokens, the newest first; it is the one that is opened until another is chosen.
  /** @type {(run: Run, choice: HTMLSelectElement, link: HTMLAnchorElement) => void} */
  fillSteps(run, choice, link) {
    const steps = run.snapshots.toSorted((a, b) => b - a);
    if (!steps.includes(run.rollout ?? NaN) || run.rollout === steps[0]) run.rollout = undefined;
    const old = new Map([...choice.options].map((option) => [Number(option.value), option]));
    /** @param {number} step */
    const option = (step) => el("option", { value: step }, `${this.lab.words.step} ${step}`);
    setChildren(
      choice,
      steps.map((step) => old.get(step) ?? option(step)),
    );
    choice.value = String(run.rollout ?? steps[0]);
    const address = tokensAddress(run.id, choice.value);
    if (link.getAttribute("href") !== address) link.setAttribute("href", address);
  }
}

// The frameworks that have the run's objective, each a file to keep; they appear in the row once asked for.
/** @type {(run: Run, words: Words) => HTMLElement} */
function exportsOf(run, words) {
  /** @param {[string, string]} framework */
  const link = ([key, name]) => {
    const address = new URL("api/runs/export", document.baseURI);
    address.search = String(new URLSearchParams({ run: run.id, to: key }));
    return el("a", { class: "part-button", href: address.href, download: "" }, name);
  };
  return el(
    "details",
    { class: "live-exports", "data-testid": "export-to", "data-label": words.export_help },
    el("summary", { class: "part-button", title: words.export_help }, words.export),
    ...run.about.exports.map(link),
  );
}
