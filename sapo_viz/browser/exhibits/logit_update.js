// What one update of a sampled token does to the logits of a whole vocabulary whose other probabilities fall as Zipf's
// law says. ∂(log π(y)·A·w)/∂logit_v is (1 − π(y))·A·w for the sampled token and −π(v)·A·w for every other one.

/** @typedef {{ first: Float64Array; second: Float64Array }} Sums */

/**
 * Sums of k^−a and k^−2a up to every vocabulary's end: 150,000 powers take 5 ms.
 * @param {number} exponent
 * @param {number} most
 * @returns {Sums}
 */
export function zipfSums(exponent, most) {
  const first = new Float64Array(most);
  const second = new Float64Array(most);
  for (let k = 1; k < most; k++) {
    const term = k ** -exponent;
    first[k] = first[k - 1] + term;
    second[k] = second[k - 1] + term * term;
  }
  return { first, second };
}

/**
 * What the other tokens have of the rest of the probability, 1 − p; `of(k)` is the k-th likeliest one's.
 * @param {{ p: number; zipf: number }} numbers
 * @param {number} vocabulary
 * @param {Sums} sums
 */
export function otherTokens({ p, zipf }, vocabulary, { first, second }) {
  const unit = (1 - p) / first[vocabulary - 1];
  return {
    largest: unit,
    mean: (1 - p) / (vocabulary - 1),
    norm: unit * Math.sqrt(second[vocabulary - 1]),
    of: (/** @type {number} */ k) => unit * k ** -zipf,
  };
}

/**
 * One update: its factor, the sampled logit, and what lands on the others (signed, then sizes).
 * @param {number} sign
 * @param {number} f
 * @param {number} p
 * @param {ReturnType<typeof otherTokens>} s
 */
export function logitUpdate(sign, f, p, s) {
  return {
    sign,
    f,
    sampled: sign * (1 - p) * f,
    others: -sign * (1 - p) * f,
    largest: -sign * s.largest * f,
    mean: -sign * s.mean * f,
    normOthers: s.norm * f,
    norm: f * Math.hypot(1 - p, s.norm),
    of: (/** @type {number} */ k) => -sign * s.of(k) * f,
  };
}
