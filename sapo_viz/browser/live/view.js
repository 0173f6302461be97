// How the curves are looked at: smoothing, axes, bands, what is hidden or pinned. It is in the address, so that
// a link restores it, and is written there by the browser itself: nothing is asked of the server.

/**
 * Of one of its parts: what it usually is, and how it is read from an address and written there.
 * @template T
 * @typedef {{ usual: T; read: (text: string) => T; text: (value: T) => string }} Part
 */

/** @type {{ [Name in keyof View]: Part<View[Name]> }} */
const VIEW = {
  smooth: { usual: 0, read: (text) => Math.min(0.99, Math.max(0, Number(text) || 0)), text: String },
  x: { usual: "step", read: oneOf("step", "tokens", "time"), text: String },
  band: { usual: "range", read: oneOf("range", "sd", "lines"), text: String },
  logy: { usual: [], read: listOf, text: (names) => names.join() }, // panels whose y axis is not their usual one
  more: { usual: "", read: (text) => (text === "1" ? "1" : ""), text: String }, // all metrics
  hide: { usual: [], read: listOf, text: (names) => names.join() }, // groups of runs
  pin: { usual: [], read: listOf, text: (names) => names.join() }, // runs
  shade: { usual: [], read: listOf, text: (names) => names.join() }, // group.place: a colour once given stays
  by: { usual: "", read: oneOf("", "task", "objective", "source", "experiment"), text: String }, // sections of the table
  fold: { usual: [], read: listOf, text: (names) => names.join() }, // those that are folded
  scrub: { usual: null, read: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : null), text: String }, // step
  zoom: { usual: null, read: readZoom, text: (zoom) => (zoom ?? []).map((v) => Number(v.toPrecision(6))).join() },
};
/** @type {[keyof View, Part<any>][]} each part's functions take its own values alone */
const PARTS = /** @type {any} */ (Object.entries(VIEW));

/** @type {(text: string) => string[]} */
function listOf(text) {
  return text.split(",").filter((name) => /^[\w.-]{1,100}$/.test(name));
}

/** @type {(text: string) => Point | null} */
function readZoom(text) {
  const [low, high, ...more] = text.split(",").map(Number);
  return Number.isFinite(low) && Number.isFinite(high) && !more.length && low < high ? [low, high] : null;
}

/**
 * One of these words, else the first.
 * @template {string} T
 * @param {...T} words
 * @returns {(text: string) => T}
 */
function oneOf(...words) {
  return (text) => words.find((word) => word === text) ?? words[0];
}

/** @implements {View} */
export class LiveView {
  constructor() {
    this.smooth = VIEW.smooth.usual;
    this.x = VIEW.x.usual;
    this.band = VIEW.band.usual;
    this.logy = VIEW.logy.usual;
    this.more = VIEW.more.usual;
    this.hide = VIEW.hide.usual;
    this.pin = VIEW.pin.usual;
    this.shade = VIEW.shade.usual;
    this.by = VIEW.by.usual;
    this.fold = VIEW.fold.usual;
    this.scrub = VIEW.scrub.usual;
    this.zoom = VIEW.zoom.usual;
    this.read();
  }

  read() {
    const asked = new URLSearchParams(location.search);
    for (const [name, { usual, read }] of PARTS) {
      const text = asked.get(name);
      Object.assign(this, { [name]: text === null ? usual : read(text) });
    }
  }

  // After a rerun too: what Streamlit put into the address may be a little older than what is seen.
  write() {
    const address = new URL(location.href);
    const before = address.search;
    for (const [name, { usual, text }] of PARTS) {
      const value = this[name];
      if (value === null || text(value) === (usual === null ? undefined : text(usual)))
        address.searchParams.delete(name);
      else address.searchParams.set(name, text(value));
    }
    address.search = address.search.replaceAll("%2C", ",");
    if (address.search !== before.replaceAll("%2C", ",")) history.replaceState(history.state, "", address);
  }

  /** @type {<Name extends keyof View>(name: Name, value: View[Name]) => void} */
  set(name, value) {
    Object.assign(this, { [name]: value });
    this.write();
  }

  /** @type {(name: "logy" | "hide" | "pin" | "fold", item: string) => boolean} whether it is among them now */
  toggle(name, item) {
    const there = this[name].includes(item);
    this.set(name, there ? this[name].filter((other) => other !== item) : [...this[name], item]);
    return !there;
  }
}
