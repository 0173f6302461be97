// Which cells of a prompt's picture are occupied, as models/tasks.py names them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { occupied, withPicture } from "../../../sapo_viz/browser/shared/prompt_picture.js";

test("cells are named by column and row, from the upper left corner", () => {
  assert.deepEqual(occupied(["0110", "1000", "0000", "0001"]), ["b1", "c1", "a2", "d4"]);
});

test("a prompt without a picture is its text", () => {
  assert.deepEqual(withPicture("864+394=", ""), ["864+394="]);
  assert.deepEqual(withPicture("⟨image 0110⟩", ""), ["⟨image 0110⟩"]);
});
