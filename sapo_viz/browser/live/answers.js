// Held-out questions, answered by the policy that a run began with and by what has become of it: both greedy, so that a
// difference is the training's. What an answer does not share with the start's is underlined.

import { el } from "../shared/dom.js";
import { show } from "../shared/numbers.js";
import { withPicture } from "../shared/prompt_picture.js";
import { nearestOf } from "./math.js";
import { swatch } from "./swatch.js";

const RUNS = 3; // beside the start

/** A word, a space, or one sign: numbers differ by digits. @type {(text: string) => string[]} */
export function piecesOf(text) {
  return text.match(/\p{L}[\p{L}\p{M}’']*|\s+|./gsu) ?? [];
}

// `after` in stretches, each with whether the longest sequence that it shares with `before` lacks it.
/** @type {(before: string, after: string) => { text: string; fresh: boolean }[]} */
export function changesOf(before, after) {
  const [old, now] = [piecesOf(before), piecesOf(after)];
  const wide = now.length + 1;
  const shared = new Uint16Array((old.length + 1) * wide); // of the rests from i and from j on
  for (let i = old.length - 1; i >= 0; i--)
    for (let j = now.length - 1; j >= 0; j--)
      shared[i * wide + j] =
        old[i] === now[j]
          ? shared[(i + 1) * wide + j + 1] + 1
          : Math.max(shared[(i + 1) * wide + j], shared[i * wide + j + 1]);
  /** @type {{ text: string; fresh: boolean }[]} */
  const found = [];
  /** @type {(text: string, fresh: boolean) => void} */
  const add = (text, fresh) => {
    const last = found.at(-1);
    if (last?.fresh === fresh) last.text += text;
    else found.push({ text, fresh });
  };
  let i = 0;
  for (let j = 0; j < now.length; ) {
    if (i < old.length && old[i] === now[j]) {
      add(now[j++], false);
      i++;
    } else if (i < old.length && shared[(i + 1) * wide + j] >= shared[i * wide + j + 1]) i++;
    else add(now[j++], true);
  }
  return found;
}

// The start's answers and those of the look nearest to a step; without a step the last.
/** @type {(run: Run, step: number | null) => { start: Answer[]; step: number; now: Answer[] } | undefined} */
export function answersAt(run, step) {
  const start = run.events.find((event) => event.type === "start" && event.answers?.length);
  const looks = run.steps.filter((event) => event.answers?.length);
  const steps = looks.map((event) => event.step);
  const at = nearestOf(steps, step ?? Number(steps.at(-1)));
  const look = looks.find((event) => event.step === at);
  return start?.answers && look?.answers && { start: start.answers, step: look.step, now: look.answers };
}

export class LiveAnswers {
  /** @param {LiveLab} lab */
  constructor(lab) {
    this.lab = lab;
    this.title = el("summary", {});
    this.key = el("p", { class: "scrub-note" });
    this.table = el("table", { class: "answers" });
    this.host = el("details", { class: "live-scrub", open: true, "data-testid": "answers" }, this.title, this.key);
    this.host.append(this.table);
    this.host.hidden = true;
    /** @type {Group[]} */
    this.groups = [];
    this.drawn = "";
  }

  /** @param {Group[]} groups */
  fill(groups) {
    this.groups = groups;
    this.draw();
  }

  // One run of each drawn setting, as far as they have any.
  draw() {
    const { view, words } = this.lab;
    const told = this.groups
      .filter((group) => !group.hidden)
      .flatMap((group) => {
        const run = group.runs.find((each) => answersAt(each, view.scrub));
        const found = run && answersAt(run, view.scrub);
        return run && found ? [{ run, group, ...found }] : [];
      })
      .slice(0, RUNS);
    this.host.hidden = !told.length;
    const key = JSON.stringify([
      told.map(({ run, group, step }) => [run.id, run.about.title, step, group.color, group.dash]),
    ]);
    if (key === this.drawn) return;
    this.drawn = key;
    this.title.textContent = words.answers.title;
    this.key.textContent = words.answers.key;
    /** @type {Map<string, { answer: Answer; rows: HTMLElement[] }>} */
    const questions = new Map();
    for (const { run, group, start, now, step } of told) {
      const before = new Map(start.map((answer) => [answer.prompt, answer]));
      for (const answer of now) {
        const own = before.get(answer.prompt);
        if (!own) continue;
        const name = JSON.stringify([own.prompt, own.completion]);
        const question = questions.get(name) ?? {
          answer: own,
          rows: [rowOf([words.answers.start], own, own.completion)],
        };
        questions.set(name, question);
        const who = [swatch(group), run.about.title, el("small", {}, ` ${words.step} ${step}`)];
        question.rows.push(rowOf(who, answer, own.completion));
      }
    }
    const asked = [...questions.values()].map(({ answer, rows }) => ({ prompt: answer.prompt, rows }));
    this.table.replaceChildren(...partsOf(words.answers, asked));
  }
}

// The parts of a table: a head, and each prompt over the answers to it.
/** @type {(words: Words, asked: { prompt: string; rows: HTMLElement[] }[]) => HTMLElement[]} */
export function partsOf(words, asked) {
  return [
    el("thead", {}, el("tr", {}, ...[words.who, words.answer, words.worth].map(headOf))),
    ...asked.map(({ prompt, rows }) =>
      el(
        "tbody",
        {},
        el("tr", {}, el("th", { colspan: 3, scope: "rowgroup", dir: "auto" }, ...withPicture(prompt, words.picture))),
        ...rows,
      ),
    ),
  ];
}

/** @type {(text: string) => HTMLElement} */
function headOf(text) {
  return el("th", { scope: "col" }, text);
}

/** @type {(who: (Node | string)[], answer: Answer, before: string) => HTMLElement} */
export function rowOf(who, answer, before) {
  const parts = changesOf(before, answer.completion).map(({ text, fresh }) => (fresh ? el("ins", {}, text) : text));
  return el(
    "tr",
    {},
    el("td", {}, ...who),
    el("td", { dir: "auto" }, ...(parts.length ? parts : ["∅"])),
    el("td", {}, answer.reward === null ? "–" : show(answer.reward)),
  );
}
