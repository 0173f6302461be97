// plotly.js from this server, and pictures made by it.

import { el } from "./dom.js";

// The script is loaded once for all figures of a page.
/** @type {(version: string) => Promise<any>} */
export function loadPlotly(version) {
  if (!window.sapoPlotly) {
    window.sapoPlotly = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL(`vendor/plotly-${version}.min.js`, document.baseURI).href;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => {
        window.sapoPlotly = undefined;
        reject(new Error("plotly.js did not load"));
      };
      document.head.appendChild(script);
    });
  }
  return window.sapoPlotly;
}

// A picture for a paper or a slide: opaque in the page's own colours, wide whatever the window is.
/** @type {(Plotly: any, figure: object[], layout: any, format: string, name: string, theme: Theme) => Promise<void>} */
export async function savePicture(Plotly, figure, layout, format, name, theme) {
  // A web font is not in the picture: text would be measured with one and drawn with another.
  const font = { ...layout.font, family: "sans-serif" };
  const picture = {
    data: figure,
    layout: { ...layout, font, paper_bgcolor: theme.background, plot_bgcolor: theme.background },
  };
  const url = await Plotly.toImage(picture, {
    format,
    width: 1200,
    height: Math.max(500, layout.height || 500),
    scale: 2,
  });
  el("a", { href: url, download: `${name}.${format}` }).click();
}
