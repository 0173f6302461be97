// Runs that differ by their seed alone, as one group: its name, its look (which stays), and how it is drawn.

import { hueOn } from "../shared/colour.js";
import { differingNames } from "./math.js";

const MOST_NAMED = 2; // settings in a name; the table of what differs has all

/** @typedef {Pick<Group, "key" | "about" | "runs">} Alike runs of one group, before it has a name and a look */
/** @typedef {Record<string, Setting>} Settings */

export class LiveGroups {
  /** @param {LiveLab} lab */
  constructor(lab) {
    this.lab = lab;
    /** @type {Map<string, number> | undefined} group -> its place, once the address has been read */
    this.places = undefined;
  }

  // Of the runs that are ticked, oldest first. A deleted run is left out; a hidden group only from what is drawn.
  /** @returns {Group[]} */
  all() {
    /** @type {Map<string, Alike>} */
    const byKey = new Map();
    for (const run of this.lab.shownRuns()) {
      if (run.status === "gone") continue;
      const key = run.about.group;
      const there = byKey.get(key);
      if (there) there.runs.push(run);
      else byKey.set(key, { key, about: run.about, runs: [run] });
    }
    const groups = [...byKey.values()];
    this.place(groups);
    const names = differingNames(groups.map((group) => this.settings(group.about)));
    return groups
      .map((group) => {
        const alike = groups.filter((other) => other.about.objective === group.about.objective);
        const parted = differingNames(alike.map((other) => this.settings(other.about)));
        return {
          ...group,
          ...this.look(group),
          name: this.nameOf(group, names, parted),
          pinned: group.runs.some((run) => this.lab.view.pin.includes(run.id)),
          hidden: this.lab.view.hide.includes(group.key),
        };
      })
      .sort((a, b) => Number(a.pinned) - Number(b.pinned)); // pinned ones are drawn last, on top
  }

  drawn() {
    return this.all().filter((group) => !group.hidden);
  }

  // Every compared setting, defaults filled in; knobs of the run's own objective only.
  /** @param {RunAbout} about */
  settings(about) {
    /** @type {Settings} */
    const values = {};
    for (const [name, { usual, compared }] of Object.entries(this.lab.data.settings)) {
      const [owner, knob] = name.split(".");
      if (about.recorded && !(name in about.settings)) continue; // not known, which is not the usual value
      if (compared && (!knob || owner === about.objective)) values[name] = about.settings[name] ?? usual;
    }
    return values;
  }

  // `names` are of settings that part any two groups, `parted` those that part this one from others of its objective.
  /** @type {(group: Alike, names: string[], parted: string[]) => string} */
  nameOf(group, names, parted) {
    const [only] = group.runs;
    if (group.runs.length === 1 && only.about.renamed) return only.about.title;
    const values = this.settings(group.about);
    const { settings } = this.lab.data;
    // A knob that parts settings of one objective is told of each of them, other settings where they are not as usual.
    /** @type {(name: string) => boolean} */
    const tells = (name) => (name.includes(".") && parted.includes(name)) || values[name] !== settings[name].usual;
    const told = names.filter((name) => name !== "objective" && name in values && tells(name));
    /** @type {(name: string) => string} */
    const label = (name) =>
      name.includes(".") ? settings[name].label.replace(/ \([^)]*\)$/, "") : settings[name].label; // the name begins with the objective
    const parts = told.slice(0, MOST_NAMED).map((name) => `${label(name)} ${settingText(values[name], 3)}`);
    return [group.about.objective_label, ...parts].join(", ") + (told.length > MOST_NAMED ? " …" : "");
  }

  // A second, third, … setting of an objective takes a look that no other has, and keeps it in the address. Place 0 is
  // the objective's own look; there is one of each further place among all objectives (figures/looks.py).
  /** @param {Alike[]} groups */
  place(groups) {
    const { view } = this.lab;
    const kept = new Map(
      view.shade.map((text) => [
        text.slice(0, text.lastIndexOf(".")),
        Number(text.slice(text.lastIndexOf(".") + 1)) || 0,
      ]),
    );
    this.places ??= new Map(kept);
    const { places } = this;
    const own = new Set(groups.map((group) => group.about.color));
    for (const group of groups) {
      if (places.has(group.key)) continue;
      const placed = groups.filter((g) => places.has(g.key));
      const taken = placed.map((g) => places.get(g.key));
      const first = !placed.some((g) => g.about.objective === group.about.objective && !places.get(g.key));
      let free = first ? 0 : 1;
      while (
        free &&
        (taken.includes(free) || (own.has(this.further(free).color) && free < this.lab.data.further.length))
      )
        free++;
      places.set(group.key, free);
    }
    const now = groups.filter((group) => places.get(group.key)).map((group) => `${group.key}.${places.get(group.key)}`);
    if (now.join() !== view.shade.join()) view.set("shade", now);
  }

  /** @param {number} place from 1 */
  further(place) {
    return this.lab.data.further[(place - 1) % this.lab.data.further.length];
  }

  /** @type {(group: Alike) => Look} */
  look({ key, about }) {
    const place = this.places?.get(key);
    const { color, dash } = place ? this.further(place) : about;
    return { color: hueOn(color, this.lab.theme()), dash };
  }
}

/** @type {(value: Setting | undefined, digits?: number) => string} */
export function settingText(value, digits = 6) {
  return typeof value === "number" ? String(Number(value.toPrecision(digits))) : String(value ?? "–");
}
