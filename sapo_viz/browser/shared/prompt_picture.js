// The picture in a prompt of the task grid: its text has one digit per cell, from which it is drawn again here.

import { svg } from "./svg.js";

const PICTURE = /⟨image ([01]{4}) ([01]{4}) ([01]{4}) ([01]{4})⟩/; // as models/tasks.py has it
const CELL = 8; // pixels, of which one on each side is paper
const [PAPER, PALE, INK] = ["rgb(250, 250, 248)", "rgb(222, 224, 226)", "rgb(37, 82, 148)"]; // models/pictures.py

/** The occupied cells, row by row, a1 in the upper left corner. @type {(rows: string[]) => string[]} */
export function occupied(rows) {
  return rows.flatMap((row, y) => [...row].flatMap((digit, x) => (digit === "1" ? ["abcd"[x] + (y + 1)] : [])));
}

/**
 * A prompt for people: with the picture that its text tells of, if it does.
 * @param {string} prompt
 * @param {string} label what the picture is called, with {cells}
 * @returns {(Node | string)[]}
 */
export function withPicture(prompt, label) {
  const found = PICTURE.exec(prompt);
  if (!found) return [prompt];
  const cells = occupied(found.slice(1));
  const size = 4 * CELL;
  const squares = [...found.slice(1).join("")].map((digit, i) =>
    svg("rect", {
      x: (i % 4) * CELL + 1,
      y: Math.floor(i / 4) * CELL + 1,
      width: CELL - 2,
      height: CELL - 2,
      fill: digit === "1" ? INK : PALE,
    }),
  );
  const picture = svg(
    "svg",
    {
      class: "prompt-picture",
      viewBox: `0 0 ${size} ${size}`,
      role: "img",
      "aria-label": label.replace("{cells}", cells.join(", ")),
    },
    svg("rect", { width: size, height: size, fill: PAPER }),
    ...squares,
  );
  return [prompt.slice(0, found.index), picture, prompt.slice(found.index + found[0].length)].filter(Boolean);
}
