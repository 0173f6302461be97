// Colours as Streamlit's theme has them now, for axes, text and grid.
/** @type {(element: Element) => Theme} */
export function themeOf(element) {
  const style = getComputedStyle(element);
  /** @type {(name: string, fallback: string) => string} */
  const read = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
  return {
    text: read("--st-text-color", "#31333F"),
    background: read("--st-background-color", "#FFFFFF"),
    grid: read("--st-border-color-light", read("--st-border-color", "#E6E8EC")),
    font: read("--st-font", "sans-serif"),
  };
}

/** @type {(layout: any, theme: Theme) => any} */
export function applyTheme(layout, theme) {
  layout.paper_bgcolor = "rgba(0,0,0,0)";
  layout.plot_bgcolor = "rgba(0,0,0,0)";
  layout.font = { ...layout.font, color: theme.text, family: theme.font };
  layout.hoverlabel = {
    bgcolor: theme.background,
    bordercolor: theme.grid,
    font: { color: theme.text, family: theme.font },
  };
  for (const key of Object.keys(layout)) {
    if (/^[xy]axis\d*$/.test(key)) {
      Object.assign(layout[key], { gridcolor: theme.grid, zerolinecolor: theme.grid, linecolor: theme.grid });
    }
  }
  return layout;
}
