// Which runs of the table stand together.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sectionsOf } from "../../../sapo_viz/browser/live/sections.js";

const usual = { task: "addition", source: "SAPO Viz" };
const run = (id, about) => ({ id, about: { objective_label: "SAPO", settings: {}, ...about } });
const told = (runs, by) => sectionsOf(runs, by, usual).map(({ key, label, runs }) => [key, label, runs.length]);

test("sections stand in the order of their first runs, and what is not known comes last", () => {
  const runs = [
    run("a", { recorded: "TRL 1.16.0" }),
    run("b", { settings: { task: "chain" }, experiment: "Calm" }),
    run("c", { objective_label: "GRPO" }),
  ];
  assert.deepEqual(told(runs, "objective"), [
    ["SAPO", "SAPO", 2],
    ["GRPO", "GRPO", 1],
  ]);
  assert.deepEqual(told(runs, "source"), [
    ["TRL-1.16.0", "TRL 1.16.0", 1],
    ["SAPO-Viz", "SAPO Viz", 2],
  ]);
  assert.deepEqual(told(runs, "task"), [
    ["chain", "chain", 1],
    ["addition", "addition", 1],
    ["-", "", 1],
  ]);
  assert.deepEqual(told(runs, "experiment"), [
    ["Calm", "Calm", 1],
    ["-", "", 2],
  ]);
});
