// Runs that differ by their seed alone, as one group: its name, its colour (which stays), and how it is drawn.

const SHADES = [null, ["text", 0.4], ["background", 0.5], ["text", 0.7]]; // of one objective's colour, by place
const MOST_NAMED = 2; // settings in a name; the table of what differs has all

class LiveGroups {
  constructor(lab) { this.lab = lab; }

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
      group.pinned = group.runs.some((run) => this.lab.view.pin.includes(run.id));
      group.hidden = this.lab.view.hide.includes(group.key);
      group.color = this.shade(group);
      group.name = this.nameOf(group, names);
    }
    return groups.sort((a, b) => Number(a.pinned) - Number(b.pinned)); // pinned ones are drawn last, on top
  }

  drawn() { return this.all().filter((group) => !group.hidden); }

  // Every compared setting, defaults filled in; knobs of the run's own objective only.
  settings(about) {
    const values = {};
    for (const [name, { usual, compared }] of Object.entries(this.lab.data.settings)) {
      const [owner, knob] = name.split(".");
      if (compared && (!knob || owner === about.objective)) values[name] = about.settings[name] ?? usual;
    }
    return values;
  }

  nameOf(group, names) {
    const [only] = group.runs;
    if (group.runs.length === 1 && only.about.renamed) return only.about.title;
    const values = this.settings(group.about);
    const { settings } = this.lab.data, told = names.filter((name) => name !== "objective" && name in values && values[name] !== settings[name].usual);
    const parts = told.slice(0, MOST_NAMED).map((name) => `${settings[name].label} ${settingText(values[name])}`);
    return [group.about.objective_label, ...parts].join(", ") + (told.length > MOST_NAMED ? " …" : "");
  }

  // A second, third, … setting of one objective takes a free shade of its colour, and keeps it in the address.
  place(groups) {
    const { view } = this.lab;
    const kept = new Map(view.shade.map((text) => [text.slice(0, text.lastIndexOf(".")), Number(text.slice(text.lastIndexOf(".") + 1)) || 0]));
    this.places ??= new Map(kept);
    for (const group of groups) {
      if (this.places.has(group.key)) continue;
      const taken = groups.filter((g) => g.about.objective === group.about.objective && this.places.has(g.key)).map((g) => this.places.get(g.key));
      let free = 0;
      while (taken.includes(free)) free++;
      this.places.set(group.key, free);
    }
    const now = groups.filter((group) => this.places.get(group.key) > 0).map((group) => `${group.key}.${this.places.get(group.key)}`);
    if (now.join() !== view.shade.join()) view.set("shade", now);
  }

  shade({ key, about }) {
    const shade = SHADES[this.places.get(key) % SHADES.length];
    return shade ? mixed(about.color, this.lab.theme()[shade[0]], shade[1]) : about.color;
  }
}

function settingText(value) {
  return typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value ?? "–");
}
