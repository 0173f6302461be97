// A knob's control, the same in every live figure: one slider and one number box on the same value.

// The slider is even in log where the knob says so. `spec` is the knob as the catalogue declares it. `moved` is
// called while the hand moves, `released` when it lets go; `sync` shows a value that was set elsewhere.
function sliderRow({ symbol, name, label, help, test, spec, words, get, set, moved, released }) {
  const log = spec.scale === "log";
  const to = log ? (v) => Math.log10(Math.max(v, 1e-12)) : (v) => v;
  const from = log ? (x) => 10 ** x : (x) => x;
  const low = to(spec.ui_lo), high = to(spec.ui_hi);
  const neat = (v) => Number(v.toPrecision(log ? 3 : 6));
  const range = el("input", { type: "range", min: low, max: high, step: log ? (high - low) / 400 : spec.step, "aria-label": label, "data-testid": test });
  const box = el("input", { type: "number", step: log ? "any" : spec.step, "aria-label": `${label}, ${words.number}` });
  const sync = () => {
    range.value = to(get());
    range.setAttribute("aria-valuetext", `${name} ${show(get())}`);
    if (document.activeElement !== box) box.value = String(neat(get()));
  };
  range.addEventListener("input", () => {
    set(Math.min(spec.hi, Math.max(spec.lo, neat(from(Number(range.value))))));
    sync();
    moved();
  });
  range.addEventListener("change", () => released());
  box.addEventListener("input", () => {
    const value = Number(box.value);
    const good = box.value !== "" && Number.isFinite(value) && value >= spec.lo && value <= spec.hi;
    box.setCustomValidity(good ? "" : words.takes.replace("{lo}", spec.lo).replace("{hi}", spec.hi));
    if (!good) { box.reportValidity(); return; }
    set(value);
    sync();
    moved();
  });
  box.addEventListener("change", () => { box.setCustomValidity(""); box.value = String(neat(get())); released(); });
  sync();
  const node = el("label", { class: "lab-row", title: help }, el("span", { class: "lab-name" }, el("b", {}, ...lettered(symbol)), el("small", {}, name)), range, box);
  return { node, sync };
}

// ε_low as a letter with its index.
function lettered(symbol) {
  const [letter, index] = symbol.split("_");
  return index ? [letter, el("sub", {}, index)] : [letter];
}

// CSS has fewer line styles than Plotly.
function cssDash(dash) { return dash === "solid" ? "solid" : dash === "dot" ? "dotted" : "dashed"; }
