// The same answers over training: two of the starting policy's, scored again at every snapshot. A token is as deep as
// it is likely now; behind the answer stands what has become of it since the start.

import { el } from "../shared/dom.js";
import { show } from "../shared/numbers.js";
import { withPicture } from "../shared/prompt_picture.js";
import { nearestOf } from "./math.js";

/** @type {(run: Run, step: number) => Probe[]} */
export function probesAt(run, step) {
  const told = run.events.filter((event) => event.type === "sample" && event.probes);
  const near = nearestOf(
    told.map((event) => event.step),
    step,
  );
  return told.find((event) => event.step === near)?.probes ?? [];
}

// π of a whole answer.
/** @type {(logprobs: number[]) => number} */
function likelihood(logprobs) {
  return Math.exp(logprobs.reduce((sum, value) => sum + value, 0));
}

/** @type {(place: HTMLElement, probes: Probe[], look: { shade: (w: number) => Swatch }, words: Words) => void} */
export function drawProbes(place, probes, look, words) {
  place.hidden = !probes.length;
  place.replaceChildren(
    ...(probes.length ? [el("small", {}, words.probe)] : []),
    ...probes.map((probe) => {
      const spans = probe.tokens.map((token, i) => {
        const now = Math.exp(probe.logprobs[i]);
        const before = Math.exp(probe.start_logprobs[i]);
        const span = el(
          "span",
          { title: `π ${show(now)}, ${words.at_start} ${show(before)}`, "data-p": now.toFixed(4) },
          token.replaceAll("\n", "⏎") || "∅",
        );
        const { background, text } = look.shade(Math.min(1, now));
        return Object.assign(span.style, { background, color: text }) && span;
      });
      const change = `${words.reward} ${show(probe.reward)}, π ${show(likelihood(probe.start_logprobs))} → ${show(likelihood(probe.logprobs))}`;
      return el(
        "p",
        {},
        el("span", { class: "scrub-prompt" }, ...withPicture(probe.prompt, words.picture)),
        ...spans,
        el("small", {}, ` ${change}`),
      );
    }),
  );
}
