// Taking numbers home.

import { el } from "./dom.js";

/** @type {(name: string, text: string, type: string) => void} */
export function saveText(name, text, type) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// A spreadsheet calculates text that begins like a formula; an apostrophe before it says that it is text (csv_text.py).
const FORMULA = /^'*[=+\-@\t\r]/;

/** @type {(value: unknown) => string} */
function csvCell(value) {
  const plain = String(value);
  const isNumber = plain.trim() !== "" && Number.isFinite(Number(plain));
  const text = FORMULA.test(plain) && !isNumber ? `'${plain}` : plain;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @type {(rows: unknown[][]) => string} */
export function csvOf(rows) {
  return `${rows.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;
}
