// Prompts that somebody typed after a run, answered by the policy that it began with and by the trained one; each answer
// leads to its tokens, which both have scored.

import { el } from "../shared/dom.js";
import { linkTo } from "../shared/link_to.js";
import { mounted } from "../shared/mounted.js";
import { partsOf, rowOf } from "./answers.js";
import "./answers.css";
import "../shared/prompt_picture.css";

/** @type {(data: AskedData, place: number, who: string) => HTMLElement[]} */
const rowsOf = ({ words, run, number, start, now }, place, who) => {
  const before = start[place].completion;
  /** @type {(sequence: number) => (Node | string)[]} */
  const tokens = (sequence) => [
    " ",
    linkTo(
      `tokens?run=${encodeURIComponent(run)}&asked=${number}&seq=${sequence}`,
      { title: words.tokens_help },
      words.tokens,
    ),
  ];
  return [
    rowOf([words.start, ...tokens(2 * place + 2)], start[place], before),
    rowOf([who, ...tokens(2 * place + 1)], now[place], before),
  ];
};

class Asked {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.table = el("table", { class: "answers", "data-testid": "asked" });
    parent.append(this.table);
  }

  /** @param {AskedData} data */
  update(data) {
    const asked = data.now.map(({ prompt }, place) => ({ prompt, rows: rowsOf(data, place, data.words.trained) }));
    this.table.replaceChildren(...partsOf(data.words, asked));
  }

  close() {
    this.table.remove();
  }
}

export default mounted(Asked);
