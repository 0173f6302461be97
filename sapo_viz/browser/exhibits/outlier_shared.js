// What the parts of the outlier exhibit share: its measures, and how its numbers are written.

import { show } from "../shared/numbers.js";

export const TOP = 34; // pixels above the plot

// GSPO's band is a few parts in ten thousand wide: near 1 four digits would not show on which side s is.
/** @type {(s: number) => string} */
export function sText(s) {
  return Math.abs(s - 1) < 0.01 ? String(Number(s.toFixed(6))) : show(s);
}

/** @type {(w: number) => string} */
export function weightText(w) {
  if (w > 0.9995 && w < 1 - 1e-9) return ">.999";
  if (w > 0 && w < 0.0005) return w < 1e-6 ? "<1e-6" : w.toExponential(0);
  return String(Number(w.toFixed(w < 0.1 ? 4 : 3)));
}
