// What a chat template says about its text: whose turn it is, calls of tools and what they gave back, thought, places
// of images. Only tokens that are such a mark by themselves count; a mark that is spelled out over several is text.

/** @type {[RegExp, string][]} token that is a mark -> what begins there; "" ends a turn, "/" what is within one */
const MARKS = [
  [/^<\|im_start\|>$|^<\|start_header_id\|>$|^<start_of_turn>$|^<\|start\|>$|^<\|turn>$/, "named"],
  [/^<\|im_end\|>$|^<\|eot_id\|>$|^<end_of_turn>$|^<\|end\|>$|^<turn\|>$/, ""],
  [/^<[|｜](system)[|｜]>$/i, "system"],
  [/^<[|｜](user)[|｜]>$|^\[INST\]$/i, "user"],
  [/^<[|｜](assistant)[|｜]>$|^\[\/INST\]$/i, "assistant"],
  [/^<[|｜](tool|observation)[|｜]>$/i, "tool"],
  [/^<tool_call>$|^<function_call>$|^\[TOOL_CALLS\]$|^<｜tool▁calls▁begin｜>$/, "call"],
  [/^<tool_response>$|^\[TOOL_RESULTS\]$|^<｜tool▁outputs▁begin｜>$/, "result"],
  [/^<think>$/, "thought"],
  [/^<\/(tool_call|function_call|tool_response|think)>$|^\[\/TOOL_RESULTS\]$|^<｜tool▁(calls|outputs)▁end｜>$/, "/"],
];
const WITHIN = new Set(["call", "result", "thought"]);
const PAD =
  /^<\|?(image|video|audio)(_pad|_token|_soft_token)?\|?>$|^\[IMG\]$|^<IMG_CONTEXT>$|^<\|patch\|>$|^<\|AUDIO\|>$/i;
const RUN = 4; // so many places in a row are an image of their own
const ROLE = /^\s*(\w[\w-]{0,30})/;

