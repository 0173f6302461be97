// What an exhibit is set to: comparing it with a case, and taking a case over.

// Whether every value that `part` states is the one in `values`.
/** @type {(values: any, part: any) => boolean} */
export function holds(values, part) {
  if (typeof part === "object" && part !== null) {
    if (Array.isArray(part) && part.length !== values?.length) return false;
    return Object.entries(part).every(([key, value]) => values?.[key] === undefined || holds(values[key], value));
  }
  return values === part;
}

/** @type {(values: any, part: any) => any} */
export function merged(values, part) {
  const result = structuredClone(values);
  for (const [key, value] of Object.entries(part)) {
    const nested = value && typeof value === "object" && !Array.isArray(value);
    result[key] = nested && result[key] ? merged(result[key], value) : structuredClone(value);
  }
  return result;
}

const COUNTS = ["sign", "seed", "sequences", "length", "vocabulary", "more"]; // nothing lies between two of them

// On the way from one picture to another: 0 is `from`, 1 is `to`. Positive numbers go by even factors, as ratios do;
// what is no number, or has no counterpart, is `to` from the start.
/** @type {(from: any, to: any, t: number) => any} */
export function between(from, to, t) {
  if (typeof from === "number" && typeof to === "number")
    return from > 0 && to > 0 ? from * (to / from) ** t : from + (to - from) * t;
  if (Array.isArray(to))
    return Array.isArray(from) && from.length === to.length ? to.map((value, i) => between(from[i], value, t)) : to;
  if (typeof to !== "object" || to === null || typeof from !== "object" || from === null) return to;
  return Object.fromEntries(
    Object.entries(to).map(([key, value]) => [key, COUNTS.includes(key) ? value : between(from[key], value, t)]),
  );
}
