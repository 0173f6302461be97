// Which objectives have one line between them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { lineName, linesApart } from "../../../sapo_viz/browser/curves/apart.js";

/** @type {(name: string, up: number[][], down?: number[][]) => Sampled[]} */
function sampled(name, up, down = up) {
  const objective = {
    name,
    label: name.toUpperCase(),
    color: "#000000",
    dash: "solid",
    reads_logprobs: false,
    knobs: [],
  };
  return [
    { objective, sign: 1, points: up, first: 0 },
    { objective, sign: -1, points: down, first: 0 },
  ];
}

const flat = [
  [0.5, 1, 1, 0.5],
  [1, 1, 1, 1],
];
const steep = [
  [0.5, 0, 0, 0],
  [1, 1, 1, 1],
];

test("curves that coincide at both signs are one line under all their names", () => {
  const lines = linesApart([...sampled("a", flat), ...sampled("b", steep), ...sampled("c", flat)]);
  assert.deepEqual(lines.map(lineName), ["A = C", "B"]);
});

test("one sign that differs is a line of its own, and so is another grid", () => {
  const lines = linesApart([...sampled("a", flat), ...sampled("b", flat, steep), ...sampled("c", flat.slice(1))]);
  assert.deepEqual(lines.map(lineName), ["A", "B", "C"]);
});

test("rounding is no difference, and nowhere is nowhere", () => {
  const odd = [[1, Number.NaN, Infinity, 1]];
  const near = [[1, Number.NaN, Infinity, 1 + 1e-12]];
  assert.deepEqual(linesApart([...sampled("a", odd), ...sampled("b", near)]).map(lineName), ["A = B"]);
});
