import assert from "node:assert/strict";

/**
 * Numbers may differ by a rounding (1e-9 of their size), everything else not at all.
 * @param {any} got
 * @param {any} wanted
 */
export function near(got, wanted) {
  if (typeof wanted === "number" && Number.isFinite(wanted)) {
    assert.ok(Math.abs(got - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted)), `${got} is not ${wanted}`);
  } else if (wanted !== null && typeof wanted === "object") {
    assert.deepEqual(Object.keys(got), Object.keys(wanted));
    for (const key of Object.keys(wanted)) near(got[key], wanted[key]);
  } else assert.equal(got, wanted);
}
