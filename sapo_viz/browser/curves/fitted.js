// The panels as high as the window has room for, so that all of them are on the screen that others see.

const BETWEEN = 62; // pixels between two rows: large ticks, and the title of the row below
const LEAST = 150; // for a row

const NAMED = 270; // pixels that a panel needs for all of its axis's name

// A copy of `layout` of that height, with its rows of panels over it; where they are narrow, without what is in
// brackets below them.
/** @type {(layout: any, height: number, width: number) => any} */
export function fitted(layout, height, width) {
  const panels = Object.keys(layout).filter((key) => /^yaxis\d*$/.test(key));
  const tops = [...new Set(panels.map((key) => layout[key].domain[1]))].sort((a, b) => b - a);
  const inside = Math.max(LEAST * tops.length, height) - layout.margin.t - layout.margin.b;
  const gap = tops.length > 1 ? BETWEEN / inside : 0;
  const tall = (1 - gap * (tops.length - 1)) / tops.length;
  /** @type {(top: number) => number} */
  const moved = (top) => Math.min(1, 1 - tops.indexOf(top) * (tall + gap));
  const named = Object.entries(layout).filter(([key, axis]) => /^xaxis/.test(key) && axis.title);
  /** @type {(axis: any) => any} */
  const short = (axis) => {
    const [from, to] = axis.domain;
    return (to - from) * width < NAMED
      ? { ...axis, title: { ...axis.title, text: axis.title.text.split(" (")[0] } }
      : axis;
  };
  return {
    ...layout,
    height: inside + layout.margin.t + layout.margin.b,
    ...Object.fromEntries(named.map(([key, axis]) => [key, short(axis)])),
    ...Object.fromEntries(
      panels.map((key) => {
        const top = moved(layout[key].domain[1]);
        return [key, { ...layout[key], domain: [Math.max(0, top - tall), top] }];
      }),
    ),
    annotations: layout.annotations.map((/** @type {any} */ note) => ({ ...note, y: moved(note.y) })),
  };
}
