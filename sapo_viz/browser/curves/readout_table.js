// The table under the curves: each objective's numbers at the ratio that is read, and the facts of its gate.

import { el } from "../shared/dom.js";
import { show } from "../shared/numbers.js";

/** @type {(span: number[]) => string} */
const span = ([low, high]) => `${show(low)} – ${show(high)}`;

/**
 * @param {CurvesData} data
 * @param {number} ratio the one that is read
 * @param {(objective: CurveObjective, sign: number) => [number, number]} at J and c there
 * @param {(objective: CurveObjective, sign: number) => GateFacts} factsOf
 */
export function readoutTable(data, ratio, at, factsOf) {
  const words = data.labels;
  const head = [
    [words.objective],
    ["A", words.sign_help],
    ["J"],
    ["w"],
    ["r·w"],
    [words.kept, words.kept_help],
    ["w ≥ 0.9", words.width_help],
    ["w ≥ 0.5", words.width_help],
    [words.peak, words.peak_help],
    [words.damps, words.damps_help],
  ];
  const table = el("table", { "data-testid": "readout" }, el("caption", {}, `${words.at} r = ${show(ratio)}`));
  table.append(el("thead", {}, el("tr", {}, ...head.map(([text, title]) => el("th", { scope: "col", title }, text)))));
  const body = el("tbody");
  for (const objective of data.objectives) {
    for (const sign of data.signs) {
      const facts = factsOf(objective, sign);
      const [J, c] = at(objective, sign);
      const damps =
        facts.harmful && facts.corrective
          ? words.both
          : facts.harmful
            ? words.harmful
            : facts.corrective
              ? words.corrective
              : words.neither;
      const peak = Number.isFinite(facts.peak.r)
        ? `${show(facts.peak.value)} (r ${show(facts.peak.r)})`
        : words.unbounded;
      const kept = facts.kept === undefined ? "–" : `${show(100 * facts.kept)} %`;
      const cells = [
        sign > 0 ? "> 0" : "< 0",
        show(J),
        show(c / ratio),
        show(c),
        kept,
        span(facts.ninety),
        span(facts.half),
        peak,
        damps,
      ];
      body.append(
        el(
          "tr",
          {},
          el("th", { scope: "row" }, objective.label),
          ...cells.map((text, k) => el("td", { "data-head": head[k + 1][0] }, text)), // said there where rows fold
        ),
      );
    }
  }
  table.append(body);
  return table;
}

// While a knob is dragged only the cells that say something else are written: a table put in its place anew each frame
// is shaped and laid out whole, which took longer than the curves.
/** @type {(place: HTMLElement, table: HTMLTableElement) => void} */
export function showTable(place, table) {
  const now = /** @type {HTMLTableElement | null} */ (place.querySelector("table"));
  const texts = [...table.querySelectorAll("caption, th, td")];
  const shown = [...(now?.querySelectorAll("caption, th, td") ?? [])];
  if (shown.length !== texts.length || now?.tHead?.textContent !== table.tHead?.textContent) {
    place.replaceChildren(table);
    return;
  }
  texts.forEach(({ textContent }, k) => {
    if (shown[k].textContent !== textContent) shown[k].textContent = textContent;
  });
}
