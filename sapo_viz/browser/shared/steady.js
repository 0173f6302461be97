// What stands under a hand stays there: a click is lost when its target is replaced, or moves away, between press and
// release.

/**
 * These children in this order; those that are in place already are not touched, so that focus, an open list and a
 * press stay with them.
 * @type {(parent: Element, wanted: Node[]) => void}
 */
export function setChildren(parent, wanted) {
  const kept = new Set(wanted);
  for (const child of [...parent.childNodes]) if (!kept.has(child)) child.remove();
  let at = parent.firstChild;
  for (const node of wanted) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
}

/** What would change or move an element's content waits while a button is held down on it. */
export class Hand {
  /** @param {HTMLElement} host */
  constructor(host) {
    this.down = false;
    /** @type {Map<string, () => void>} */
    this.waiting = new Map();
    /** @type {(event: PointerEvent) => void} */
    this.press = (event) => {
      // A list that opens keeps the release to itself.
      this.down = !(event.target instanceof Element && event.target.closest("select"));
    };
    this.release = () => {
      if (!this.down) return;
      this.down = false;
      this.timer = setTimeout(() => this.go()); // after the click, which follows the release at once
    };
    /** @type {(event: PointerEvent) => void} */
    this.move = (event) => {
      if (!event.buttons) this.release(); // let go outside the window
    };
    host.addEventListener("pointerdown", this.press, true);
    addEventListener("pointerup", this.release, true);
    addEventListener("pointercancel", this.release, true);
    addEventListener("pointermove", this.move, true);
  }

  /**
   * At once, or when the button has been let go: then of each name the last action alone.
   * @param {string} name
   * @param {() => void} action
   */
  free(name, action) {
    if (this.down) this.waiting.set(name, action);
    else action();
  }

  go() {
    const actions = [...this.waiting.values()];
    this.waiting.clear();
    for (const action of actions) action();
  }

  close() {
    clearTimeout(this.timer);
    this.waiting.clear();
    removeEventListener("pointerup", this.release, true);
    removeEventListener("pointercancel", this.release, true);
    removeEventListener("pointermove", this.move, true);
  }
}
