// Numbers in sentences.

/** @type {(share: number, digits?: number) => string} */
export function percent(share, digits = 1) {
  if (!Number.isFinite(share)) return "–";
  if (share === 0) return "0 %";
  if (Math.abs(share - 1) < 1e-9) return "100 %"; // c/r leaves a rounding
  const text = (share * 100).toFixed(digits);
  return `${Number(text) === 100 && share < 1 ? ">99.9" : Number(text) === 0 ? "<0.1" : Number(text)} %`;
}

// {name} in a sentence that was translated as a whole.
/** @type {(text: string, values: Record<string, any>) => string} */
export function sentence(text, values) {
  return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

/** @type {(value: number) => string} */
export function count(value) {
  return Math.round(value).toLocaleString("en-US");
}
