// The bound D_i ≤ τ²/4 · Var_i holds for a gate in log r whatever is drawn, and not for a gate in r.

import assert from "node:assert/strict";
import { test } from "node:test";
import { described, distances, draws, judge, scaled } from "../../../sapo_viz/browser/exhibits/gate_distance.js";
import { near } from "../near.js";

const USUAL = { sequences: 200, length: 64, seed: 0, within: 0.2, between: 0.1 };

/** @type {(numbers: object, tail?: string) => ReturnType<typeof described>} */
function drawn(numbers, tail = "normal") {
  const all = { ...USUAL, ...numbers };
  const { z, starts } = scaled(all, draws(all, tail));
  return described(z, starts);
}

test("the bound holds for the gate in log r, gentle or sharp, narrow or wide, with heavy tails", () => {
  /** @type {[number, object, string?][]} */
  const cases = [
    [1, {}],
    [5, {}],
    [1, { within: 1 }],
    [1, { within: 0.3, between: 0.6 }],
    [1, { within: 0.4 }, "heavy"],
  ];
  for (const [tau, numbers, tail] of cases) {
    const tokens = drawn(numbers, tail);
    const { above, n } = judge(distances(tokens, tau).inZ, tokens.variance, tau);
    assert.deepEqual([above, n], [0, 200]);
  }
});

test("the gate in r crosses the line, by a factor of about 2.9 on such draws", () => {
  const tokens = drawn({ within: 0.1, between: 0.7, sequences: 300 });
  const { inZ, inR } = distances(tokens, 1);
  assert.ok(judge(inZ, tokens.variance, 1).factor <= 1);
  const { factor } = judge(inR, tokens.variance, 1);
  assert.ok(factor > 2 && factor < 3.2, String(factor));
});

test("a seed gives the same draws, another seed others", () => {
  const [first, again, other] = [7, 7, 8].map((seed) => drawn({ seed, sequences: 20, length: 5 }, "heavy"));
  assert.deepEqual(first, again);
  assert.notEqual(first.variance[0], other.variance[0]);
});

test("the draws spread as the sliders say", () => {
  const { variance, mean } = drawn({ within: 0.5, between: 0.3, sequences: 500, length: 200 });
  const within = variance.reduce((a, b) => a + b) / 500;
  const between = mean.reduce((a, b) => a + b * b, 0) / 500;
  // Expectation of the population variance is σ²(1 − 1/T); five standard errors.
  assert.ok(Math.abs(within - 0.25 * (1 - 1 / 200)) < 5 * 0.25 * Math.sqrt(2 / 1e5));
  assert.ok(Math.abs(between - (0.09 + 0.25 / 200)) < 5 * 0.09 * Math.sqrt(2 / 500));
});

test("mean and variance are each sequence's own", () => {
  // [1, 3] has mean 2 and variance 1; [0, 0, 6] has mean 2 and variance (4 + 4 + 16)/3 = 8
  const { mean, variance } = described(Float64Array.from([1, 3, 0, 0, 6]), [0, 2, 5]);
  near([...mean, ...variance], [2, 2, 1, 8]);
});
