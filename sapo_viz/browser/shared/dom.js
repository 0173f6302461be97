// Elements without a library.

/**
 * An element with its attributes; `on…` listens, what is undefined, null or false is left out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/**
 * A sentence as Python says it, in which backticks set names: those become code, and nothing else is interpreted.
 * @param {string} sentence
 */
export function withCode(sentence) {
  const parts = sentence.split("\x60");
  if (parts.length % 2 === 0) return [sentence]; // one without its partner
  return parts.map((part, i) => (i % 2 ? el("code", {}, part) : part));
}
