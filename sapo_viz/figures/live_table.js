// The table of runs: what is drawn (tick), how far it is, how it did, and what can be asked of it.

class RunTable {
  constructor(lab) {
    this.lab = lab;
    this.host = el("div", { class: "live-table", tabindex: "0", role: "region" });
    this.sort = { column: "created", down: true };
    this.lines = new Map(); // id -> cells of its row
  }

  columns() {
    const { lab } = this, words = lab.words.columns;
    return [
      { name: "title", label: words.title, value: (run) => run.about.title },
      { name: "state", label: words.state, value: (run) => run.status },
      { name: "actions", label: words.actions },
      { name: "reward", label: words.reward, number: true, value: (run) => lab.lastTen(run), text: (v) => (Number.isFinite(v) ? v.toFixed(3) : "–") },
      { name: "differs", label: words.differs, wrap: true, value: (run) => run.about.differs, text: (v) => v || "–" },
      { name: "objective", label: words.objective, value: (run) => run.about.objective_label },
      { name: "steps", label: words.steps, number: true, value: (run) => lab.step(run), text: (v) => String(v) },
      { name: "duration", label: words.duration, number: true, value: (run) => lab.value(run, "seconds") ?? run.about.seconds, text: (v) => lab.duration(v) },
      { name: "created", label: words.created, value: (run) => run.about.created, text: (v) => new Date(v * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "medium" }) },
    ];
  }

  build() {
    const { lab } = this;
    this.host.hidden = !lab.runs.size;
    const signature = JSON.stringify([[...lab.runs.keys()], lab.words, this.sort, lab.view.pin]);
    if (signature === this.signature) return this.fill();
    this.signature = signature;
    this.host.setAttribute("aria-label", lab.words.table);
    this.all = el("input", { type: "checkbox", "aria-label": lab.words.show_all, onchange: () => lab.setShown([...lab.runs.keys()], this.all.checked) });
    const head = el("tr", {}, el("th", { scope: "col" }, this.all));
    for (const column of this.columns()) {
      const direction = this.sort.column === column.name ? (this.sort.down ? "descending" : "ascending") : undefined;
      const inside = column.value ? el("button", { class: "live-sort", type: "button", onclick: () => this.sortBy(column.name) }, column.label) : column.label;
      head.append(el("th", { scope: "col", "aria-sort": direction, "data-number": column.number }, inside));
    }
    const body = el("tbody");
    const old = this.lines;
    this.lines = new Map();
    for (const run of this.sorted()) {
      const line = old.get(run.id) ?? this.line(run);
      this.lines.set(run.id, line);
      body.append(line.row);
    }
    this.host.replaceChildren(el("table", { "data-testid": "runs" }, el("thead", {}, head), body));
    this.fill();
  }

  sorted() {
    const column = this.columns().find((c) => c.name === this.sort.column);
    const order = (a, b) => (typeof a === "string" ? a.localeCompare(b) : (a ?? -Infinity) - (b ?? -Infinity));
    const runs = [...this.lab.runs.values()].sort((a, b) => order(column.value(a), column.value(b)));
    if (this.sort.down) runs.reverse();
    const pinned = (run) => Number(this.lab.view.pin.includes(run.id));
    return runs.sort((a, b) => pinned(b) - pinned(a)); // stable: the pinned ones first, each part in its order
  }

  sortBy(name) {
    this.sort = { column: name, down: this.sort.column === name ? !this.sort.down : true };
    this.build();
    const index = this.columns().findIndex((column) => column.name === name);
    this.host.querySelectorAll("thead th")[index + 1].querySelector("button").focus();
  }

  line(run) {
    const { lab } = this;
    const tick = el("input", { type: "checkbox", "aria-label": `${lab.words.show_run} ${run.about.title}`, onchange: () => lab.setShown([run.id], tick.checked) });
    const word = el("span"), bar = el("progress", { "aria-label": lab.words.progress }), time = el("span");
    const state = el("div", { class: "live-state" }, word, bar, time);
    const actions = el("div", { class: "live-actions" });
    const line = swatch({ color: "currentColor", dash: "solid" }), title = el("span", { class: "live-title" });
    const cells = { title: el("th", { scope: "row" }, line, title), state: el("td", {}, state), actions: el("td", {}, actions) };
    const row = el("tr", { "data-run": run.id }, el("td", {}, tick));
    for (const column of this.columns()) {
      cells[column.name] ??= el("td", { "data-number": column.number, "data-wrap": column.wrap });
      row.append(cells[column.name]);
    }
    return { row, tick, cells, line, title, word, bar, time, state, actions };
  }

  // Only what has changed is touched: focus, an open list and a selection stay.
  fill(groups = this.lab.groups.all()) {
    this.drawn = new Map(groups.map((group) => [group.key, group]));
    const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };
    for (const [id, line] of this.lines) {
      const run = this.lab.runs.get(id);
      if (!run) continue;
      line.tick.checked = this.lab.shown.has(id);
      this.fillTitle(run, line);
      for (const column of this.columns()) if (column.value && !["title", "state"].includes(column.name)) set(line.cells[column.name], (column.text ?? String)(column.value(run)));
      this.fillState(run, line, set);
      const key = JSON.stringify([this.lab.isLive(run), run.status, run.stopping, run.confirming, run.snapshots]);
      if (key !== line.key) { line.key = key; this.fillActions(run, line.actions); }
    }
    if (this.all) this.all.checked = this.lab.runs.size > 0 && this.lab.shown.size === this.lab.runs.size;
  }

  // The name, with a pin and a pencil; or the field in which it is changed.
  fillTitle(run, line) {
    const { lab } = this, { words } = lab, pinned = lab.view.pin.includes(run.id);
    const group = this.drawn?.get(run.about.group);
    paintSwatch(line.line, group ?? run.about);
    const key = JSON.stringify([run.about.title, pinned, run.renaming]);
    if (key === line.titleKey) return;
    line.titleKey = key;
    const icon = (name, text, test, action) => el("button", { class: "live-icon", type: "button", "aria-label": `${text}: ${run.about.title}`, title: text, "data-testid": test, onclick: action }, iconOf(name));
    if (!run.renaming) {
      const pin = icon("pin", pinned ? words.unpin : words.pin, "pin", () => { lab.view.toggle("pin", run.id); this.build(); lab.draw(); });
      pin.setAttribute("aria-pressed", String(pinned));
      const pencil = icon("pencil", words.rename, "rename", () => { run.renaming = true; this.fill(); line.title.querySelector("input").select(); });
      line.title.replaceChildren(el("span", {}, run.about.title), pin, pencil);
      line.pencil = pencil;
      return;
    }
    const field = el("input", { type: "text", maxlength: 80, "aria-label": `${words.rename}: ${run.about.title}`, "data-testid": "name" });
    field.value = run.about.title;
    const end = (keep) => {
      if (!run.renaming) return;
      run.renaming = false;
      const name = field.value.trim();
      if (keep && name !== run.about.title) { if (name) run.about = { ...run.about, title: name, renamed: true }; lab.sendAction("rename", [run.id], name); }
      this.fill();
      line.pencil.focus();
      lab.draw();
    };
    field.addEventListener("keydown", (event) => { if (event.key === "Enter") end(true); else if (event.key === "Escape") end(false); });
    field.addEventListener("blur", () => end(true));
    line.title.replaceChildren(field);
  }

  fillState(run, line, set) {
    const { lab } = this, { words } = lab;
    const step = lab.step(run), live = lab.isLive(run), left = lab.secondsLeft(run);
    set(line.word, live && run.stopping ? words.stopping : words.status[run.status] ?? run.status);
    line.row.dataset.status = run.status;
    line.state.toggleAttribute("data-bad", ["failed", "killed", "gone"].includes(run.status));
    line.bar.max = run.about.total;
    line.bar.value = step;
    const begins = Number.isFinite(run.startsIn) ? words.begins.replace("{time}", lab.duration(run.startsIn)) : words.place;
    const place = run.status === "queued" && run.place ? `, ${begins.replace("{n}", run.place)}` : "";
    const more = left === undefined ? place : `, ${lab.timeLeft(left)}`;
    set(line.time, `${step}/${run.about.total}${more}`);
    const message = run.message ?? run.about.message ?? "";
    line.state.title = message || (run.collapse ? lab.story.tell(run).join(" ") : "");
    if (message && !line.why) { line.why = el("div", { class: "live-why" }); line.cells.state.append(line.why); }
    if (line.why) set(line.why, message);
  }

  fillActions(run, cell) {
    const { lab } = this, { words } = lab;
    const button = (text, action, test, kind) => el("button", { class: "live-button", type: "button", onclick: action, "data-testid": test, "data-kind": kind, "aria-label": `${text}: ${run.about.title}` }, text);
    const parts = [];
    const confirm = (on) => { run.confirming = on; this.fill(); cell.querySelector("button")?.focus(); };
    if (run.confirming) {
      parts.push(words.sure, button(words.keep, () => confirm(false), "keep"), button(words.delete_yes, () => lab.ask("delete", [run.id]), "delete-yes", "danger"));
      cell.replaceChildren(...parts);
      cell.onkeydown = (event) => { if (event.key === "Escape") confirm(false); };
      return;
    }
    if (lab.isLive(run)) {
      const stop = button(words.stop, () => lab.ask("stop", [run.id]), "stop");
      stop.disabled = Boolean(run.stopping);
      parts.push(stop);
    }
    if (["stopped", "killed", "failed"].includes(run.status)) parts.push(button(words.resume, () => lab.ask("resume", [run.id]), "resume"));
    if (run.snapshots.length && run.status !== "gone") {
      const steps = run.snapshots.toSorted((a, b) => b - a);
      const choice = el("select", { "aria-label": `${words.rollout_step} ${run.about.title}`, "data-testid": "snapshot" }, ...steps.map((step) => el("option", { value: step }, `${words.step} ${step}`)));
      const link = el("a", { class: "live-button", "data-testid": "open-tokens", title: words.tokens_help, "aria-label": `${words.tokens_help} ${run.about.title}` }, words.tokens);
      const point = () => { run.rollout = Number(choice.value); link.href = tokensAddress(run.id, choice.value); };
      if (steps.includes(run.rollout)) choice.value = String(run.rollout);
      choice.addEventListener("change", point);
      point();
      if (choice.value === String(steps[0])) run.rollout = undefined; // the newest, until another is chosen
      parts.push(choice, link);
    }
    if (run.status !== "gone") parts.push(el("a", { class: "live-button", href: run.about.duplicate, "data-testid": "duplicate", title: words.duplicate_help, "aria-label": `${words.duplicate_help} ${run.about.title}` }, words.duplicate));
    if (!lab.isLive(run) && run.status !== "gone") parts.push(button(words.delete, () => confirm(true), "delete"));
    cell.replaceChildren(...parts);
  }
}

// Drawn here, so that no font has to be there: a pin and a pencil, 16 × 16.
const ICONS = { pin: "M5 2h6v1l-1 1v4l2 2v1H8.6V15H7.4v-4H4v-1l2-2V4L5 3z", pencil: "M3 13l.6-2.8 7-7 2.2 2.2-7 7zM11.3 2.5l1-1 2.2 2.2-1 1z" };

function iconOf(name) {
  const svgNs = "http://www.w3.org/2000/svg", icon = document.createElementNS(svgNs, "svg"), path = document.createElementNS(svgNs, "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" })) icon.setAttribute(key, value);
  path.setAttribute("d", ICONS[name]);
  path.setAttribute("fill", "currentColor");
  icon.append(path);
  return icon;
}
