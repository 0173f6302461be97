// Objectives whose curves coincide: two lines over each other look like one, so one is drawn and has both names.

const ALIKE = 1e-9; // relative; two objectives that are one formula differ by rounding at most

/** @type {(a: number[][], b: number[][]) => boolean} */
function coincide(a, b) {
  return (
    a.length === b.length &&
    a.every((point, i) =>
      point.every((v, k) => Object.is(v, b[i][k]) || Math.abs(v - b[i][k]) <= ALIKE * (1 + Math.abs(v))),
    )
  );
}

// Objectives by the curves they have: those of one entry coincide at every sign, the first of them is drawn for all.
/** @type {(sampled: Sampled[]) => CurveObjective[][]} */
export function linesApart(sampled) {
  /** @type {Map<CurveObjective, number[][][]>} */
  const points = new Map();
  for (const item of sampled) points.set(item.objective, [...(points.get(item.objective) ?? []), item.points]);
  /** @type {CurveObjective[][]} */
  const lines = [];
  for (const [objective, own] of points) {
    const same = lines.find(([first]) => own.every((line, sign) => coincide(line, points.get(first)?.[sign] ?? [])));
    if (same) same.push(objective);
    else lines.push([objective]);
  }
  return lines;
}

/** @type {(line: CurveObjective[]) => string} */
export function lineName(line) {
  return line.map(({ label }) => label).join(" = ");
}
