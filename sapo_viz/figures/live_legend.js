// The legend above the panels: one chip a setting, with its line, how far it is and its reward; a click hides it.

class LiveLegend {
  constructor(lab) {
    this.lab = lab;
    this.host = el("div", { class: "live-legend", "data-testid": "legend" });
    this.hidden = new Set(); // groups that are not drawn for now
    this.chips = new Map();
  }

  fill() {
    const { lab } = this;
    const groups = lab.panels.groups(true);
    const keys = groups.map((group) => group.about.group).join("\n");
    if (keys !== this.keys) {
      this.keys = keys;
      this.chips = new Map(groups.map((group) => [group.about.group, this.chip(group)]));
      this.host.replaceChildren(...[...this.chips.values()].map((chip) => chip.button));
    }
    for (const group of groups) this.update(this.chips.get(group.about.group), group);
  }

  chip(group) {
    const key = group.about.group;
    const toggle = () => { if (!this.hidden.delete(key)) this.hidden.add(key); this.lab.draw(); };
    const name = el("span"), bar = el("progress", { "aria-hidden": "true" }), value = el("span");
    const line = swatch(group.about);
    return { line, name, bar, value, button: el("button", { class: "live-chip", type: "button", onclick: toggle, title: this.lab.words.hide }, line, name, bar, value) };
  }

  update(chip, group) {
    const { lab } = this, live = group.runs.some((run) => lab.isLive(run));
    const rewards = group.runs.map((run) => lab.lastTen(run)).filter(Number.isFinite);
    const seeds = group.runs.length > 1 ? ` × ${group.runs.length}` : "";
    const text = rewards.length ? (rewards.reduce((a, b) => a + b) / rewards.length).toFixed(2) : "–";
    if (chip.name.textContent !== group.name + seeds) chip.name.textContent = group.name + seeds;
    if (chip.value.textContent !== text) chip.value.textContent = text;
    chip.value.title = lab.words.columns.reward;
    chip.bar.style.visibility = live ? "visible" : "hidden"; // its place stays: nothing jumps when a run ends
    chip.bar.max = group.runs.reduce((sum, run) => sum + run.about.total, 0);
    chip.bar.value = group.runs.reduce((sum, run) => sum + lab.step(run), 0);
    chip.line.style.opacity = group.opacity;
    chip.button.setAttribute("aria-pressed", String(!this.hidden.has(group.about.group)));
  }
}

// The line of a run: its colour and, as far as CSS has them, its dashes.
function swatch({ color, dash }) {
  const line = el("span", { class: "live-swatch", "aria-hidden": "true" });
  line.style.borderTop = `3px ${dash === "solid" ? "solid" : dash === "dot" ? "dotted" : "dashed"} ${color}`;
  return line;
}
