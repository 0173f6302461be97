// A token's text, exactly as it is: textContent is the token to the character, and what has no ink of its own
// (spaces, line ends, marks of direction, control characters) is drawn by CSS beside it. Nothing is ever parsed.

import { el } from "../shared/dom.js";

/** @type {Record<string, string>} */
const GLYPHS = { "\n": "⏎", "\t": "⇥", "\u00a0": "⍽" };
const INKLESS = /[\p{Z}\p{C}]/u;
/** @type {Record<string, string>} */
const NAMES = {
  "\u200b": "ZWSP",
  "\u200c": "ZWNJ",
  "\u200d": "ZWJ",
  "\u200e": "LRM",
  "\u200f": "RLM",
  "\u202a": "LRE",
  "\u202b": "RLE",
  "\u202c": "PDF",
  "\u202d": "LRO",
  "\u202e": "RLO",
  "\u2066": "LRI",
  "\u2067": "RLI",
  "\u2068": "FSI",
  "\u2069": "PDI",
  "\ufeff": "BOM",
  "\u00ad": "SHY",
  "\u061c": "ALM",
};

const CONTROLS =
  "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(
    " ",
  );

/** @type {(char: string) => string} */
function glyphOf(char) {
  const code = char.codePointAt(0) ?? 0;
  if (GLYPHS[char]) return GLYPHS[char];
  if (code < 0x20) return CONTROLS[code];
  return NAMES[char] || `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

// A joiner between two letters shapes them (Persian, Hindi, family emoji): there it is part of the text.
/** @type {(chars: string[], index: number) => boolean} */
function joins(chars, index) {
  return (chars[index] === "\u200d" || chars[index] === "\u200c") && index > 0 && index < chars.length - 1;
}

// [text, kind] pieces; kind is "text", "space" or the glyph that stands for one inkless character.
/** @type {(token: string) => [string, string][]} */
export function piecesOf(token) {
  if (!INKLESS.test(token)) return [[token, "text"]];
  /** @type {[string, string][]} */
  const pieces = [];
  const chars = [...token];
  chars.forEach((char, index) => {
    const kind = char === " " ? "space" : INKLESS.test(char) && !joins(chars, index) ? glyphOf(char) : "text";
    const last = pieces[pieces.length - 1];
    if (kind === "text" && last && last[1] === "text") last[0] += char;
    else pieces.push([char, kind]);
  });
  return pieces;
}

// What is seen of a token, for measuring its width.
/** @type {(token: string) => string} */
export function inkOf(token) {
  if (token === "") return "∅";
  return INKLESS.test(token)
    ? piecesOf(token)
        .map(([text, kind]) => (kind === "text" || kind === "space" ? text : kind))
        .join("")
    : token;
}

// As running text: blanks are blanks. `halves` are the characters that the token has a part of (blocks.js): the whole
// character stands where it begins.
/** @type {<T extends Element>(parent: T, text: string, halves?: Half[]) => T} */
export function appendProse(parent, text, halves = []) {
  if (text === "") parent.append(markOf("∅", ""));
  if (/^\p{M}/u.test(text)) parent.append(markOf("◌", ""));
  let done = 0;
  for (const { at, length, char } of halves) {
    appendPieces(parent, text.slice(done, at));
    parent.append(markOf(char || "◦", text.slice(at, at + length), char ? "whole" : "half"));
    done = at + length;
  }
  appendPieces(parent, done ? text.slice(done) : text);
  return parent;
}

/** @type {(parent: Element, text: string) => void} */
function appendPieces(parent, text) {
  let plain = "";
  for (const [piece, kind] of piecesOf(text)) {
    if (kind === "text" || kind === "space") {
      plain += piece;
      continue;
    }
    if (plain) parent.append(plain);
    plain = "";
    parent.append(markOf(kind, piece));
  }
  if (plain) parent.append(plain);
}

/** @type {(glyph: string, text: string, half?: string) => HTMLElement} */
function markOf(glyph, text, half) {
  return el("i", { class: "tok-mark", "data-glyph": glyph, "data-half": half }, text);
}

/** @type {<T extends Element>(parent: T, token: string, limit?: number) => T} */
export function appendToken(parent, token, limit = Infinity) {
  if (token === "") parent.append(el("i", { class: "tok-mark", "data-glyph": "∅" }));
  // A combining mark alone would sit on the token before it: give it a circle to sit on.
  if (/^\p{M}/u.test(token)) parent.append(el("i", { class: "tok-mark", "data-glyph": "◌" }));
  let left = limit;
  for (const [text, kind] of piecesOf(token.length > limit ? token.slice(0, limit) : token)) {
    if (left <= 0) break;
    left -= text.length;
    if (kind === "text") parent.append(text);
    else if (kind === "space") parent.append(el("i", { class: "tok-space" }, text));
    else parent.append(el("i", { class: "tok-mark", "data-glyph": kind }, text));
  }
  return parent;
}

// As a string literal would spell it, so that what has no ink of its own, or half a character, can be read off.
/** @type {(token: string) => string} */
export function escapedOf(token) {
  /** @type {Record<string, string>} */
  const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };
  return [...(token.length > 2000 ? `${token.slice(0, 2000)}…` : token)]
    .map((char) => {
      if (short[char]) return short[char];
      const code = char.codePointAt(0) ?? 0;
      const inkless = char !== " " && (INKLESS.test(char) || /\p{M}/u.test(char) || char === "\ufffd");
      return inkless ? `\\u{${code.toString(16)}}` : char;
    })
    .join("");
}

// For a voice: names for what has none.
/** @type {(token: string) => string} */
export function spokenText(token) {
  return piecesOf(token)
    .map(([text, kind]) => (kind === "text" || kind === "space" ? text : ` ${glyphName(text)} `))
    .join("");
}

/** @type {(char: string) => string} */
function glyphName(char) {
  return { "\n": "LF", "\t": "TAB", "\u00a0": "NBSP" }[char] || glyphOf(char);
}
