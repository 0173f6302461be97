// Panels over a height that is given.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fitted } from "../../../sapo_viz/browser/curves/fitted.js";
import { near } from "../near.js";

const layout = {
  height: 640,
  margin: { t: 40, b: 60 },
  xaxis: { domain: [0, 0.5], title: { text: "ratio r (s for some)" } },
  yaxis: { domain: [0.56, 1] },
  yaxis2: { domain: [0.56, 1] },
  yaxis3: { domain: [0, 0.44] },
  annotations: [{ y: 1 }, { y: 1 }, { y: 0.44 }],
};

test("rows share the height, with room for ticks and a title between them", () => {
  const { height, yaxis, yaxis2, yaxis3, annotations } = fitted(layout, 400, 900);
  assert.equal(height, 400);
  const gap = 62 / 300; // of 400 − 40 − 60 pixels
  near(yaxis.domain, [(1 + gap) / 2, 1]);
  near(yaxis2.domain, yaxis.domain);
  near(yaxis3.domain, [0, (1 - gap) / 2]);
  near(
    annotations.map(({ y }) => y),
    [1, 1, (1 - gap) / 2],
  );
  near(layout.yaxis.domain, [0.56, 1]); // the layout itself stays
});

test("below a height at which panels can be read the page scrolls", () => {
  assert.equal(fitted(layout, 120, 900).height, 300);
});

test("what stands in brackets below a panel is left out where it is too narrow for it", () => {
  assert.equal(fitted(layout, 400, 900).xaxis.title.text, "ratio r (s for some)");
  assert.equal(fitted(layout, 400, 400).xaxis.title.text, "ratio r");
});
