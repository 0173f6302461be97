// The knobs beside the strip: one box per objective, one slider and one number per knob.

import { knobGroups as boxes } from "../shared/parts.js";
import { knobParts, sliderRow } from "../shared/sliders.js";

/**
 * @param {StripData} data
 * @param {() => Record<string, Knobs>} values
 * @param {{ inputs: (() => void)[]; moved: (name: string) => void; released: () => void }} hand
 */
export function knobGroups(data, values, { inputs, moved, released }) {
  const words = data.labels;
  /** @type {(objective: StripData["objectives"][number], knob: KnobSpec) => Node} */
  const row = (objective, knob) => {
    const made = sliderRow({
      ...knobParts(objective, knob, () => values()[objective.name]),
      words,
      moved: () => moved(objective.name),
      released,
    });
    inputs.push(made.sync);
    return made.node;
  };
  return boxes(data.objectives, row, words.no_knobs);
}
