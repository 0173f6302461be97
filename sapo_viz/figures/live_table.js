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
    const signature = JSON.stringify([[...lab.runs.keys()], lab.words, this.sort]);
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
    return this.sort.down ? runs.reverse() : runs;
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
    const cells = { title: el("th", { scope: "row" }, swatch(run.about), run.about.title), state: el("td", {}, state), actions: el("td", {}, actions) };
    const row = el("tr", { "data-run": run.id }, el("td", {}, tick));
    for (const column of this.columns()) {
      cells[column.name] ??= el("td", { "data-number": column.number, "data-wrap": column.wrap });
      row.append(cells[column.name]);
    }
    return { row, tick, cells, word, bar, time, state, actions };
  }

  // Only what has changed is touched: focus, an open list and a selection stay.
  fill() {
    const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };
    for (const [id, line] of this.lines) {
      const run = this.lab.runs.get(id);
      if (!run) continue;
      line.tick.checked = this.lab.shown.has(id);
      for (const column of this.columns()) if (column.value && !["title", "state"].includes(column.name)) set(line.cells[column.name], (column.text ?? String)(column.value(run)));
      this.fillState(run, line, set);
      const key = JSON.stringify([this.lab.isLive(run), run.status, run.stopping, run.confirming, run.snapshots]);
      if (key !== line.key) { line.key = key; this.fillActions(run, line.actions); }
    }
    if (this.all) this.all.checked = this.lab.runs.size > 0 && this.lab.shown.size === this.lab.runs.size;
  }

  fillState(run, line, set) {
    const { lab } = this, { words } = lab;
    const step = lab.step(run), live = lab.isLive(run), left = lab.secondsLeft(run);
    set(line.word, live && run.stopping ? words.stopping : words.status[run.status] ?? run.status);
    line.row.dataset.status = run.status;
    line.state.toggleAttribute("data-bad", ["failed", "killed", "gone"].includes(run.status));
    line.bar.max = run.about.total;
    line.bar.value = step;
    const place = run.status === "queued" && run.place ? `, ${words.place.replace("{n}", run.place)}` : "";
    const more = left === undefined ? place : `, ${lab.timeLeft(left)}`;
    set(line.time, `${step}/${run.about.total}${more}`);
    const message = run.message ?? run.about.message ?? "";
    const fall = lab.collapse(run);
    line.state.title = message || (fall ? words.collapsed.replace("{step}", fall.step) : "");
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
      const point = () => { run.rollout = Number(choice.value); link.href = `tokens?run=${encodeURIComponent(run.id)}&step=${choice.value}`; };
      if (steps.includes(run.rollout)) choice.value = String(run.rollout);
      choice.addEventListener("change", point);
      point();
      if (choice.value === String(steps[0])) run.rollout = undefined; // the newest, until another is chosen
      parts.push(choice, link);
    }
    if (!lab.isLive(run) && run.status !== "gone") parts.push(button(words.delete, () => confirm(true), "delete"));
    cell.replaceChildren(...parts);
  }
}
