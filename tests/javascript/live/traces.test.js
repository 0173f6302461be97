// The lines of a panel, on numbers of two runs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { drawnOf, tracesOf } from "../../../sapo_viz/browser/live/traces.js";

/** @type {any} */
const series = { metric: "kl", label: "KL", width: 2, instead: { metric: "k1", label: "KL, k1" } };
/** @type {(name: string, ...metrics: object[]) => any} */
const group = (name, ...metrics) => ({
  name,
  color: "#000",
  dash: "solid",
  runs: [{ id: name, about: { title: name }, events: [], steps: metrics.map((m, i) => ({ step: i + 1, metrics: m })) }],
});
/** @type {any} */
const view = { x: "step", smooth: 0, band: "range" };

test("a run that logs only the metric that stands in is drawn with it, under that name", () => {
  const [own, theirs] = [group("ours", { kl: 0.1, k1: 0.3 }), group("verl", { k1: 0.2 }, { k1: -0.1 })];
  /** @type {any} */
  const panel = { spec: { series: [series], span: 1 }, logy: false };
  const traces = /** @type {any[]} */ (tracesOf(panel, [own, theirs], view, /** @type {any} */ ({})));
  assert.deepEqual(
    traces.map(({ name, y }) => [name, y]),
    [
      ["ours", [0.1]],
      ["verl KL, k1", [0.2, -0.1]],
    ],
  );
  assert.equal(drawnOf(series, own).instead, false);
});

test("nothing stands in where there is nothing at all", () => {
  assert.equal(drawnOf(series, group("new")).metric, "kl");
});
