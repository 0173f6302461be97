// What a token's colour says. Ordinary tokens are ink on paper: nothing is painted where nothing is lost, and what is
// cut, dimmed, amplified or turned round stands out. Text reads on every shade.

import { luminance, parseColour, rampOf, shadeOf, swatchOf } from "../shared/colour.js";
import { el } from "../shared/dom.js";
import { show } from "../shared/numbers.js";

export const QUANTITIES = ["weight", "coefficient", "ratio", "change"];
export const PLAIN = 0.05; // so much of a weight may be lost, or come on top, before it is worth a colour
const ROUNDING = 5e-5;

// What has happened to a token with this weight; "" is what has happened to most.
/** @type {(w: number, c: number) => "cut" | "reversed" | "more" | "dimmed" | ""} */
export function fateOf(w, c) {
  if (c === 0) return "cut";
  if (w < 0) return "reversed";
  if (w > 1 + ROUNDING) return w > 1 + PLAIN ? "more" : "";
  return w < 1 - PLAIN ? "dimmed" : "";
}

// How far from ordinary, for a choice among several.
/** @type {(w: number) => number} */
export function lossOf(w) {
  return Math.abs(1 - w);
}

// The text keeps the page's own ink wherever that reads.
/** @type {(swatch: Swatch, ink: Rgb) => Swatch} */
function inked(swatch, ink) {
  const [text, ground] = [luminance(ink), luminance(parseColour(swatch.background))];
  const contrast = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
  return contrast >= 4.6 ? { ...swatch, text: "" } : swatch;
}

/** @type {(quantity: string, scales: Scales, dark: boolean, limit: number, ink: Rgb) => ColourScale} */
export function scaleOf(quantity, scales, dark, limit, ink) {
  const colours = scales[dark ? "dark" : "light"];
  /** @type {(stops: string[]) => Ramp} */
  const rampOn = (stops) => rampOf(stops).map((swatch) => inked(swatch, ink));
  if (quantity === "ratio" || quantity === "change") return changeScale(quantity, rampOn(colours.change), limit, dark);
  const lost = rampOn(colours.lost);
  const more = rampOn([colours.lost[0], colours.more]);
  const cut = swatchOf(parseColour(colours.cut));
  const reversed = swatchOf(parseColour(colours.reversed));
  return {
    dark,
    swatch: (value) =>
      value === 0
        ? cut
        : value < 0
          ? reversed
          : value > 1 + PLAIN
            ? shadeOf(more, 0.4 + Math.log2(value) * 0.3) // 4 and more: the end
            : value < 1 - PLAIN
              ? shadeOf(lost, 1 - value)
              : null,
    legend: (words, several) =>
      quantity === "weight"
        ? [`${several ? words.lost_most : words.lost} 0`, barOf(lost), "1"]
        : [`${words.coefficient} 1`, barOf(lost), "0"],
    keys: (words, { more: anyMore, reversed: anyReversed }) => [
      keyOf(cut, words.cut, "cut"),
      ...(anyMore ? [keyOf(more[70], words.above, "more")] : []),
      ...(anyReversed ? [keyOf(reversed, words.reversed, "reversed")] : []),
    ],
  };
}

/** @type {(quantity: string, ramp: Ramp, limit: number, dark: boolean) => ColourScale} */
function changeScale(quantity, ramp, limit, dark) {
  /** @type {(z: number) => string} */
  const signed = (z) => (z > 0 ? "+" : "") + show(z);
  const ends =
    quantity === "ratio" ? [show(Math.exp(-limit)), show(Math.exp(limit)), "1"] : [signed(-limit), signed(limit), "0"];
  return {
    dark,
    swatch: (z) => (Math.abs(z) < limit * 0.04 ? null : shadeOf(ramp, 0.5 + z / (2 * limit))),
    legend: (words) => [
      `${words[quantity]} ${ends[0]}`,
      barOf(ramp),
      `${ends[1]} (${words.middle.replace("{x}", ends[2])})`,
    ],
    keys: () => [],
  };
}

/** @type {(ramp: Ramp) => HTMLElement} */
function barOf(ramp) {
  const bar = el("span", { class: "tok-bar", "aria-hidden": "true" });
  const stops = ramp.filter((_, i) => i % 10 === 0).map((swatch) => swatch.background);
  bar.style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
  return bar;
}

/** @type {(swatch: Swatch | null, text: string, look?: string) => HTMLElement} */
export function keyOf(swatch, text, look = "") {
  const box = el("span", { class: "tok-chip", "data-look": look, "aria-hidden": "true" });
  if (swatch) box.style.backgroundColor = swatch.background;
  return el("span", { class: "tok-key" }, box, text);
}
