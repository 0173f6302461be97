// Not more often than is good.

/**
 * Once, when it has been quiet for so long.
 * @template {any[]} T
 * @param {number} milliseconds
 * @param {(...args: T) => void} action
 * @returns {(...args: T) => void}
 */
export function debounce(milliseconds, action) {
  /** @type {number | undefined} */
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...args), milliseconds);
  };
}

// However often it is called: once before the next picture.
/** @type {(action: () => void) => () => void} */
export function oncePerFrame(action) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      action();
    });
  };
}
