// How the curves are looked at: smoothing, axes, bands, what is hidden or pinned. It stands in the address, so that
// a link restores it, and is written there by the browser itself: nothing is asked of the server.

const VIEW = {
  smooth: { usual: 0, read: (text) => Math.min(0.99, Math.max(0, Number(text) || 0)), text: String },
  x: { usual: "step", read: (text) => (["step", "tokens", "time"].includes(text) ? text : "step"), text: String },
  band: { usual: "range", read: (text) => (["range", "sd", "lines"].includes(text) ? text : "range"), text: String },
  logy: { usual: [], read: listOf, text: (names) => names.join() }, // panels whose y axis is not their usual one
  more: { usual: "", read: (text) => (text === "1" ? "1" : ""), text: String }, // all metrics
  hide: { usual: [], read: listOf, text: (names) => names.join() }, // groups of runs
  pin: { usual: [], read: listOf, text: (names) => names.join() }, // runs
  shade: { usual: [], read: listOf, text: (names) => names.join() }, // group.place: a colour once given stays
  scrub: { usual: null, read: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : null), text: String }, // step
  zoom: { usual: null, read: readZoom, text: (zoom) => zoom.map((v) => Number(v.toPrecision(6))).join() },
};

function listOf(text) {
  return text.split(",").filter((name) => /^[\w.-]{1,100}$/.test(name));
}

function readZoom(text) {
  const ends = text.split(",").map(Number);
  return ends.length === 2 && ends.every(Number.isFinite) && ends[0] < ends[1] ? ends : null;
}

export class LiveView {
  constructor() {
    this.read();
  }

  read() {
    const asked = new URLSearchParams(location.search);
    for (const [name, { usual, read }] of Object.entries(VIEW))
      this[name] = asked.has(name) ? read(asked.get(name)) : usual;
  }

  // After a rerun too: what Streamlit put into the address may be a little older than what is seen.
  write() {
    const address = new URL(location.href);
    const before = address.search;
    for (const [name, { usual, text }] of Object.entries(VIEW)) {
      const value = this[name];
      if (value === null || text(value) === (usual === null ? undefined : text(usual)))
        address.searchParams.delete(name);
      else address.searchParams.set(name, text(value));
    }
    address.search = address.search.replaceAll("%2C", ",");
    if (address.search !== before.replaceAll("%2C", ",")) history.replaceState(history.state, "", address);
  }

  set(name, value) {
    this[name] = value;
    this.write();
  }

  toggle(name, item) {
    const there = this[name].includes(item);
    this.set(name, there ? this[name].filter((other) => other !== item) : [...this[name], item]);
    return !there;
  }
}
