// Colours as numbers, ramps between them, and text that reads on every shade.

/** @type {(text: string) => Rgb} */
export function parseColour(text) {
  const hex = /^#([0-9a-f]{6})/i.exec(text);
  if (hex) return [0, 2, 4].map((k) => parseInt(hex[1].slice(k, k + 2), 16));
  const parts = (text.match(/[\d.]+/g) || [255, 255, 255]).map(Number);
  return parts.slice(0, 3);
}

/** @type {(stops: Rgb[], t: number) => Rgb} */
function between(stops, t) {
  const place = t * (stops.length - 1);
  const k = Math.min(stops.length - 2, Math.floor(place));
  return stops[k].map((v, j) => Math.round(v + (stops[k + 1][j] - v) * (place - k)));
}

/** @type {(rgb: Rgb) => number} */
export function luminance(rgb) {
  const [r, g, b] = rgb.map((v) => {
    const s = v / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// Black or white, whichever reads better: the better one is never below 4.58:1.
/** @type {(rgb: Rgb) => Swatch} */
export function swatchOf(rgb) {
  return { background: `rgb(${rgb.join(", ")})`, text: luminance(rgb) > 0.179 ? "#000000" : "#ffffff" };
}

/** @type {(colours: string[]) => Ramp} */
export function rampOf(colours) {
  const stops = colours.map(parseColour);
  return Array.from({ length: 101 }, (_, i) => swatchOf(between(stops, i / 100)));
}

/** @type {(ramp: Ramp, t: number) => Swatch} */
export function shadeOf(ramp, t) {
  return ramp[Math.round(Math.min(1, Math.max(0, t)) * 100)];
}

// An objective's colour where the page is dark: no dimmer than the knobs beside it, which have the primary colour there.
const KNOB_BY_NIGHT = "#3890cc"; // .streamlit/config.toml
const WHITE = [255, 255, 255];

/** @type {(hex: string) => string} */
export function byNight(hex) {
  const least = luminance(parseColour(KNOB_BY_NIGHT));
  const stops = [parseColour(hex), WHITE];
  let rgb = stops[0];
  for (let step = 1; luminance(rgb) < least && step <= 20; step++) rgb = between(stops, step / 20);
  return `#${rgb.map((v) => v.toString(16).padStart(2, "0")).join("")}`;
}

// The same for CSS, which follows the page by itself.
/** @type {(hex: string) => string} */
export function onPage(hex) {
  return hex.startsWith("#") ? `light-dark(${hex}, ${byNight(hex)})` : hex;
}

// And for what has to be told: plotly.js, a canvas.
/** @type {(hex: string, theme: Theme) => string} */
export function hueOn(hex, { background }) {
  return luminance(parseColour(background)) < 0.2 ? byNight(hex) : hex;
}
