// A page on its own: figures and strips from the data blocks in it. Nothing is fetched, nothing is sent.

import "../shared/toolbar.css";
import "./report.css";
import { applyTheme, themeOf } from "../shared/theme.js";
import { TokenStrip } from "../strip/strip.js";

/** @type {(name: string) => any} what Python wrote into the page under that name */
const blockOf = (name) => JSON.parse(document.getElementById(name)?.textContent ?? "");

// ── figures ───────────────────────────────────────────────────────────────────────────────────
/** @type {any[]} Plotly makes them its own */
const FIGURES = [...document.querySelectorAll("[data-figure]")];

async function drawFigures() {
  if (!FIGURES.length) return; // a strip alone: no figure, and nothing that says how one is drawn
  const config = blockOf("plotly-config");
  for (const place of FIGURES) {
    const { data, layout } = blockOf(place.dataset.figure);
    await window.Plotly.newPlot(place, data, applyTheme(layout, themeOf(place)), {
      ...config,
      responsive: true,
    });
    place.closest("figure").dataset.drawn = "true"; // the words below it are now its label
  }
}

/** @param {number} [width] of paper; without it as wide as its place */
function recolourFigures(width) {
  for (const place of FIGURES) {
    if (!place.layout) continue;
    const layout = applyTheme(place.layout, themeOf(place));
    window.Plotly.relayout(
      place,
      width ? { ...layout, width, autosize: false } : { ...layout, width: null, autosize: true },
    );
  }
}

// ── strips ────────────────────────────────────────────────────────────────────────────────────
/** @type {TokenStrip[]} */
const STRIPS = [];

/** @param {HTMLElement} place */
function drawStrip(place) {
  const { drawn, strip: name } = place.dataset;
  if (drawn || !name || !document.getElementById(name)) return;
  place.dataset.drawn = "true";
  const { bytes, token } = blockOf(name);
  const strip = new TokenStrip(place);
  strip.setStateValue = () => {}; // nobody listens: the knobs are this page's own
  strip.update(Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0)));
  strip.select(token, { silent: true });
  strip.lines.bringIntoSight(token);
  STRIPS.push(strip);
}

// In a closed part there is no width to break lines by: its strip is drawn when it is opened.
for (const place of document.querySelectorAll("[data-strip]")) {
  const part = place.closest("details");
  if (!part || part.open) drawStrip(place);
  else
    part.addEventListener("toggle", () => {
      if (part.open) drawStrip(place);
    });
}

// ── light, dark, paper ────────────────────────────────────────────────────────────────────────
/** @param {number} [width] */
const recolour = (width) => {
  recolourFigures(width);
  for (const strip of STRIPS) {
    strip.readTheme();
    strip.lines.colour();
    strip.showToken();
  }
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => requestAnimationFrame(() => recolour()));
addEventListener("beforeprint", () => {
  document.documentElement.dataset.paper = "true";
  recolour(660);
});
addEventListener("afterprint", () => {
  delete document.documentElement.dataset.paper;
  recolour();
});

drawFigures().then(() => {
  document.documentElement.dataset.ready = "true";
});
