// What a token's colour says: a scale for each quantity, with its legend, and text that reads on every shade.

const QUANTITIES = ["weight", "coefficient", "ratio", "change"];

function parseColour(text) {
  const hex = /^#([0-9a-f]{6})/i.exec(text);
  if (hex) return [0, 2, 4].map((k) => parseInt(hex[1].slice(k, k + 2), 16));
  const parts = (text.match(/[\d.]+/g) || [255, 255, 255]).map(Number);
  return parts.slice(0, 3);
}

function between(stops, t) {
  const place = t * (stops.length - 1), k = Math.min(stops.length - 2, Math.floor(place));
  return stops[k].map((v, j) => Math.round(v + (stops[k + 1][j] - v) * (place - k)));
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((v) => { const s = v / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// Black or white, whichever reads better: the better one is never below 4.58:1.
function swatchOf(rgb) {
  return { background: `rgb(${rgb.join(", ")})`, text: luminance(rgb) > 0.179 ? "#000000" : "#ffffff" };
}

function rampOf(colours) {
  const stops = colours.map(parseColour);
  return Array.from({ length: 101 }, (_, i) => swatchOf(between(stops, i / 100)));
}

function shadeOf(ramp, t) { return ramp[Math.round(Math.min(1, Math.max(0, t)) * 100)]; }

// { value(numbers, i), swatch(value), legend(words) } of a quantity. Above 1 means by more than rounding.
function scaleOf(quantity, scale, dark, limit) {
  const colours = scale[dark ? "dark" : "light"];
  if (quantity === "ratio" || quantity === "change") {
    const ramp = rampOf(colours.change), signed = (z) => (z > 0 ? "+" : "") + show(z);
    return {
      swatch: (z) => shadeOf(ramp, 0.5 + z / (2 * limit)),
      legend: (words) => quantity === "ratio"
        ? [`${words.ratio} ${show(Math.exp(-limit))}`, barOf(ramp), `${show(Math.exp(limit))} (${words.middle.replace("{x}", "1")})`]
        : [`${words.change} ${signed(-limit)}`, barOf(ramp), `${signed(limit)} (${words.middle.replace("{x}", "0")})`],
    };
  }
  const ramp = rampOf(colours.weight);
  if (quantity === "coefficient") {
    const above = rampOf(dark ? [...scale.above_scale].reverse() : scale.above_scale);
    return {
      swatch: (c) => (c > 1.00005 ? shadeOf(above, Math.log2(c) / 2) : shadeOf(ramp, c)), // 4 and more: the end
      legend: (words) => [`${words.coefficient} 0`, barOf(ramp), "1", barOf(above), "≥ 4"],
      cut: ramp[0],
    };
  }
  const above = swatchOf(parseColour(scale.above));
  return {
    swatch: (w) => (w > 1.00005 ? above : shadeOf(ramp, w)),
    legend: (words) => [`${words.weight} 0`, barOf(ramp), "1"],
    more: (words) => [keyOf(above, words.above)],
    cut: ramp[0],
  };
}

function barOf(ramp) {
  const bar = el("span", { class: "tok-bar", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(90deg, ${ramp.filter((_, i) => i % 10 === 0).map((s) => s.background).join(", ")})`;
  return bar;
}

function keyOf(swatch, text, look = "") {
  const box = el("span", { class: "tok-chip", "data-look": look, "aria-hidden": "true" });
  if (swatch) box.style.backgroundColor = swatch.background;
  return el("span", { class: "tok-key" }, box, text);
}

function legendOf(quantity, scale, words, anyMasked) {
  return [
    el("span", { class: "tok-key", "data-testid": "legend" }, ...scale.legend(words)), ...(scale.more?.(words) ?? []),
    ...(quantity === "change" ? [] : [keyOf(scale.cut ?? null, words.cut, "cut")]),
    ...(anyMasked ? [keyOf(null, words.masked, "masked")] : []),
  ];
}
