// What every page has, whatever it shows: its link to copy, a way to present it, and a hand that leads to the strip.

import { el } from "../shared/dom.js";
import { mounted } from "../shared/mounted.js";
import { unpack } from "../shared/packed.js";
import { svg } from "../shared/svg.js";
import { hueRules } from "./hues.js";
import { isTyping, presentKey } from "./keys.js";
import "../shared/toolbar.css";
import "./tools.css";

// Paths of Material's outlined link, slideshow and tune, on a square of 24.
const LINK =
  "M3.9 12c0-1.71 1.39-3.1 3.1-3.1h4V7H7a5 5 0 0 0 0 10h4v-1.9H7A3.1 3.1 0 0 1 3.9 12zM8 13h8v-2H8zm9-6h-4v1.9h4a3.1 3.1 0 1 1 0 6.2h-4V17h4a5 5 0 0 0 0-10z";
const SCREEN = "M10 8v8l5-4zm9-5H5a2 2 0 0 0-2 2v14c0 1.1.9 2 2 2h14a2 2 0 0 0 2-2V5a2 2 0 0 0-2-2zm0 16H5V5h14z";
const TUNE =
  "M3 17v2h6v-2zM3 5v2h10V5zm10 16v-2h8v-2h-8v-2h-2v6zM7 9v2H3v2h4v2h2V9zm14 4v-2H11v2zm-6-4h2V7h4V5h-4V3h-2z";
const PATIENCE = 5000; // milliseconds that a strip is waited for

/** @type {(path: string) => SVGElement} */
const icon = (path) => {
  const picture = svg("svg", {
    viewBox: "0 0 24 24",
    width: 18,
    height: 18,
    fill: "currentColor",
    "aria-hidden": "true",
  });
  picture.append(svg("path", { d: path }));
  return picture;
};

// Whether it is copied. `navigator.clipboard` is there for this machine and over https; elsewhere the older way is left.
/** @type {(text: string) => Promise<boolean>} */
async function copyText(text) {
  if (navigator.clipboard)
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  /** @param {ClipboardEvent} event */
  const give = (event) => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
  };
  document.addEventListener("copy", give);
  const done = document.execCommand("copy");
  document.removeEventListener("copy", give);
  return done;
}

class PageTools {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    /** @type {Send} */
    this.setTriggerValue = () => {};
    /** @type {PageToolsData} from Python, before anything is shown or pressed */
    this.data = /** @type {any} */ (undefined);
    this.root = document.documentElement;
    this.said = el("span", { class: "page-tools-said", role: "status" });
    this.link = el("button", { type: "button", onclick: () => this.copy() }, icon(LINK));
    this.screen = el("button", { type: "button", onclick: () => this.present(!this.data.present) }, icon(SCREEN));
    this.controls = el("button", { type: "button", onclick: () => this.showControls() }, icon(TUNE));
    this.hues = el("style");
    parent.append(
      this.hues,
      el("div", { class: "page-tools", role: "group" }, this.said, this.controls, this.screen, this.link),
    );
    /** @type {(event: KeyboardEvent) => void} */
    this.pressed = (event) => {
      if (event.defaultPrevented || isTyping(event.target)) return; // Escape may have closed something smaller
      const wanted = presentKey(event, this.data.present);
      if (wanted === "present") this.present(!this.data.present);
      if (wanted === "controls") this.showControls();
    };
    document.addEventListener("keydown", this.pressed);
  }

  /** @param {PageToolsData} data */
  update(data) {
    const led = this.data ? this.data.arrive : 0; // what was asked for before this page was opened is over
    this.data = data;
    const { words } = data;
    /** @type {[HTMLButtonElement, string][]} */
    const texts = [
      [this.link, words.link],
      [this.screen, data.present ? words.leave : words.present],
      [this.controls, words.controls],
    ];
    for (const [button, text] of texts) {
      button.setAttribute("aria-label", text);
      button.title = text;
    }
    this.screen.setAttribute("aria-pressed", String(data.present));
    this.controls.hidden = !data.present;
    const rules = hueRules(data.hues);
    if (this.hues.textContent !== rules) this.hues.textContent = rules;
    this.show(data.present);
    if (data.arrive !== led) this.lead();
  }

  // At once; the address follows when the server has heard of it.
  /** @param {boolean} on */
  present(on) {
    this.show(on);
    this.setTriggerValue("present", on ? "on" : "off");
  }

  /** @param {boolean} on */
  show(on) {
    if (on === "present" in this.root.dataset) return;
    if (on) this.root.dataset.present = this.root.dataset.present || "bare";
    else delete this.root.dataset.present;
    dispatchEvent(new Event("resize")); // figures measure their room anew
  }

  showControls() {
    this.root.dataset.present = this.root.dataset.present === "bare" ? "controls" : "bare";
    dispatchEvent(new Event("resize"));
  }

  async copy() {
    // The address is the whole state; it follows a moment after a slider is let go.
    const { copied, not_copied } = this.data.words;
    const done = await copyText(location.href);
    this.said.textContent = done ? copied : not_copied;
    setTimeout(
      () => {
        this.said.textContent = "";
      },
      done ? 1500 : 5000,
    );
  }

  // To the strip, once it shows what was chosen elsewhere on the page: into sight, and under the keys.
  lead() {
    const until = performance.now() + PATIENCE;
    const step = () => {
      const strip = document.querySelector(".tok");
      const still = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "notRunning";
      if (strip?.dataset.ready === "true" && still) {
        strip.scrollIntoView({ block: "start" });
        const token = strip.querySelector('[role="option"][tabindex="0"]') ?? strip.querySelector('[role="listbox"]');
        token?.focus({ preventScroll: true });
      } else if (performance.now() < until) setTimeout(step, 50);
    };
    setTimeout(step, 50);
  }

  close() {
    document.removeEventListener("keydown", this.pressed);
  }
}

export default mounted(PageTools, unpack);
