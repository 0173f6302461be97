// The day's colours of Python's figures, by night.

import assert from "node:assert/strict";
import { test } from "node:test";
import { hueRules } from "../../../sapo_viz/browser/page/hues.js";

test("a colour that is too dim by night is lighter there, as line and as ground, once however often it is named", () => {
  const rules = hueRules(["#0072B2", "#0072B2"]).split("\n");
  assert.equal(rules.length, 2);
  assert.match(rules[0], /^\.stPlotlyChart \[style\*="stroke: rgb\(0, 114, 178\)"\]\{stroke:light-dark\(#0072B2, #/);
  assert.match(rules[1], /fill: rgb\(0, 114, 178\)/);
});
