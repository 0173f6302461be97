// An axis: value to pixel and back, and where its ticks stand.

// value -> pixel and back; `from` and `to` are the pixels of lo and hi.
/** @type {(lo: number, hi: number, from: number, to: number, log?: boolean) => Axis} */
export function axisScale(lo, hi, from, to, log = false) {
  /** @type {(value: number) => number} */
  const f = log ? (v) => Math.log(Math.max(v, 1e-300)) : (v) => v;
  const a = f(lo);
  const b = f(hi);
  /** @type {(value: number) => number} */
  const scale = (v) => from + ((f(v) - a) / (b - a)) * (to - from);
  /** @type {(pixel: number) => number} */
  const inverse = (pixel) => {
    const t = a + ((pixel - from) / (to - from)) * (b - a);
    return log ? Math.exp(t) : t;
  };
  const toJSON = () => [lo, hi, from, to, log]; // a function would leave no trace in the key of memo()
  const ticks = log ? logTicks(lo, hi) : evenTicks(lo, hi);
  return Object.assign(scale, { inverse, toJSON, lo, hi, from, to, log, ticks });
}

/** @type {(lo: number, hi: number, wanted?: number) => number[]} */
function evenTicks(lo, hi, wanted = 5) {
  const rough = (hi - lo) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= rough) ?? 10);
  const ticks = [];
  for (let v = Math.ceil(lo / step - 1e-9) * step; v <= hi + step * 1e-9; v += step)
    ticks.push(Number(v.toPrecision(12)));
  return ticks;
}

/** @type {(lo: number, hi: number) => number[]} */
function logTicks(lo, hi) {
  const decades = Math.log10(hi / lo);
  const marks = decades > 4 ? [1] : decades > 1.6 ? [1, 3] : decades > 0.8 ? [1, 2, 5] : [1, 1.5, 2, 3, 5, 7];
  const every = decades > 8 ? Math.ceil(decades / 6) : 1;
  const ticks = [];
  for (let e = Math.floor(Math.log10(lo)); e <= Math.log10(hi); e++) {
    if (e % every) continue;
    for (const mark of marks) {
      const v = Number(`${mark}e${e}`);
      if (v >= lo * 0.999 && v <= hi * 1.001) ticks.push(v);
    }
  }
  return ticks;
}

/** @type {(value: number) => string} */
export function tickText(value) {
  const size = Math.abs(value);
  if (size >= 1000) return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
  const exponent = Math.floor(Math.log10(size) + 1e-9);
  if (size > 0 && size < 1e-3) {
    const mantissa = Number((value / 10 ** exponent).toPrecision(2));
    const raised = String(exponent).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
    return `${mantissa === 1 ? "" : `${mantissa}·`}10${raised}`;
  }
  return String(Number(value.toPrecision(4))).replace("-", "−");
}
