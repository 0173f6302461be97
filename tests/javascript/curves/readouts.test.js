// What the read-out says of a gate, where it can be worked out by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { densityLine } from "../../../sapo_viz/browser/curves/density.js";
import { ratioGrid, samplePoints } from "../../../sapo_viz/browser/curves/points.js";
import { gateFacts, keptShare, matchKnob, tokensAt } from "../../../sapo_viz/browser/curves/readouts.js";
import { FORMULAS } from "../../../sapo_viz/browser/formulas.js";
import { near } from "../near.js";

const BAND = { eps_low: 0.2, eps_high: 0.2 };

/** @type {(got: number, wanted: number, within: number) => void} */
function close(got, wanted, within) {
  assert.ok(Math.abs(got - wanted) <= within, `${got} is not ${wanted}`);
}

test("a clip is open inside its band and damps harmful moves only", () => {
  const up = gateFacts(FORMULAS.grpo, BAND, 0, 1);
  assert.equal(up.half[0], 0); // A > 0: nothing is clipped below
  close(up.half[1], 1.2, 1e-6);
  close(up.peak.r, 1.2, 1e-5);
  assert.deepEqual([up.harmful, up.corrective], [true, false]);
  const down = gateFacts(FORMULAS.grpo, BAND, 0, -1);
  close(down.half[0], 0.8, 1e-6);
  assert.equal(down.half[1], Infinity);
  assert.deepEqual(down.peak, { r: Infinity, value: Infinity }); // w = 1 beyond: c = r grows without bound
});

test("a soft gate damps both sides", () => {
  const { half, harmful, corrective } = gateFacts(FORMULAS.sapo, { tau_pos: 1, tau_neg: 1.05 }, 0, 1);
  assert.deepEqual([harmful, corrective], [true, true]);
  // sech²((r − 1)/2) = ½ at r = 1 ± 2·arcosh √2; below, that lies beyond 0
  close(half[1], 1 + 2 * Math.acosh(Math.SQRT2), 1e-5);
  assert.equal(half[0], 0);
});

test("of a Gaussian in log r a clip keeps what lies inside", () => {
  // Φ(log 1.2 / 0.2) = Φ(0.9116) = 0.819, and for A < 0: 1 − Φ(log 0.8 / 0.2) = Φ(1.1157) = 0.868
  const tokens = tokensAt({}, 0.2);
  close(keptShare(FORMULAS.grpo, BAND, 0, 1, tokens), 0.819, 1e-3);
  close(keptShare(FORMULAS.grpo, BAND, 0, -1, tokens), 0.868, 1e-3);
});

test("the matching knob keeps the same share, and what cannot be kept is said to be out of reach", () => {
  const tokens = tokensAt({}, 0.2);
  const spec = { lo: 0.05, hi: 20, ui_lo: 0.05, ui_hi: 20, scale: "log", step: 0.05 };
  const knobs = { tau_pos: 1, tau_neg: 1.05 };
  const tau = matchKnob(FORMULAS.sapo, knobs, "tau_pos", spec, 1, tokens, 0.819);
  assert.ok(tau !== null);
  close(keptShare(FORMULAS.sapo, { ...knobs, tau_pos: tau }, 0, 1, tokens), 0.819, 2e-3);
  assert.equal(matchKnob(FORMULAS.sapo, knobs, "tau_pos", { ...spec, hi: 0.1 }, 1, tokens, 0.5), null);
});

test("a file's ratios count as they are", () => {
  // one token in four at r = 2.5, beyond the band: three quarters are kept
  const tokens = tokensAt({ z: [0, 0, 0, Math.log(2.5)] }, 0.2);
  near(keptShare(FORMULAS.grpo, BAND, 0, 1, tokens), 0.75);
  assert.equal(Math.max(...densityLine(tokens, 0.5).map(([, y]) => y)), 0.5);
});

test("a jump stands upright", () => {
  const points = samplePoints(FORMULAS.grpo, 1, BAND, 0, ratioGrid({ kind: "linear", lo: 0, hi: 3 }, null));
  const [before, after] = [points.findLast((p) => p[2] > 0.5), points.find((p) => p[2] === 0)];
  assert.ok(before && after && after[0] - before[0] < 1e-8 && Math.abs(after[0] - 1.2) < 1e-8);
});

test("what a zoom shows is sampled finely too", () => {
  const grid = ratioGrid({ kind: "log", lo: 0.1, hi: 10 }, [0.99, 1.01]);
  assert.equal(grid.filter((r) => r >= 0.99 && r <= 1.01).length >= 121, true);
  near([grid[0], grid.at(-1)], [0.1, 10]);
});

test("the outline of a file's tokens is smooth, and few tokens far away do not blur it", () => {
  const near1 = Array.from({ length: 400 }, (_, i) => 0.1 * Math.sin(i)); // within 0.1 of log r = 0
  const line = densityLine(tokensAt({ z: [...near1, -5.5, 5] }, 0.2), 0.5);
  const high = line.filter(([, y]) => y > 0.05).map(([r]) => Math.log(r));
  assert.ok(Math.min(...high) > -0.25 && Math.max(...high) < 0.25);
  assert.ok(line.every(([r, y]) => Number.isFinite(r) && y >= 0) && line.length < 700);
  assert.deepEqual(densityLine(tokensAt({ z: [20] }, 0.2), 0.5), []);
});
