// A curve as points: where to take it, and how to make its jumps stand upright.

// Ratios at which curves are taken: the whole axis, and finely what the zoom shows.
/** @type {(axis: { kind: string; lo: number; hi: number }, visible?: number[] | null) => number[]} */
export function ratioGrid({ kind, lo, hi }, visible) {
  const ends = [[lo, hi]];
  if (visible) ends.push([Math.max(visible[0], 1e-6), visible[1]]);
  const grid = [];
  for (const [a, b] of ends) {
    for (let i = 0; i <= 120; i++) {
      const t = i / 120;
      grid.push(kind === "log" ? a * (b / a) ** t : a + (b - a) * t);
    }
  }
  return grid.sort((x, y) => x - y);
}

// [r, J, w, c] along the grid; a jump (a clip) is closed in on, so that it stands upright in the picture.
/** @type {(f: Formula, sign: number, knobs: Knobs, old: number, grid: number[]) => number[][]} */
export function samplePoints(f, sign, knobs, old, grid) {
  /** @type {(r: number) => number[]} */
  const at = (r) => {
    const [J, c] = f(Math.log(r), sign, knobs, old);
    return [r, J, c / r, c];
  };
  const points = [];
  let last;
  for (const r of grid) {
    const point = at(Math.max(r, 1e-6));
    if (last && Math.abs(point[2] - last[2]) > 0.1) {
      let [a, b] = [last, point];
      for (let i = 0; i < 30 && b[0] - a[0] > 1e-9; i++) {
        const middle = at((a[0] + b[0]) / 2);
        if (Math.abs(middle[2] - a[2]) > Math.abs(middle[2] - b[2])) b = middle;
        else a = middle;
      }
      points.push(a, b);
    }
    points.push(point);
    last = point;
  }
  return points;
}
