// The ratios as handles: a slider per token, for pointer, finger and keyboard.

import { show } from "../shared/numbers.js";
import { label, pool, put, svg } from "../shared/svg.js";
import { TOP, weightText } from "./outlier_shared.js";
import { count, sentence } from "./words.js";

/** @type {Record<string, number>} */
const KEYS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };

/** @type {(y: Axis, r: number) => number} where the handle of that ratio stands */
const placeOf = (y, r) => Math.min(y.from, Math.max(TOP - 4, y(r)));

/** @type {(lab: OutlierHand, place: (i: number) => number, step: number) => void} */
export function drawHandles(lab, place, step) {
  const { ratios, more } = lab.values;
  const { y } = lab;
  const stems = ratios.map((r, i) => `M${place(i).toFixed(1)},${y(1).toFixed(1)}V${placeOf(y, r).toFixed(1)}`).join("");
  const rest = more
    ? [
        svg("circle", {
          cx: place(ratios.length),
          cy: y(1),
          r: 5,
          fill: "none",
          stroke: "currentColor",
          "stroke-width": 2,
        }),
        label(place(ratios.length), y.from + 18, sentence(lab.words.more, { n: count(more) }), {
          "text-anchor": "middle",
          class: "exh-tick",
        }),
      ]
    : [];
  lab.layers.stems.replaceChildren(svg("path", { class: "exh-stem", d: stems }), ...rest);
  pool(lab.layers.handles, ratios.length, (i) => makeHandle(lab, i)).forEach((handle, i) => {
    const [hit, knob, text, under] = handle.children;
    const py = placeOf(y, ratios[i]);
    const up = py > TOP + 24 && (ratios[i] >= 1 || py > y.from - 24);
    put(handle, {
      transform: `translate(${place(i).toFixed(1)},${py.toFixed(1)})`,
      "aria-valuenow": ratios[i],
      "aria-valuetext": handleText(lab, i),
      "data-selected": i === lab.selected ? "" : null,
    });
    put(hit, { r: Math.max(9, Math.min(18, step / 2)) });
    put(knob, { r: Math.max(3.5, Math.min(8, step / 3.5)) });
    put(text, { y: up ? -13 : 23, visibility: step > 34 || i === lab.selected ? "visible" : "hidden" });
    put(under, { y: y.from + 18 - py, visibility: step > 16 || i % 5 === 0 ? "visible" : "hidden" });
    if (text.textContent !== show(ratios[i])) text.textContent = show(ratios[i]);
  });
}

/** @type {(lab: OutlierHand, i: number) => SVGGElement} */
function makeHandle(lab, i) {
  const { ratio } = lab.data.controls;
  const handle = svg(
    "g",
    {
      class: "exh-handle",
      tabindex: 0,
      role: "slider",
      "aria-orientation": "vertical",
      "aria-label": sentence(lab.words.handle, { n: i + 1 }),
      "aria-valuemin": ratio.lo,
      "aria-valuemax": ratio.hi,
      "data-testid": `handle-${i}`,
    },
    svg("circle", { class: "exh-hit" }),
    svg("circle", { class: "exh-knob" }),
    label(0, 0, "", { "text-anchor": "middle", class: "exh-halo exh-strong" }),
    label(0, 0, String(i + 1), { "text-anchor": "middle", class: "exh-tick" }),
  );
  const choose = () => {
    lab.selected = i;
    lab.showValues();
    lab.schedule();
  };
  /** @type {(event: PointerEvent) => number} */
  const height = (event) => event.clientY - lab.svg.getBoundingClientRect().top;
  handle.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    handle.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
    // The handle does not jump to the finger: it keeps the distance at which it was taken.
    lab.dragging = { i, off: height(event) - placeOf(lab.y, lab.values.ratios[i]), moved: false };
    choose();
  });
  handle.addEventListener("pointermove", (event) => {
    if (lab.dragging?.i !== i || !handle.hasPointerCapture(event.pointerId)) return;
    lab.dragging.moved = true;
    lab.setRatio(i, Math.min(lab.y.inverse(height(event) - lab.dragging.off), lab.y.hi));
  });
  const release = () => {
    if (lab.dragging?.i !== i) return;
    const { moved } = lab.dragging;
    lab.dragging = null;
    lab.schedule();
    if (moved) lab.released();
  };
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) handle.addEventListener(name, release);
  handle.addEventListener("focus", choose);
  handle.addEventListener("keydown", (event) => {
    const r = lab.values.ratios[i];
    const by = KEYS[event.key];
    if (by !== undefined) lab.setRatio(i, lab.values.axis === "log" ? r * 1.02 ** by : r + 0.01 * by);
    else if (event.key === "Home") lab.setRatio(i, ratio.lo);
    else if (event.key === "End") lab.setRatio(i, ratio.hi);
    else if (event.key === "Delete" || event.key === "Backspace") {
      lab.selected = i;
      lab.resize(-1);
      /** @type {SVGElement | undefined} */ (lab.layers.handles.children[lab.selected])?.focus();
    } else return;
    event.preventDefault();
    lab.released();
  });
  return handle;
}

/** @type {(lab: OutlierHand, i: number) => string} */
function handleText(lab, i) {
  const parts = lab.all
    .filter((row) => row.tokens[i])
    .map((row) => `${row.objective.label} ${weightText(row.tokens[i].w)}`);
  return `${show(lab.values.ratios[i])}; ${lab.words.weight}: ${parts.join(", ")}`;
}
