// From one case of an exhibit to another.

import assert from "node:assert/strict";
import { test } from "node:test";
import { between, holds, merged } from "../../../sapo_viz/browser/exhibits/values.js";

const FROM = { ratios: [1, 4], sign: 1, axis: "linear", knobs: { sapo: { tau_pos: 1, tau_neg: 0 } }, more: 0 };
const TO = { ratios: [1, 1], sign: -1, axis: "log", knobs: { sapo: { tau_pos: 4, tau_neg: 1 } }, more: 9 };

test("a picture begins where it was and ends at the case, exactly", () => {
  assert.deepEqual(between(FROM, TO, 1), TO);
  const { sign, axis, more, ...start } = between(FROM, TO, 0);
  assert.deepEqual(start, { ratios: FROM.ratios, knobs: FROM.knobs });
  assert.deepEqual([sign, axis, more], [-1, "log", 9]); // nothing lies between words, signs and counts
});

test("half-way ratios and temperatures are the geometric mean, what may be 0 the arithmetic one", () => {
  const { ratios, knobs } = between(FROM, TO, 0.5);
  assert.deepEqual(ratios, [1, 2]); // sqrt(4 * 1)
  assert.deepEqual(knobs.sapo, { tau_pos: 2, tau_neg: 0.5 });
});

test("what has no counterpart is there at once", () => {
  assert.deepEqual(between({ ratios: [1] }, { ratios: [2, 3] }, 0.1), { ratios: [2, 3] });
  assert.deepEqual(between({}, { knobs: { gspo: { eps: 0.1 } } }, 0.1), { knobs: { gspo: { eps: 0.1 } } });
});

test("a case that was taken over holds, and leaves alone what it does not name", () => {
  const taken = merged({ ...FROM, own: 5 }, TO);
  assert.ok(holds(taken, TO) && !holds(FROM, TO));
  assert.equal(taken.own, 5);
});
