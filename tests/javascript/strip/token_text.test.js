// Token text is data: every character is there once, and what has no ink of its own gets a mark beside it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { escapedOf, inkOf, spokenText } from "../../../sapo_viz/browser/strip/token_text.js";

test("spaces and line ends, controls and marks of direction get a glyph", () => {
  assert.equal(inkOf("a\n\tb"), "a⏎⇥b");
  assert.equal(inkOf("\u0000\u001b\u200b\u202e\ufeff\u00a0"), "NULESCZWSPRLOBOM⍽");
  assert.equal(inkOf("\ue000"), "U+E000");
  assert.equal(inkOf(""), "∅");
});

test("a joiner between two letters is part of the text, at an end it is not", () => {
  assert.equal(inkOf("👩\u200d👧"), "👩\u200d👧");
  assert.equal(inkOf("\u200da"), "ZWJa");
});

test("markup stays text", () => {
  for (const text of ["<think>", "</td>", "&amp;", "<img src=x onerror=alert(1)>"]) assert.equal(inkOf(text), text);
});

test("a literal spells what cannot be seen", () => {
  assert.equal(escapedOf("a\\\n\r\t"), "a\\\\\\n\\r\\t");
  assert.equal(escapedOf("\u200b \u0301\ufffd"), "\\u{200b} \\u{301}\\u{fffd}");
  assert.equal(escapedOf("x".repeat(2001)), `${"x".repeat(2000)}…`);
});

test("a voice has names for what has none", () => {
  assert.equal(spokenText("a\n"), "a LF ");
  assert.equal(spokenText("\u00a0"), " NBSP ");
});
