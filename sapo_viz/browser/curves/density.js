// Where tokens are, as an outline.

const REACH = 6; // of log r; beyond it nothing is drawn
const MOST = 600; // points of an outline

/**
 * The outline of where tokens are, per unit of log r, its peak at a height: [[r, y], …].
 * @type {(tokens: Tokens, height: number) => Point[]}
 */
export function densityLine({ z, p }, height) {
  if (p) {
    // the Gaussian's own bell, every tenth point of its grid
    const top = p.reduce((a, b) => Math.max(a, b), 0);
    return z.flatMap((at, i) => (i % 10 ? [] : [[Math.exp(at), (height * p[i]) / top]]));
  }
  const held = Float64Array.from(z.filter((at) => Math.abs(at) <= REACH)).sort();
  if (!held.length) return [];
  const width = bandwidth(held);
  const [low, high] = [held[0] - 4 * width, held[held.length - 1] + 4 * width];
  const step = Math.max(width / 3, (high - low) / MOST);
  const counts = new Array(Math.ceil((high - low) / step) + 1).fill(0);
  for (const at of held) counts[Math.round((at - low) / step)]++;
  const bell = kernel(width / step);
  const reach = (bell.length - 1) / 2;
  const density = counts.map((_, i) => bell.reduce((sum, b, k) => sum + b * (counts[i + k - reach] ?? 0), 0));
  const top = density.reduce((a, b) => Math.max(a, b), 0);
  return density.map((d, i) => [Math.exp(low + i * step), (height * d) / top]);
}

/**
 * Silverman's width of a kernel: robust, since a few tokens far away must not blur where most are.
 * @type {(sorted: Float64Array) => number}
 */
function bandwidth(sorted) {
  const n = sorted.length;
  const mean = sorted.reduce((a, b) => a + b, 0) / n;
  const deviation = Math.sqrt(sorted.reduce((sum, at) => sum + (at - mean) ** 2, 0) / n);
  const quartiles = sorted[Math.floor(0.75 * (n - 1))] - sorted[Math.floor(0.25 * (n - 1))];
  return Math.max(1e-4, 0.9 * (Math.min(deviation, quartiles / 1.34) || deviation) * n ** -0.2);
}

/**
 * A bell over whole steps, as wide as `width` of them; of one step where it is narrower.
 * @type {(width: number) => number[]}
 */
function kernel(width) {
  const reach = width < 0.3 ? 0 : Math.ceil(3 * width);
  return Array.from({ length: 2 * reach + 1 }, (_, k) => (reach ? Math.exp(-(((k - reach) / width) ** 2) / 2) : 1));
}
