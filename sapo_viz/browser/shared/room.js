// How much of the window a figure has.

// When controls are beside their figure (curves.css): in a window that is wide, or low as a projector's at 150 %.
const BESIDE = matchMedia("(min-width: 901px), (min-width: 641px) and (max-height: 640px)");

/** @type {() => boolean} */
export const controlsBeside = () => BESIDE.matches;

// What holds the page's elements: as high as all of them together.
/** @type {(figure: Element) => Element} */
export const pageOf = (figure) => figure.closest('[data-testid="stMainBlockContainer"]') ?? document.body;

// Pixels from the figure's top to the foot of the window, with the page as it opens; without end where a phone's
// figure is above its controls.
/** @type {(figure: Element) => number} */
export function roomBelow(figure) {
  if (!BESIDE.matches) return Infinity;
  const page = figure.closest('[data-testid="stMain"]');
  return innerHeight - figure.getBoundingClientRect().top - (page?.scrollTop ?? 0) - 8;
}
