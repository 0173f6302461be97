// What a correction for the sampler makes of a token, or of all of a sequence.

import { CORRECTIONS } from "../formulas.js";

/** @type {(control: Correction, value: CorrectionValue) => CorrectionChoice | undefined} */
export function choiceOf(control, value) {
  return control.choices.find(({ name }) => name === value.choice);
}

/** The weight of a token, or of all of a sequence, at log ρ of that level; 1 where nothing is corrected. */
/** @type {(choice: CorrectionChoice | undefined, value: CorrectionValue, logRho: number) => number} */
export function correctionWeight(choice, value, logRho) {
  return choice ? CORRECTIONS[choice.how](logRho, { low: value.low, high: value.high }) : 1;
}
