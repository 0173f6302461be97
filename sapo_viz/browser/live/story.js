// What went wrong in the drawn runs, in words: above the curves, so that the reason is what one sees first. And the drawn
// settings side by side, only where they differ.

import { el, withCode } from "../shared/dom.js";
import { linkTo } from "../shared/link_to.js";
import { show } from "../shared/numbers.js";
import { tokensAddress } from "./cursor.js";
import { settingText } from "./groups.js";
import { differingNames, isNumber, nearestOf } from "./math.js";
import { swatch } from "./swatch.js";

const FIRST = 3; // sentences above the curves; the others are below

/** @typedef {{ run: Run; what: string; more: string; rule?: string; step: number }} Told */

/** The rule of an alert, folded: what has happened is read first. @type {(rule: string, words: Words) => HTMLElement} */
export const ruleOf = (rule, words) =>
  el("details", { class: "live-rule" }, el("summary", {}, words.rule), ...withCode(rule));

export class LiveStory {
  /** @param {LiveLab} lab */
  constructor(lab) {
    this.lab = lab;
    this.key = this.compareKey = ""; // what is shown
    this.first = el("ul", { class: "live-story", role: "status", "data-testid": "story" });
    this.first.hidden = true;
    this.list = el("ul", { class: "live-story", "data-testid": "story-more" });
    this.compare = el("div", { class: "live-table", tabindex: "0", role: "region", "data-testid": "compare" });
    this.host = el("div", { class: "live-after" }, this.list, this.compare);
  }

  // Sentences about a run that collapsed: what, when, and the numbers just before and in it.
  /** @type {(run: Run) => string[]} */
  tell(run) {
    const { words } = this.lab;
    const fall = run.collapse;
    if (!fall) return [];
    /** @type {(pair: [number | null, number | null]) => string} */
    const arrow = ([before, after]) =>
      `${before === null ? words.nan : show(before)} → ${after === null ? words.nan : show(after)}`;
    const numbers = Object.entries(fall.told).map(
      ([name, pair]) => `${this.lab.data.told[name] ?? name} ${arrow(pair)}`,
    );
    return [
      `${run.about.title}: ${words.fell[fall.kind].replace("{step}", fall.step)}`,
      ...(fall.message ? [fall.message] : []),
      ...numbers,
    ];
  }

  // Of a run: where it broke, and what has become worse in it. `step` is where its tokens tell of it.
  /** @type {(run: Run) => Told[]} */
  toldOf(run) {
    const fall = run.collapse;
    const [what, ...numbers] = this.tell(run);
    const worse = (run.alerts ?? []).filter((alert) => !fall || alert.kind !== "collapse");
    return [
      ...(fall ? [{ run, what, more: numbers.join(" · "), step: fall.step }] : []),
      ...worse.map(({ sentence, rule, step }) => ({ run, what: `${run.about.title}:`, more: sentence, rule, step })),
    ];
  }

  /** @param {Group[]} groups */
  fill(groups) {
    const drawn = groups.filter((group) => !group.hidden).flatMap((group) => group.runs);
    const each = drawn.map((run) => this.toldOf(run));
    const told = [...each.flatMap((all) => all.slice(0, 1)), ...each.flatMap((all) => all.slice(1))]; // one of each run
    const key = JSON.stringify(told.map(({ run, ...words }) => [run.id, run.snapshots.length, words]));
    if (key !== this.key) {
      this.key = key;
      this.first.replaceChildren(...told.slice(0, FIRST).map((one) => this.entry(one)));
      this.list.replaceChildren(...told.slice(FIRST).map((one) => this.entry(one)));
    }
    this.first.hidden = !told.length;
    this.list.hidden = told.length <= FIRST;
    this.fillCompare(groups);
  }

  /** @param {Told} told */
  entry({ run, what, more, rule, step }) {
    const near = nearestOf(run.snapshots, step);
    const { data, words } = this.lab;
    const link =
      near === undefined
        ? []
        : [linkTo(tokensAddress(run.id, near), { class: "part-button" }, `${words.tokens}, ${words.step} ${near}`)];
    return el(
      "li",
      {},
      el("strong", { title: run.collapse && data.collapse }, what),
      " ",
      ...withCode(more),
      " ",
      ...link,
      ...(rule ? [" ", ruleOf(rule, words)] : []),
    );
  }

  /** @param {Group[]} groups */
  fillCompare(groups) {
    const { lab } = this;
    const { words } = lab;
    const settings = groups.map((group) => lab.groups.settings(group.about));
    const names = differingNames(settings);
    this.compare.hidden = groups.length < 2 || !names.length;
    if (this.compare.hidden) return;
    /** @param {Group} group */
    const outcome = (group) => {
      const rewards = group.runs.map((run) => lab.lastTen(run)).filter(isNumber);
      if (!rewards.length) return "–";
      const mean = rewards.reduce((a, b) => a + b) / rewards.length;
      const sd =
        rewards.length > 1
          ? Math.sqrt(rewards.reduce((sum, r) => sum + (r - mean) ** 2, 0) / (rewards.length - 1))
          : undefined;
      return mean.toFixed(3) + (sd === undefined ? "" : ` ± ${sd.toFixed(3)}`);
    };
    /** @param {Group} group */
    const broken = (group) =>
      `${group.runs.filter((run) => run.collapse && run.collapse.kind !== "failed").length} / ${group.runs.length}`;
    const rows = groups.map((group, i) => [
      group.name,
      ...names.map((name) => (name in settings[i] ? this.value(name, settings[i][name]) : "–")),
      String(group.runs.length),
      outcome(group),
      broken(group),
    ]);
    const head = [
      words.compare_group,
      ...names.map((name) => lab.data.settings[name].label),
      words.compare_seeds,
      words.columns.reward,
      words.compare_broken,
    ];
    const key = JSON.stringify([head, rows, groups.map((group) => group.color)]);
    if (key === this.compareKey) return;
    this.compareKey = key;
    this.compare.setAttribute("aria-label", words.compare);
    /** @param {string} text */
    const about = (text) => (text === words.compare_broken ? { title: lab.data.collapse } : {});
    /** @type {(tag: "td" | "th", text: string, i: number) => HTMLElement} */
    const cell = (tag, text, i) =>
      el(
        tag,
        { scope: tag === "th" ? "col" : undefined, "data-number": i > names.length || undefined, ...about(text) },
        text,
      );
    this.compare.replaceChildren(
      el(
        "table",
        {},
        el("caption", {}, words.compare),
        el("thead", {}, el("tr", {}, ...head.map((text, i) => cell("th", text, i)))),
        el(
          "tbody",
          {},
          ...rows.map((row, i) =>
            el(
              "tr",
              {},
              el("th", { scope: "row" }, swatch(groups[i]), row[0]),
              ...row.slice(1).map((text, j) => cell("td", text, j + 1)),
            ),
          ),
        ),
      ),
    );
  }

  /** @type {(name: string, value: Setting) => string} */
  value(name, value) {
    const { names } = this.lab.data.settings[name];
    return names?.[String(value)] ?? settingText(value);
  }
}
