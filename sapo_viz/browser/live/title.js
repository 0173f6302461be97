// A run's name in its row, with a pin, what a person noted about it, and the field in which either is changed.

import { el } from "../shared/dom.js";
import { svg } from "../shared/svg.js";

// What can be written: where it is in what is known of the run, what the server calls it, and how long it may be.
/** @type {Record<"name" | "note", { of: "title" | "note"; action: string; longest: number }>} */
const LINES = {
  name: { of: "title", action: "rename", longest: 80 },
  note: { of: "note", action: "note", longest: 240 },
};

// Drawn here, so that no font has to be there: 16 × 16.
const ICONS = {
  pin: "M5 2h6v1l-1 1v4l2 2v1H8.6V15H7.4v-4H4v-1l2-2V4L5 3z",
  pencil: "M3 13l.6-2.8 7-7 2.2 2.2-7 7zM11.3 2.5l1-1 2.2 2.2-1 1z",
  note: "M2.5 2.5h11v8h-6l-3 3v-3h-2zM4.5 5v1h7V5zm0 2.2v1h5v-1z",
};

/** @typedef {import("./table.js").RunTable} RunTable */
/** @typedef {import("./table.js").RunLine} RunLine */

// Only what has changed is touched.
/** @type {(table: RunTable, run: Run, line: RunLine) => void} */
export function fillTitle(table, run, line) {
  const { lab } = table;
  const { words } = lab;
  const pinned = lab.view.pin.includes(run.id);
  const key = JSON.stringify([run.about.title, run.about.note, pinned, run.writing]);
  if (key === line.titleKey) return;
  line.titleKey = key;
  if (run.writing) return write(table, run, line, run.writing);
  /** @type {(name: keyof typeof ICONS, text: string, test: string, action: () => void) => HTMLElement} */
  const icon = (name, text, test, action) =>
    el(
      "button",
      {
        class: "live-icon",
        type: "button",
        "aria-label": `${text}: ${run.about.title}`,
        title: text,
        "data-testid": test,
        onclick: action,
      },
      iconOf(name),
    );
  /** @type {(what: "name" | "note") => () => void} */
  const begin = (what) => () => {
    run.writing = what;
    table.fill();
    const field = line.title.querySelector("input");
    if (field instanceof HTMLInputElement) field.select();
  };
  const pin = icon("pin", pinned ? words.unpin : words.pin, "pin", () => {
    const on = lab.view.toggle("pin", run.id);
    if (on && !lab.shown.has(run.id)) lab.setShown([run.id], true);
    else lab.draw();
    table.build();
  });
  pin.setAttribute("aria-pressed", String(pinned));
  line.pencils = {
    name: icon("pencil", words.rename, "rename", begin("name")),
    note: icon("note", words.note, "note", begin("note")),
  };
  const badge = el(
    "small",
    { class: "live-badge", title: words.recorded_help, "data-testid": "recorded" },
    words.recorded.replace("{source}", run.about.recorded),
  );
  line.title.replaceChildren(
    el("span", {}, run.about.title),
    ...(run.about.recorded ? [badge] : []),
    pin,
    ...(run.about.kept ? [] : Object.values(line.pencils)), // a folder of the owner's is left as it is
    ...(run.about.note ? [el("small", { class: "live-noted", title: run.about.note }, run.about.note)] : []),
  );
}

/** @type {(table: RunTable, run: Run, line: RunLine, what: "name" | "note") => void} */
function write(table, run, line, what) {
  const { lab } = table;
  const { of, action, longest } = LINES[what];
  const before = run.about[of] ?? "";
  const field = el("input", {
    type: "text",
    maxlength: longest,
    "aria-label": `${what === "name" ? lab.words.rename : lab.words.note}: ${run.about.title}`,
    "data-testid": what === "name" ? "name" : "note-field",
  });
  field.value = before;
  /** @type {(keep: boolean) => void} */
  const end = (keep) => {
    if (!run.writing) return;
    run.writing = undefined;
    const text = field.value.trim();
    if (keep && text !== before) {
      if (what === "note") run.about = { ...run.about, note: text };
      else if (text) run.about = { ...run.about, title: text, renamed: true };
      lab.sendAction(action, [run.id], text);
    }
    table.fill();
    line.pencils?.[what].focus();
    lab.draw();
  };
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault(); // the focus goes to the pencil, which the same Enter would press
    end(event.key === "Enter");
  });
  field.addEventListener("blur", () => end(true));
  line.title.replaceChildren(field);
}

/** @type {(name: keyof typeof ICONS) => SVGElement} */
function iconOf(name) {
  const icon = svg("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" });
  icon.append(svg("path", { d: ICONS[name], fill: "currentColor", "fill-rule": "evenodd" }));
  return icon;
}
