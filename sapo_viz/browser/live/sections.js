// The table's runs in sections: by task, objective, who trains them or the experiment that asks for them, each below a
// heading that folds it. Both are in the address.

/** @typedef {"task" | "objective" | "source" | "experiment"} By */
/** @typedef {{ key: string; label: string; runs: Run[] }} Section */

/**
 * In the order of their first runs; those of which it is not known come last, without a label.
 * @type {(runs: Iterable<Run>, by: By, usual: { task: string; source: string }) => Section[]}
 */
export function sectionsOf(runs, by, usual) {
  /** @type {Map<string, Section>} */
  const found = new Map();
  for (const run of runs) {
    const label = labelOf(run.about, by, usual);
    const key = label.replace(/[^\w.-]+/g, "-").slice(0, 100) || "-"; // as an address holds it
    const there = found.get(key);
    if (there) there.runs.push(run);
    else found.set(key, { key, label, runs: [run] });
  }
  return [...found.values()].sort((a, b) => Number(!a.label) - Number(!b.label));
}

/** @type {(about: RunAbout, by: By, usual: { task: string; source: string }) => string} */
function labelOf(about, by, usual) {
  if (by === "objective") return about.objective_label;
  if (by === "source") return about.recorded || usual.source;
  if (by === "experiment") return about.experiment ?? "";
  return String(about.settings.task ?? (about.recorded ? "" : usual.task));
}