/** @type {(text: string) => string | null} */
function markOf(text) {
  const own = text.trim();
  if (own.length < 4 || own.length > 40 || !/^[<[]/.test(own)) return null;
  return MARKS.find(([mark]) => mark.test(own))?.[1] ?? null;
}

/**
 * The blocks in order, each to the next: who speaks, and what it is within that.
 * @param {string[]} texts distinct ones
 * @param {ArrayLike<number>} token
 * @returns {Block[]}
 */
export function blocksOf(texts, token) {
  const marks = texts.map(markOf);
  const pads = texts.map((text) => padOf(text) !== "");
  if (!marks.some((mark) => mark !== null) && !pads.includes(true)) return [];
  /** @type {Block[]} */
  const blocks = [];
  let role = "";
  let kind = "";
  /** @type {(from: number) => void} */
  const begin = (from) => {
    const last = blocks[blocks.length - 1];
    if (last?.from === from) blocks.pop();
    if (from < token.length) blocks.push({ from, role, kind });
  };
  begin(0);
  for (let i = 0; i < token.length; i++) {
    if (pads[token[i]]) {
      let end = i + 1;
      while (end < token.length && token[end] === token[i]) end++;
      if (end - i >= RUN) {
        const around = kind;
        kind = padOf(texts[token[i]]);
        begin(i);
        kind = around;
        begin(end);
        i = end - 1;
        continue;
      }
    }
    const mark = marks[token[i]];
    if (mark === null) continue;
    if (mark === "" || mark === "/") {
      if (mark === "") role = "";
      kind = "";
      begin(i + (/^\n+$/.test(texts[token[i + 1]] ?? "") ? 2 : 1)); // the line end behind a mark is the mark's
      continue;
    }
    if (WITHIN.has(mark)) kind = mark;
    else {
      kind = "";
      role = mark === "named" ? roleAfter(i, texts, token) : mark;
    }
    begin(i);
  }
  return blocks;
}

// `<|im_start|>` names the role behind itself, in one token or in several.
/** @type {(i: number, texts: string[], token: ArrayLike<number>) => string} */
function roleAfter(i, texts, token) {
  let text = "";
  for (let k = i + 1; k < token.length && k < i + 5 && !/[\s<]/.test(text.trimStart()); k++) text += texts[token[k]];
  return ROLE.exec(text)?.[1] ?? "";
}

// Places of images: a run of one and the same such token. -> which kind, by distinct text.
/** @type {(text: string) => string} */
export function padOf(text) {
  const found = PAD.exec(text.trim());
  return found ? (found[1] ?? (/audio/i.test(text) ? "audio" : "image")).toLowerCase() : "";
}

// ── half characters ───────────────────────────────────────────────────────────────────────────
const BYTES = /⟨([0-9A-F]{2})⟩|^<0x([0-9A-F]{2})>$/g; // as our decoding writes half a character, as sentencepiece does

/**
 * Characters whose bytes are spread over several tokens. token -> [where in its text, how long, the character there, or "" for
 * what follows on it].
 * @param {string[]} texts
 * @param {ArrayLike<number>} token
 * @returns {Map<number, Half[]>}
 */
export function halvesOf(texts, token) {
  const some = texts.map((text) => /⟨[0-9A-F]{2}⟩|^<0x[0-9A-F]{2}>$|[\ud800-\udfff]/.test(text) && hasHalf(text));
  /** @type {Map<number, Half[]>} */
  const found = new Map();
  if (!some.includes(true)) return found;
  /** @type {(place: { i: number; at: number; length: number }, char: string) => void} */
  const put = ({ i, at, length }, char) => {
    const list = found.get(i) ?? [];
    list.push({ at, length, char });
    found.set(i, list);
  };
  /** @type {{ i: number; at: number; length: number; byte: number }[]} */
  let run = [];
  const settle = () => {
    for (let k = 0; k < run.length; ) {
      const size = sizeOf(run[k].byte);
      const own = run.slice(k, k + size);
      const char = size > 1 && own.length === size ? charOf(own.map(({ byte }) => byte)) : "";
      if (char) own.forEach((place, n) => void put(place, n ? "" : char));
      k += char ? size : 1;
    }
    run = [];
  };
  let end = -1; // the token whose last character continues a run
  for (let i = 0; i < token.length; i++) {
    if (!some[token[i]]) continue;
    const text = texts[token[i]];
    const marks = [...text.matchAll(BYTES)];
    for (const mark of marks) {
      const joins = mark.index === 0 ? end === i - 1 : run.at(-1)?.i === i && endOf(run) === mark.index;
      if (!joins) settle();
      run.push({ i, at: mark.index, length: mark[0].length, byte: parseInt(mark[1] ?? mark[2], 16) });
    }
    const last = marks.at(-1);
    end = last && last.index + last[0].length === text.length ? i : -1;
    const next = i + 1 < token.length ? texts[token[i + 1]] : "";
    if (/[\ud800-\udbff]$/.test(text) && /^[\udc00-\udfff]/.test(next)) {
      put({ i, at: text.length - 1, length: 1 }, text.slice(-1) + next[0]);
      put({ i: i + 1, at: 0, length: 1 }, "");
    }
  }
  settle();
  return found;
}

/** @type {(text: string) => boolean} */
function hasHalf(text) {
  return /⟨[0-9A-F]{2}⟩|^<0x/.test(text) || /^[\udc00-\udfff]|[\ud800-\udbff]$/.test(text);
}

/** @type {(run: { at: number; length: number }[]) => number} */
function endOf(run) {
  const last = run[run.length - 1];
  return last.at + last.length;
}

/** @type {(byte: number) => number} */
function sizeOf(byte) {
  return byte >= 0xf0 && byte < 0xf5 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
}

/** @type {(bytes: number[]) => string} */
function charOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
  } catch {
    return "";
  }
}
