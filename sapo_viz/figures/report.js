// A page on its own: figures and strips from the data blocks in it. Nothing is fetched, nothing is sent.

const blockOf = (name) => JSON.parse(document.getElementById(name).textContent);

// ── figures ───────────────────────────────────────────────────────────────────────────────────
const FIGURES = [...document.querySelectorAll("[data-figure]")];

async function drawFigures() {
  for (const place of FIGURES) {
    const { data, layout } = blockOf(place.dataset.figure);
    await Plotly.newPlot(place, data, applyTheme(layout, themeOf(place)), { displaylogo: false, responsive: true });
    place.closest("figure").dataset.drawn = "true"; // the words below it are now its label
  }
}

function recolourFigures(width) {
  for (const place of FIGURES) {
    if (!place.layout) continue;
    const layout = applyTheme(place.layout, themeOf(place));
    Plotly.relayout(place, width ? { ...layout, width, autosize: false } : { ...layout, width: null, autosize: true });
  }
}

// ── strips ────────────────────────────────────────────────────────────────────────────────────
const STRIPS = [];

function drawStrip(place) {
  if (place.dataset.drawn || !document.getElementById(place.dataset.strip)) return;
  place.dataset.drawn = "true";
  const { bytes, token } = blockOf(place.dataset.strip);
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
  else part.addEventListener("toggle", () => { if (part.open) drawStrip(place); });
}

// ── light, dark, paper ────────────────────────────────────────────────────────────────────────
const recolour = (width) => {
  recolourFigures(width);
  for (const strip of STRIPS) { strip.readTheme(); strip.lines.colour(); strip.showToken(); }
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => requestAnimationFrame(() => recolour()));
addEventListener("beforeprint", () => { document.documentElement.dataset.paper = "true"; recolour(660); });
addEventListener("afterprint", () => { delete document.documentElement.dataset.paper; recolour(); });

drawFigures().then(() => { document.documentElement.dataset.ready = "true"; });
