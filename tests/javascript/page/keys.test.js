import assert from "node:assert/strict";
import { test } from "node:test";
import { isTyping, presentKey } from "../../../sapo_viz/browser/page/keys.js";

const press = (key, more = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, ...more });

test("P presents and ends it, Escape only ends it", () => {
  assert.equal(presentKey(press("p"), false), "present");
  assert.equal(presentKey(press("P"), true), "present");
  assert.equal(presentKey(press("Escape"), false), "");
  assert.equal(presentKey(press("Escape"), true), "present");
});

test("C shows the controls of what is presented", () => {
  assert.equal(presentKey(press("c"), true), "controls");
  assert.equal(presentKey(press("c"), false), "");
});

test("Ctrl+P still prints and Ctrl+C still copies", () => {
  assert.equal(presentKey(press("p", { ctrlKey: true }), false), "");
  assert.equal(presentKey(press("c", { metaKey: true }), true), "");
});

test("a letter in a field is text", () => {
  for (const type of ["text", "search", "number"]) assert.ok(isTyping({ tagName: "INPUT", type }));
  assert.ok(isTyping({ tagName: "TEXTAREA" }));
  assert.ok(isTyping({ tagName: "SELECT" }), "there it chooses an option");
  assert.ok(isTyping({ tagName: "DIV", isContentEditable: true }));
});

test("a slider that was just dragged takes no letters", () => {
  assert.ok(!isTyping({ tagName: "BUTTON" }));
  for (const type of ["range", "checkbox", "radio"]) assert.ok(!isTyping({ tagName: "INPUT", type }));
});
