// Lines of running text: words stay whole, line ends of tokens break, Chinese breaks between characters, Arabic runs left.

import assert from "node:assert/strict";
import { test } from "node:test";
import { linesOf, proseOf, runsLeft } from "../../../sapo_viz/browser/strip/prose.js";

const wide = (text) => text.replace(/\n/g, "").length; // every character is one wide

function broken(tokens, room, parts = new Set()) {
  const texts = [...new Set(tokens)];
  const token = tokens.map((text) => texts.indexOf(text));
  const prose = proseOf(texts, token, parts);
  const { lines, x } = linesOf(
    prose,
    token,
    () => room,
    () => texts.map(wide),
    (i, a, b) => wide(tokens[i].slice(a, b < 0 ? undefined : b)),
  );
  const shown = lines.map(({ from, a, to, b }) =>
    tokens
      .slice(from, to)
      .map((text, k) => text.slice(k ? 0 : a, k === to - from - 1 && b >= 0 ? b : undefined))
      .join(""),
  );
  return { shown, lines, x, paragraphs: prose.paragraphs };
}

test("a word of several tokens goes to the next line whole, one that fits no line is parted between tokens", () => {
  assert.deepEqual(broken(["To", " find", " out", "come", "s"], 12).shown, ["To find", " outcomes"]);
  assert.deepEqual(broken(["2", "+", "3", "=", "5"], 3).shown, ["2+3", "=5"]);
});

test("nothing is lost and nothing is twice, whatever the room", () => {
  const tokens = ["a", " b\n", "\n\n", "c\n  d", " e", "", "\r\n", "中文", "，", "字", "x".repeat(40), " ", "  "];
  for (const room of [1, 3, 7, 20, 1000]) assert.equal(broken(tokens, room).shown.join(""), tokens.join(""));
});

test("each line end ends its line, within a token too", () => {
  const { shown, lines } = broken(["if x:", "\n    ", "return", " y.", "\n\n", "z"], 100);
  assert.deepEqual(shown, ["if x:\n", "    return y.\n", "\n", "z"]);
  assert.deepEqual(
    lines.map(({ from, a }) => [from, a]),
    [
      [0, 0],
      [1, 1],
      [4, 1],
      [5, 0],
    ],
  );
});

test("Chinese breaks between characters, but no line begins with a stop or ends with an opening bracket", () => {
  assert.deepEqual(broken(["我", "们", "算", "，", "好"], 3).shown, ["我们", "算，好"]);
  assert.deepEqual(broken(["我", "们", "（", "好", "）"], 3).shown, ["我们", "（好）"]);
});

test("a blank hangs at the end of its line", () => {
  assert.deepEqual(broken(["abc", " ", "def"], 3).shown, ["abc ", "def"]);
});

test("a paragraph runs as its first letter does, one without letters as the one before", () => {
  assert.equal(runsLeft("12 — "), null);
  const { paragraphs } = broken(["12 ", "سلام", " abc", "\n", "12\n", "abc", " سلام"], 100);
  assert.deepEqual(
    paragraphs.map(({ rtl }) => rtl),
    [true, true, false],
  );
});

test("what stands between fences is code, and so is a text of indented lines", () => {
  const fenced = broken(["See:\n", "``", "`py\n", "x=1\n", "```\n", "so"], 100).paragraphs;
  assert.deepEqual(
    fenced.map(({ code }) => code),
    [false, true, true, true, false],
  );
  const bare = broken(["def f():\n", "    a\n", "    b\n", "    c\n"], 100).paragraphs;
  assert.ok(bare.every(({ code }) => code));
});

test("a block begins on a line of its own", () => {
  assert.deepEqual(broken(["a", "<tool_call>", "b"], 100, new Set([1])).shown, ["a", "<tool_call>b"]);
});
