// What chat templates mark: turns, tools, thought, places of images; and characters whose bytes lie in several tokens.

import assert from "node:assert/strict";
import { test } from "node:test";
import { blocksOf, halvesOf, padOf } from "../../../sapo_viz/browser/strip/blocks.js";

const coded = (tokens) => {
  const texts = [...new Set(tokens)];
  return [texts, tokens.map((text) => texts.indexOf(text))];
};
const blocks = (...tokens) => blocksOf(...coded(tokens)).map(({ from, role, kind }) => [from, role, kind]);
const halves = (...tokens) => [...halvesOf(...coded(tokens))].map(([i, own]) => [i, own.map(({ char }) => char)]);

test("turns of a chat, and a call within one", () => {
  assert.deepEqual(
    blocks(
      "<|im_start|>",
      "user",
      "\n",
      "Hi",
      "<|im_end|>",
      "\n",
      "<|im_start|>",
      "assist",
      "ant",
      "\n",
      "<tool_call>",
      "x",
      "</tool_call>",
      "so",
    ),
    [
      [0, "user", ""],
      [6, "assistant", ""],
      [10, "assistant", "call"],
      [13, "assistant", ""],
    ],
  );
});

test("text without marks is no block, and a mark spelled over several tokens is text", () => {
  assert.deepEqual(blocks("Hello", " <", "think", ">"), []);
});

test("a row of image places is a block, a single one is not", () => {
  const row = blocks("See", ...Array(5).fill("<|image_pad|>"), "there");
  assert.deepEqual(row, [
    [0, "", ""],
    [1, "", "image"],
    [6, "", ""],
  ]);
  assert.equal(padOf("<image>"), "image");
  assert.equal(padOf("<|AUDIO|>"), "audio");
  assert.equal(padOf("image"), "");
});

test("bytes of one character in several tokens give the character once", () => {
  assert.deepEqual(halves("a ⟨E4⟩⟨BD⟩", "⟨A0⟩", "⟨E5⟩", "⟨A5⟩⟨BD⟩"), [
    [0, ["你", ""]],
    [1, [""]],
    [2, ["好"]],
    [3, ["", ""]],
  ]);
  assert.deepEqual(halves("<0xF0>", "<0x9F>", "<0x98>", "<0x80>"), [
    [0, ["😀"]],
    [1, [""]],
    [2, [""]],
    [3, [""]],
  ]);
  assert.deepEqual(halves("\ud83d", "\ude00"), [
    [0, ["😀"]],
    [1, [""]],
  ]);
});

test("bytes that make no character stay bytes", () => {
  assert.deepEqual(halves("⟨E4⟩", "x", "⟨BD⟩", "⟨FF⟩"), []);
});
