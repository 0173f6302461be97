// What every live figure shares: plotly.js from this server, the page's theme, downloads.

// The script is loaded once for all figures of a page.
function loadPlotly(version) {
  if (!window.sapoPlotly) {
    window.sapoPlotly = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL(`vendor/plotly-${version}.min.js`, document.baseURI).href;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => { window.sapoPlotly = undefined; reject(new Error("plotly.js did not load")); };
      document.head.appendChild(script);
    });
  }
  return window.sapoPlotly;
}

// Colours as Streamlit's theme has them now, for axes, text and grid.
function themeOf(element) {
  const style = getComputedStyle(element);
  const read = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
  return {
    text: read("--st-text-color", "#31333F"),
    background: read("--st-background-color", "#FFFFFF"),
    grid: read("--st-border-color-light", read("--st-border-color", "#E6E8EC")),
    font: read("--st-font", "sans-serif"),
  };
}

function applyTheme(layout, theme) {
  layout.paper_bgcolor = "rgba(0,0,0,0)";
  layout.plot_bgcolor = "rgba(0,0,0,0)";
  layout.font = { ...layout.font, color: theme.text, family: theme.font };
  layout.hoverlabel = { bgcolor: theme.background, bordercolor: theme.grid, font: { color: theme.text, family: theme.font } };
  for (const key of Object.keys(layout)) {
    if (/^[xy]axis\d*$/.test(key)) {
      Object.assign(layout[key], { gridcolor: theme.grid, zerolinecolor: theme.grid, linecolor: theme.grid });
    }
  }
  return layout;
}

// Data that Python sent as bytes of JSON (sapo_viz/ui/pack.py says why).
function unpack(data) { return JSON.parse(new TextDecoder().decode(data)); }

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

function saveText(name, text, type) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// A picture for a paper or a slide: opaque in the page's own colours, wide whatever the window is.
async function savePicture(Plotly, figure, layout, format, name, theme) {
  // A web font is not in the picture: text would be measured with one and drawn with another.
  const font = { ...layout.font, family: "sans-serif" };
  const picture = { data: figure, layout: { ...layout, font, paper_bgcolor: theme.background, plot_bgcolor: theme.background } };
  const url = await Plotly.toImage(picture, { format, width: 1200, height: Math.max(500, layout.height || 500), scale: 2 });
  el("a", { href: url, download: `${name}.${format}` }).click();
}

function csvCell(value) {
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvOf(rows) {
  return rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

function debounce(milliseconds, action) {
  let timer;
  return (...args) => { clearTimeout(timer); timer = setTimeout(() => action(...args), milliseconds); };
}

// Four significant digits without exponents where they can be had, in tabular figures.
function show(value) {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : value < 0 ? "−∞" : "–";
  const size = Math.abs(value);
  const text = value === 0 ? "0" : size >= 1e5 || size < 1e-4 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return text.replace("-", "−");
}
