// Bars under tokens: as long as the loss, from where the token begins; what is amplified or turned round has its own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { barColour, barPaths } from "../../../sapo_viz/browser/strip/bars.js";
import { fateOf, scaleOf } from "../../../sapo_viz/browser/strip/scales.js";

const places = [0, 1, 2, 3, 4, 5].map((i) => ({ i, left: 10 * i, width: 10, y: 24, rtl: i === 1 }));
const w = Float64Array.from([1, 0.5, 0, 2, -1, 0.2]);
const weighed = { w, c: w, ratio: w };

test("a bar is as long as what is lost and begins where the token does; masked tokens have none", () => {
  assert.deepEqual(barPaths(places, weighed, Uint8Array.of(0, 0, 0, 0, 0, 1)), {
    lost: "M15.0 24h5.0M20.0 24h10.0",
    more: "M30.0 24h10.0",
    reversed: "M40.0 24h10.0",
  });
});

test("what happens to a token has one name", () => {
  assert.deepEqual(
    [...w].map((own) => fateOf(own, own)),
    ["", "dimmed", "cut", "more", "reversed", "dimmed"],
  );
  assert.equal(fateOf(0.97, 0.97), "", "ordinary tokens are ink on paper");
});

test("the same fates have colours that differ, and ordinary has none", () => {
  const own = {
    lost: ["#FFFFFF", "#E06C8A"],
    cut: "#8F1239",
    more: "#F5C400",
    reversed: "#4B2A8C",
    change: ["#000000", "#FFFFFF"],
  };
  const { swatch } = scaleOf("weight", { light: own, dark: own }, false, 1, [49, 51, 63]);
  assert.equal(swatch(0.99), null);
  assert.equal(new Set([0, 0.1, 0.6, 2, -0.3].map((value) => swatch(value).background)).size, 5);
});

test("of two objectives with one colour the later is mixed with ink", () => {
  const [a, b] = [{ color: "#0072B2" }, { color: "#0072B2" }];
  assert.doesNotMatch(barColour(a, [a, b]), /color-mix/);
  assert.match(barColour(b, [a, b]), /color-mix/);
});
