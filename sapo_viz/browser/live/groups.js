// Runs that differ by their seed alone, as one group: its name, its look (which stays), and how it is drawn.

import { hueOn } from "../shared/colour.js";
import { differingNames } from "./math.js";

const MOST_NAMED = 2; // settings in a name; the table of what differs has all

export class LiveGroups {
  constructor(lab) {
    this.lab = lab;
    this.places = undefined; // group -> its place, once the address has been read
  }

  // Of the runs that are ticked, oldest first. A deleted run is left out; a hidden group only from what is drawn.
  all() {
    const byKey = new Map();
    for (const run of this.lab.shownRuns()) {
      if (run.status === "gone") continue;
      const key = run.about.group;
      if (!byKey.has(key)) byKey.set(key, { key, about: run.about, runs: [] });
      byKey.get(key).runs.push(run);
    }
    const groups = [...byKey.values()];
    this.place(groups);
    const names = differingNames(groups.map((group) => this.settings(group.about)));
    for (const group of groups) {
      const alike = groups.filter((other) => other.about.objective === group.about.objective);
      group.parted = differingNames(alike.map((other) => this.settings(other.about)));
      group.pinned = group.runs.some((run) => this.lab.view.pin.includes(run.id));
      group.hidden = this.lab.view.hide.includes(group.key);
      Object.assign(group, this.look(group));
      group.name = this.nameOf(group, names);
    }
    return groups.sort((a, b) => Number(a.pinned) - Number(b.pinned)); // pinned ones are drawn last, on top
  }

  drawn() {
    return this.all().filter((group) => !group.hidden);
  }

  // Every compared setting, defaults filled in; knobs of the run's own objective only.
  settings(about) {
    const values = {};
    for (const [name, { usual, compared }] of Object.entries(this.lab.data.settings)) {
      const [owner, knob] = name.split(".");
      if (about.recorded && !(name in about.settings)) continue; // not known, which is not the usual value
      if (compared && (!knob || owner === about.objective)) values[name] = about.settings[name] ?? usual;
    }
    return values;
  }

  nameOf(group, names) {
    const [only] = group.runs;
    if (group.runs.length === 1 && only.about.renamed) return only.about.title;
    const values = this.settings(group.about);
    const { settings } = this.lab.data;
    // A knob that parts settings of one objective is told of each of them, other settings where they are not as usual.
    const tells = (name) =>
      (name.includes(".") && group.parted.includes(name)) || values[name] !== settings[name].usual;
    const told = names.filter((name) => name !== "objective" && name in values && tells(name));
    const label = (name) =>
      name.includes(".") ? settings[name].label.replace(/ \([^)]*\)$/, "") : settings[name].label; // the name begins with the objective
    const parts = told.slice(0, MOST_NAMED).map((name) => `${label(name)} ${settingText(values[name], 3)}`);
    return [group.about.objective_label, ...parts].join(", ") + (told.length > MOST_NAMED ? " …" : "");
  }

  // A second, third, … setting of an objective takes a look that no other has, and keeps it in the address. Place 0 is
  // the objective's own look; there is one of each further place among all objectives (figures/looks.py).
  place(groups) {
    const { view } = this.lab;
    const kept = new Map(
      view.shade.map((text) => [
        text.slice(0, text.lastIndexOf(".")),
        Number(text.slice(text.lastIndexOf(".") + 1)) || 0,
      ]),
    );
    this.places ??= new Map(kept);
    const own = new Set(groups.map((group) => group.about.color));
    for (const group of groups) {
      if (this.places.has(group.key)) continue;
      const placed = groups.filter((g) => this.places.has(g.key));
      const taken = placed.map((g) => this.places.get(g.key));
      const first = !placed.some((g) => g.about.objective === group.about.objective && !this.places.get(g.key));
      let free = first ? 0 : 1;
      while (
        free &&
        (taken.includes(free) || (own.has(this.further(free).color) && free < this.lab.data.further.length))
      )
        free++;
      this.places.set(group.key, free);
    }
    const now = groups
      .filter((group) => this.places.get(group.key) > 0)
      .map((group) => `${group.key}.${this.places.get(group.key)}`);
    if (now.join() !== view.shade.join()) view.set("shade", now);
  }

  further(place) {
    return this.lab.data.further[(place - 1) % this.lab.data.further.length];
  }

  look({ key, about }) {
    const { color, dash } = this.places.get(key) ? this.further(this.places.get(key)) : about;
    return { color: hueOn(color, this.lab.theme()), dash };
  }
}

export function settingText(value, digits = 6) {
  return typeof value === "number" ? String(Number(value.toPrecision(digits))) : String(value ?? "–");
}
