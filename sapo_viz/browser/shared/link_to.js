// Links from a figure to a page of the app, followed within the visit as the browser's back button is: a page that is
// loaded anew has lost the file that was uploaded.

import { el } from "./dom.js";

/** @type {(href: string | undefined, attributes: Record<string, any>, ...children: (Node | string)[]) => HTMLAnchorElement} */
export function linkTo(href, attributes, ...children) {
  return el("a", { href, target: "_self", onclick: follow, ...attributes }, ...children);
}

/** @param {MouseEvent & { currentTarget: HTMLAnchorElement }} event */
function follow(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return; // into a tab or a window of its own
  event.preventDefault();
  history.pushState(null, "", event.currentTarget.href);
  dispatchEvent(new PopStateEvent("popstate")); // Streamlit runs the page of that address
}
