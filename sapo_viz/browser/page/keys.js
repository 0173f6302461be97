// Which key means what where no text is typed.

const NO_LETTERS = ["range", "checkbox", "radio"]; // inputs that keep the focus after a click and take no text

/** @type {(target: EventTarget | null) => boolean} */
export function isTyping(target) {
  const element = /** @type {any} */ (target);
  if (element?.tagName === "INPUT") return !NO_LETTERS.includes(element.type);
  return Boolean(element?.isContentEditable) || ["TEXTAREA", "SELECT"].includes(element?.tagName);
}

// P presents and ends it; while presenting, C shows the controls and Escape ends it too.
/** @type {(event: { key: string, ctrlKey: boolean, metaKey: boolean, altKey: boolean }, presenting: boolean) => string} */
export function presentKey(event, presenting) {
  if (event.ctrlKey || event.metaKey || event.altKey) return "";
  const key = event.key.toLowerCase();
  if (key === "p" || (key === "escape" && presenting)) return "present";
  return key === "c" && presenting ? "controls" : "";
}
