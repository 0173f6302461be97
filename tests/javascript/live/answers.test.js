// What is new in an answer, and which look it is of.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answersAt, changesOf, piecesOf } from "../../../sapo_viz/browser/live/answers.js";

test("numbers differ by digits, sentences by words", () => {
  assert.deepEqual(piecesOf("It’s 12.5 m"), ["It’s", " ", "1", "2", ".", "5", " ", "m"]);
  assert.deepEqual(changesOf("1258", "1248"), [
    { text: "12", fresh: false },
    { text: "4", fresh: true },
    { text: "8", fresh: false },
  ]);
  assert.deepEqual(changesOf("a dull day", "a great day, great"), [
    { text: "a ", fresh: false },
    { text: "great", fresh: true },
    { text: " day", fresh: false },
    { text: ", great", fresh: true },
  ]);
});

test("what is the same has nothing new, and nothing at all has no parts", () => {
  assert.deepEqual(changesOf("yes", "yes"), [{ text: "yes", fresh: false }]);
  assert.deepEqual(changesOf("yes", ""), []);
  assert.deepEqual(changesOf("", "no"), [{ text: "no", fresh: true }]);
});

test("the look nearest to a step is told, without one the last, and none without the start's answers", () => {
  const answer = (completion) => [{ prompt: "1+1=", completion, reward: 1 }];
  const steps = [1, 10, 20].map((step) => ({
    type: "step",
    step,
    metrics: {},
    answers: step > 1 ? answer(`${step}`) : undefined,
  }));
  const start = { type: "start", step: 0, metrics: {}, answers: answer("0") };
  const run = (events) => ({ id: "r", about: { title: "r" }, events, steps });
  assert.deepEqual(answersAt(run([start, ...steps]), null), { start: answer("0"), step: 20, now: answer("20") });
  assert.equal(answersAt(run([start, ...steps]), 2)?.step, 10);
  assert.equal(answersAt(run(steps), null), undefined);
});
