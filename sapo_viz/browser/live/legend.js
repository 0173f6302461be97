// The legend above the panels: one chip a setting, with its line, how far it is and its reward (at the cursor, if
// there is one); a click hides it.

import { el } from "../shared/dom.js";
import { isNumber } from "./math.js";
import { paintSwatch, swatch } from "./swatch.js";

/**
 * @typedef {{
 *   line: SVGElement; name: HTMLElement; bar: HTMLProgressElement; value: HTMLElement; button: HTMLButtonElement;
 * }} Chip
 */

export class LiveLegend {
  /** @param {LiveLab} lab */
  constructor(lab) {
    this.lab = lab;
    this.host = el("div", { class: "live-legend", "data-testid": "legend" });
    /** @type {Map<string, Chip>} by group */
    this.chips = new Map();
    this.keys = ""; // which groups, in which order
  }

  /** @param {Group[]} groups */
  fill(groups) {
    const ordered = [...groups].sort((a, b) => Number(b.pinned) - Number(a.pinned));
    const keys = ordered.map((group) => group.key).join("\n");
    if (keys !== this.keys) {
      this.keys = keys;
      const old = this.chips;
      this.chips = new Map(ordered.map((group) => [group.key, old.get(group.key) ?? this.chip(group.key)]));
      this.host.replaceChildren(...[...this.chips.values()].map((chip) => chip.button));
    }
    for (const group of groups) {
      const chip = this.chips.get(group.key);
      if (chip) this.update(chip, group);
    }
  }

  /** @type {(key: string) => Chip} */
  chip(key) {
    const toggle = () => {
      this.lab.view.toggle("hide", key);
      this.lab.draw();
    };
    const name = el("span", { class: "live-name" });
    const bar = el("progress", { "aria-hidden": "true" });
    const value = el("span");
    const line = swatch({ color: "currentColor", dash: "solid" });
    return {
      line,
      name,
      bar,
      value,
      button: el(
        "button",
        { class: "live-chip", type: "button", onclick: toggle, title: this.lab.words.hide },
        line,
        name,
        bar,
        value,
      ),
    };
  }

  /** @type {(chip: Chip, group: Group) => void} */
  update(chip, group) {
    const { lab } = this;
    const live = group.runs.some((run) => lab.isLive(run));
    const at = lab.cursor.step;
    const rewards = group.runs
      .map((run) => (at === undefined ? lab.lastTen(run) : lab.valueAt(run, "reward", at)))
      .filter(isNumber);
    const seeds = group.runs.length > 1 ? ` × ${group.runs.length}` : "";
    const text = rewards.length ? (rewards.reduce((a, b) => a + b) / rewards.length).toFixed(2) : "–";
    const label = (group.pinned ? "▸ " : "") + group.name + seeds;
    if (chip.name.textContent !== label) chip.name.textContent = label;
    if (chip.value.textContent !== text) chip.value.textContent = text;
    chip.value.title = at === undefined ? lab.words.columns.reward : `${lab.words.step} ${at}`;
    chip.bar.style.visibility = live ? "visible" : "hidden"; // its place stays: nothing jumps when a run ends
    chip.bar.max = group.runs.reduce((sum, run) => sum + lab.total(run), 0);
    chip.bar.value = group.runs.reduce((sum, run) => sum + lab.step(run), 0);
    paintSwatch(chip.line, group);
    chip.button.setAttribute("aria-pressed", String(!group.hidden));
  }
}
