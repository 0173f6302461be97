// Running text out of tokens: paragraphs where line ends break them, lines where there is no more room, which way each
// runs and which are code. Nothing here touches a page; widths are handed in.

const SPACE = /\s/u;
const HAN = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uffef]/u;
const CLOSES = /[,.;:!?)\]}%\u2019\u201d»›…·、。，．：；！？）】》」』〉〕ー々]/u; // begins no line
const OPENS = /[([{\u2018\u201c«‹（【《「『〈〔]/u; // ends none
const AFTER = /[-\u2010\u2013\u2014/]/u; // a word may be parted behind it
const STRONG = /\p{L}/u;
const RIGHT_TO_LEFT =
  /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;
const FENCE = /^ {0,3}(\x60{3}|~~~)/; // three backticks, written so that the linker takes them for no template
const INDENTED = /^( {2,}|\t)\S/;

// What a distinct text says of the lines that it is in; as bits, since 50,000 tokens ask.
const HEAD_SPACE = 1;
const TAIL_SPACE = 2;
const HEAD_HAN = 4;
const TAIL_HAN = 8;
const HEAD_CLOSES = 16;
const TAIL_OPENS = 32;
const TAIL_AFTER = 64;
const BLANK = 128;
const ENDS_LINE = 256;

/** @type {(text: string) => number} */
function bitsOf(text) {
  if (!text) return 0;
  const head = String.fromCodePoint(/** @type {number} */ (text.codePointAt(0)));
  const low = text.charCodeAt(text.length - 1);
  const tail = low >= 0xdc00 && low <= 0xdfff ? text.slice(-2) : text.slice(-1);
  return (
    (SPACE.test(head) ? HEAD_SPACE : 0) |
    (SPACE.test(tail) ? TAIL_SPACE : 0) |
    (HAN.test(head) ? HEAD_HAN : 0) |
    (HAN.test(tail) ? TAIL_HAN : 0) |
    (CLOSES.test(head) ? HEAD_CLOSES : 0) |
    (OPENS.test(tail) ? TAIL_OPENS : 0) |
    (AFTER.test(tail) ? TAIL_AFTER : 0) |
    (text.trim() === "" ? BLANK : 0) |
    (text.includes("\n") ? ENDS_LINE : 0)
  );
}

/** @type {(before: number, after: number) => boolean} */
function mayPart(before, after) {
  if (after & BLANK) return false; // a space hangs at the end of its line
  if (after & HEAD_SPACE || before & TAIL_SPACE) return true;
  if (after & HEAD_CLOSES || before & TAIL_OPENS) return false;
  return !!(before & (TAIL_HAN | TAIL_AFTER) || after & HEAD_HAN);
}

/** @type {(text: string) => boolean | null} */
export function runsLeft(text) {
  for (const char of text) if (STRONG.test(char)) return RIGHT_TO_LEFT.test(char);
  return null;
}

/**
 * A sequence as prose. `parts` are where a block of another kind begins (blocks.js): a line begins there as well.
 * @param {string[]} texts distinct ones
 * @param {ArrayLike<number>} token which text each token has
 * @param {Set<number>} parts
 * @returns {Prose}
 */
export function proseOf(texts, token, parts) {
  const bits = Uint16Array.from(texts, bitsOf);
  const leans = texts.map(runsLeft);
  /** @type {Paragraph[]} */
  const paragraphs = [];
  let from = 0;
  let a = 0;
  /** @type {(to: number, b: number) => void} */
  const close = (to, b) => {
    paragraphs.push({ from, a, to, b, rtl: false, code: false });
  };
  for (let i = 0; i < token.length; i++) {
    if (parts.has(i) && (from < i || a > 0)) {
      close(i, -1);
      [from, a] = [i, 0];
    }
    if (!(bits[token[i]] & ENDS_LINE)) continue;
    const text = texts[token[i]];
    for (let k = text.indexOf("\n"); k >= 0; k = text.indexOf("\n", k + 1)) {
      close(i + 1, k + 1);
      [from, a] = k + 1 < text.length ? [i, k + 1] : [i + 1, 0];
    }
  }
  if (from < token.length) close(token.length, -1);
  let fenced = false;
  let indented = 0;
  let inked = 0;
  let rtl = false; // a paragraph without letters runs as the one before
  for (const paragraph of paragraphs) {
    const head = headOf(paragraph, texts, token);
    if (FENCE.test(head)) {
      paragraph.code = true;
      fenced = !fenced;
    } else paragraph.code = fenced;
    if (head.trim()) inked++;
    if (INDENTED.test(head) && !paragraph.code) indented++;
    for (let i = paragraph.from; i < paragraph.to; i++) {
      const whole = i > paragraph.from || !paragraph.a;
      const left = whole ? leans[token[i]] : runsLeft(texts[token[i]].slice(paragraph.a));
      if (left === null) continue;
      rtl = left;
      break;
    }
    paragraph.rtl = rtl && !paragraph.code;
  }
  // Without fences, a text of which every fifth line is indented is code.
  if (indented >= 3 && indented * 5 >= inked)
    for (const paragraph of paragraphs) Object.assign(paragraph, { code: true, rtl: false });
  return { bits, paragraphs };
}

/** @type {(paragraph: Paragraph, texts: string[], token: ArrayLike<number>) => string} */
function headOf({ from, a, to }, texts, token) {
  let head = texts[token[from]].slice(a);
  for (let i = from + 1; i < to && head.length < 24; i++) head += texts[token[i]];
  const end = head.indexOf("\n");
  return end < 0 ? head : head.slice(0, end);
}

/**
 * Lines within the room that a paragraph has. A word stays whole where it fits a line; a token is never parted but by a line end of its own.
 * @param {Prose} prose
 * @param {ArrayLike<number>} token
 * @param {(paragraph: Paragraph) => number} roomOf
 * @param {(paragraph: Paragraph) => Record<number, number>} widthsOf of the distinct texts that it has
 * @param {(i: number, a: number, b: number, code: boolean) => number} pieceWidth of characters a to b of a token
 * @returns {{ lines: TextLine[]; x: Float32Array }}
 */
export function linesOf({ bits, paragraphs }, token, roomOf, widthsOf, pieceWidth) {
  /** @type {TextLine[]} */
  const lines = [];
  const x = new Float32Array(token.length);
  paragraphs.forEach((paragraph, place) => {
    const { from, a, to, b, code } = paragraph;
    const widths = widthsOf(paragraph);
    const room = roomOf(paragraph);
    let start = from;
    let at = 0;
    let part = -1; // where this line may be parted last
    /** @type {(i: number) => number} */
    const wide = (i) =>
      (i === from && a > 0) || (i === to - 1 && b >= 0)
        ? pieceWidth(i, i === from ? a : 0, i === to - 1 ? b : -1, code)
        : widths[token[i]];
    /** @type {(end: number) => void} */
    const close = (end) => {
      lines.push({
        from: start,
        a: start === from ? a : 0,
        to: end,
        b: end === to ? b : -1,
        paragraph: place,
        goesOn: start > from,
      });
      start = end;
      part = -1;
    };
    for (let i = from; i < to; i++) {
      if (i > start && mayPart(bits[token[i - 1]], bits[token[i]])) part = i;
      const width = wide(i);
      if (i > start && at + width > room && !(bits[token[i]] & BLANK)) {
        const end = part > start ? part : i;
        close(end);
        at = 0;
        for (let k = end; k < i; k++) {
          x[k] = at;
          at += wide(k);
        }
      }
      if (i > from || !a) x[i] = at;
      at += width;
    }
    close(to);
  });
  return { lines, x };
}
