// Numbers as people read them, and log-ratios as training holds them.

// Four significant digits without exponents where possible, in tabular figures.
/** @type {(value: number) => string} */
export function show(value) {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : value < 0 ? "−∞" : "–";
  const size = Math.abs(value);
  const text =
    value === 0 ? "0" : size >= 1e5 || size < 1e-4 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return text.replace("-", "−");
}

// As training holds log-ratios.
/** @type {(z: number) => number} */
export function heldWithin(z) {
  return Math.min(20, Math.max(-20, z));
}
