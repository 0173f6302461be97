// Taking the picture home, as SVG or PNG.

import { el } from "../shared/dom.js";
import { saveText } from "../shared/download.js";
import { label, put, SVG_NS, svg } from "../shared/svg.js";

const KEPT_STYLES = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "stroke-linecap",
  "stroke-opacity",
  "opacity",
  "font-family",
  "font-size",
  "font-weight",
  "font-variant-numeric",
  "text-anchor",
  "paint-order",
  "visibility",
];

// A copy that looks the same without this page's style sheet, opaque, with a line that says what it was made with.
/** @type {(source: SVGSVGElement, caption: string, theme: Theme) => SVGSVGElement} */
function portable(source, caption, theme) {
  const copy = /** @type {SVGSVGElement} */ (source.cloneNode(true));
  const [from, to] = [source.querySelectorAll("*"), copy.querySelectorAll("*")];
  from.forEach((node, i) => {
    const style = getComputedStyle(node);
    for (const name of KEPT_STYLES) to[i].setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "style", "tabindex", "role"]) to[i].removeAttribute(name);
  });
  const width = source.clientWidth;
  const height = source.clientHeight;
  const pad = 16;
  const foot = 24;
  put(copy, {
    xmlns: SVG_NS,
    width: width + 2 * pad,
    height: height + 2 * pad + foot,
    viewBox: `${-pad} ${-pad} ${width + 2 * pad} ${height + 2 * pad + foot}`,
    class: null,
    style: null,
  });
  copy.prepend(svg("rect", { x: -pad, y: -pad, width: "100%", height: "100%", fill: theme.background }));
  copy.append(label(0, height + foot, caption, { fill: theme.text, "font-family": "sans-serif", "font-size": 12 }));
  return copy;
}

/** @type {(source: SVGSVGElement, name: string, caption: string, theme: Theme) => void} */
export function saveSvgText(source, name, caption, theme) {
  saveText(`${name}.svg`, new XMLSerializer().serializeToString(portable(source, caption, theme)), "image/svg+xml");
}

/** @type {(source: SVGSVGElement, name: string, caption: string, theme: Theme) => Promise<void>} */
export async function saveSvgPng(source, name, caption, theme) {
  const copy = portable(source, caption, theme);
  const scale = 2;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  const canvas = el("canvas", {
    width: Number(copy.getAttribute("width")) * scale,
    height: Number(copy.getAttribute("height")) * scale,
  });
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  el("a", { href: canvas.toDataURL("image/png"), download: `${name}.png` }).click();
}
