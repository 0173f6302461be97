// What the live figure computes, on numbers worked out by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  acrossRuns,
  differingNames,
  highestOf,
  nearestOf,
  smoothed,
  spreadOf,
} from "../../../sapo_viz/browser/live/math.js";
import { near } from "../near.js";

test("the moving average is not pulled towards zero and leaves gaps", () => {
  // weight ½: (1·½ + 0·¼ …)/(½ + ¼): 1, (½·1 + 3)/(1½) = 7/3, gap, (¼·1 + ½·3 + 5)/(1¾) = 27/7
  near(smoothed([1, 3, null, 5], 0.5), [1, 7 / 3, null, 27 / 7]);
  assert.deepEqual(smoothed([1, null, 3], 0), [1, null, 3]);
});

test("seeds are averaged step by step, with how many are there", () => {
  const runs = [
    { step: [1, 2, 3], x: [10, 20, 30], y: [0, 4, null] },
    { step: [1, 2], x: [20, 40], y: [2, 6] },
  ];
  const [first, second, ...more] = acrossRuns(runs);
  near(first, { step: 1, x: 15, n: 2, mean: 1, low: 0, high: 2, sd: Math.SQRT2 });
  assert.deepEqual([second.mean, second.n, second.x], [5, 2, 30]);
  assert.deepEqual(more, []); // the third step has no value at all
  assert.deepEqual(acrossRuns([]), []);
});

test("only names with more than one value differ", () => {
  assert.deepEqual(
    differingNames([
      { lr: 1, tau: 2, steps: 4 },
      { lr: 3, steps: 4 },
    ]),
    ["lr"],
  );
});

test("the nearest of several numbers is found", () => {
  assert.equal(nearestOf([1, 10, 20], 14), 10);
  assert.equal(nearestOf([], 3), undefined);
});

test("of many dots the highest of each stretch are left, of few all", () => {
  const x = [1, 2, 3, 4, 5, 6];
  assert.deepEqual(highestOf(x, [0, 9, 1, 2, null, 8], 3), { x: [2, 4, 6], y: [9, 2, 8] });
  assert.deepEqual(highestOf(x, [0, 9, 1, 2, null, 8]).x, x);
});

test("of many steps some are taken evenly, with the last one, and remain when more come", () => {
  const steps = Array.from({ length: 1526 }, (_, i) => 8 * i);
  const taken = spreadOf(steps, 24);
  assert.equal(taken.length, 25); // 24 at distances of 64, and the last one
  assert.deepEqual(taken.slice(0, 3), [0, 512, 1024]);
  assert.equal(taken.at(-1), 8 * 1525);
  const later = spreadOf([...steps, 9e6], 24);
  assert.deepEqual(later.slice(0, -1), taken.slice(0, -1));
  assert.deepEqual(spreadOf([3, 5], 24), [3, 5]);
});
