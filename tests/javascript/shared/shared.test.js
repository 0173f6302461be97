// Numbers, axes, colours, bytes and files as all figures have them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { holds, merged } from "../../../sapo_viz/browser/exhibits/values.js";
import { percent, sentence } from "../../../sapo_viz/browser/exhibits/words.js";
import { axisScale, tickText } from "../../../sapo_viz/browser/shared/axis.js";
import {
  byNight,
  hueOn,
  luminance,
  onPage,
  parseColour,
  rampOf,
  shadeOf,
  swatchOf,
} from "../../../sapo_viz/browser/shared/colour.js";
import { csvOf } from "../../../sapo_viz/browser/shared/download.js";
import { mounted } from "../../../sapo_viz/browser/shared/mounted.js";
import { heldWithin, show } from "../../../sapo_viz/browser/shared/numbers.js";
import { unpackArrays } from "../../../sapo_viz/browser/shared/packed.js";
import { crossesPath, dotsPath, linePath, svgDash } from "../../../sapo_viz/browser/shared/svg.js";
import { near } from "../near.js";

test("four digits, exponents at the ends, a real minus, words for what is no number", () => {
  const shown = [0, 1.23456, -0.5, 123456, 0.00001234, Infinity, -Infinity, NaN].map(show);
  assert.deepEqual(shown, ["0", "1.235", "−0.5", "1.23e+5", "1.23e−5", "∞", "−∞", "–"]);
});

test("a log-ratio is held within ±20", () => {
  assert.deepEqual([-25, -20, 0.5, 20, 1e9].map(heldWithin), [-20, -20, 0.5, 20, 20]);
});

test("an axis goes there and back and has round ticks", () => {
  const even = axisScale(0, 10, 100, 0);
  near([even(5), even.inverse(even(3))], [50, 3]);
  assert.deepEqual(even.ticks, [0, 2, 4, 6, 8, 10]);
  const log = axisScale(0.01, 100, 0, 400, true);
  near([log(1), log.inverse(log(7))], [200, 7]);
  assert.deepEqual(log.ticks, [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100]);
  assert.equal(JSON.stringify(even), "[0,10,100,0,false]"); // its trace in a key
});

test("ticks are short", () => {
  assert.deepEqual([12345, 0.5, -2, 1e-4, 2.5e-7].map(tickText), ["12,345", "0.5", "−2", "10⁻⁴", "2.5·10⁻⁷"]);
});

test("in the dark a colour is no dimmer than the knobs, and by day it is as it was", () => {
  for (const hex of ["#0072B2", "#D55E00", "#8C6D46", "#E69F00"])
    assert.ok(luminance(parseColour(byNight(hex))) >= luminance(parseColour("#3890cc")) - 1e-9);
  assert.equal(byNight("#E69F00"), "#e69f00", "what is bright enough stays");
  const theme = { text: "", background: "#ffffff", grid: "", font: "" };
  assert.equal(hueOn("#0072B2", theme), "#0072B2");
  assert.equal(hueOn("#0072B2", { ...theme, background: "rgb(20, 23, 27)" }), byNight("#0072B2"));
  assert.equal(onPage(onPage("#0072B2")), onPage("#0072B2"));
});

test("text on every shade has a contrast of at least 4.5", () => {
  for (const { background, text } of rampOf(["#000000", "#3890cc", "#ffffff"])) {
    const [dark, light] = [background, text].map((colour) => luminance(parseColour(colour))).sort((a, b) => a - b);
    assert.ok((light + 0.05) / (dark + 0.05) >= 4.5, background);
  }
});

test("a shade stands for its share, beyond the ends for the end", () => {
  const ramp = rampOf(["#000000", "#ffffff"]);
  assert.deepEqual(shadeOf(ramp, 0.5), swatchOf([128, 128, 128]));
  assert.equal(shadeOf(ramp, -1), ramp[0]);
  assert.equal(shadeOf(ramp, 7), ramp[100]);
  assert.deepEqual(parseColour("rgba(1, 2, 3, 0.5)"), [1, 2, 3]);
});

test("cells with commas, quotes and line ends are quoted", () => {
  const rows = [
    ["a", 'b"c'],
    [1, "x,y\nz"],
  ];
  assert.equal(csvOf(rows), 'a,"b""c"\r\n1,"x,y\nz"\r\n');
});

test("arrays are unpacked wherever the bytes begin", () => {
  const header = new TextEncoder().encode(
    JSON.stringify({ n: 3, arrays: { z: ["float32", 0, 2], id: ["uint8", 8, 2] } }),
  );
  const bytes = new Uint8Array(1 + 4 + header.length + 10);
  new DataView(bytes.buffer).setUint32(1, header.length, true);
  bytes.set(header, 5);
  bytes.set(new Uint8Array(Float32Array.from([0.5, -2]).buffer), 5 + header.length);
  bytes.set([7, 9], 5 + header.length + 8);
  const { n, arrays } = unpackArrays(bytes.subarray(1));
  assert.equal(n, 3);
  assert.deepEqual(
    [[...arrays.z], [...arrays.id]],
    [
      [0.5, -2],
      [7, 9],
    ],
  );
});

test("a line lifts its pen where there is no number", () => {
  assert.equal(
    linePath([
      [0, 1],
      [1, NaN],
      [2, 3],
      [3, 1e9],
    ]),
    "M0.0,1.0M2.0,3.0L3.0,10000.0",
  );
  assert.deepEqual([linePath([]), dotsPath([]), crossesPath([])], ["M0,0", "M0,0", "M0,0"]);
});

test("line styles are Plotly's", () => {
  assert.deepEqual([svgDash(), svgDash("dash"), svgDash("8px,3px")], [null, "9 9", "8 3"]);
});

test("a case holds where every value that it states is there", () => {
  const values = { tau: 1, ratios: [1, 2], knobs: { a: 3 } };
  assert.ok(holds(values, { tau: 1, knobs: { a: 3 } }));
  assert.ok(!holds(values, { ratios: [1] }));
  assert.deepEqual(merged(values, { knobs: { b: 4 }, ratios: [5] }), { tau: 1, ratios: [5], knobs: { a: 3, b: 4 } });
  assert.deepEqual(values.ratios, [1, 2]);
});

test("a share never rounds to all or nothing", () => {
  const said = [0, 1, 0.5, 0.9999, 0.00001, NaN].map((share) => percent(share));
  assert.deepEqual(said, ["0 %", "100 %", "50 %", ">99.9 %", "<0.1 %", "–"]);
  assert.equal(sentence("{a} of {b} {c}", { a: 1, b: 2 }), "1 of 2 {c}");
});

test("a component keeps its instance until it leaves the page", () => {
  /** @type {string[]} */
  const log = [];
  class Kind {
    /** @param {HTMLElement} parent */
    constructor(parent) {
      log.push(`new in ${parent}`);
    }
    /** @param {number} data */
    update(data) {
      log.push(`${data}`);
    }
    close() {
      log.push("closed");
    }
  }
  const component = mounted(Kind, (data) => data + 1);
  const given = { parentElement: /** @type {any} */ (Object("here")), setStateValue() {}, setTriggerValue() {} };
  component({ ...given, data: 1 });
  component({ ...given, data: 2 })();
  component({ ...given, data: 3 });
  assert.deepEqual(log, ["new in here", "2", "3", "closed", "new in here", "4"]);
});
