// A formula with one token's numbers put in. The symbolic part is the catalogue's LaTeX, cut into pieces by
// strip_formula.py; the numbers come from the generated formulas; KaTeX is the copy that Streamlit carries.

let katexLoad;

function loadKatex(path) {
  katexLoad ||= import(new URL(path, document.baseURI).href).then((module) => module.default).catch(() => null);
  return katexLoad;
}

// Four digits as TeX; a negative number in brackets, since it stands within a product.
function texNumber(value, bare = false) {
  if (!Number.isFinite(value)) return value > 0 ? "\\infty" : value < 0 ? "(-\\infty)" : "\\text{–}";
  const [digits, power] = show(Math.abs(value)).split("e");
  const text = power ? `${digits}\\times10^{${power.replace("−", "-").replace("+", "")}}` : digits;
  return value < 0 ? (bare ? `-${text}` : `(-${text})`) : text;
}

// J = symbols ≈ numbers ≈ value, and what follows from it: c, and w = c / ratio.
function texOfToken(objective, numbers, knobs, i) {
  const symbols = numbers.symbols(objective, i), { c, w, ratio } = numbers.of(objective.name);
  const pieces = objective.pieces[symbols.A > 0 ? "up" : "down"];
  const put = pieces.map((piece) => (typeof piece === "string" ? piece : `{${texNumber(piece.knob ? knobs[piece.knob] : symbols[piece.token])}}`));
  // A formula that begins with |y| counts its sequence by length; J is a token's.
  const whole = numbers.surrogate(objective, knobs, i) * (pieces[0]?.token === "length" ? symbols.length : 1);
  const letter = { token: "r", sequence: "s", "sequence-product": "W" }[objective.level];
  const weight = `w=\\tfrac{c}{${letter}}\\approx\\tfrac{${texNumber(c[i], true)}}{${texNumber(ratio[i], true)}}\\approx${texNumber(w[i], true)}`;
  return `\\begin{aligned}J_t&=${objective.formula}\\\\&\\approx ${put.join("")}\\\\&\\approx ${texNumber(whole, true)}\\\\`
    + `c&\\approx ${texNumber(c[i], true)},\\quad ${weight}\\end{aligned}`;
}

class FormulaList {
  constructor() {
    this.node = el("div", { class: "tok-formulas", "data-testid": "token-formulas" });
    this.cards = new Map();
  }

  // One card an objective, in order; what has not changed is left as it is.
  show(objectives, words, katex, noteOf, texOf) {
    const shape = objectives.map((o) => o.name).join();
    if (shape !== this.shape) {
      this.shape = shape;
      this.cards = new Map(objectives.map((objective) => [objective.name, this.card(objective)]));
      this.node.replaceChildren(...[...this.cards.values()].map((card) => card.node));
    }
    for (const objective of objectives) {
      const card = this.cards.get(objective.name), tex = texOf(objective), note = noteOf(objective);
      if (card.tex !== tex || card.katex !== katex) {
        Object.assign(card, { tex, katex });
        card.body.dataset.tex = tex;
        if (katex) katex.render(tex, card.body, { displayMode: true, fleqn: true, throwOnError: false, trust: false, strict: false });
        else card.body.replaceChildren(el("code", {}, tex));
      }
      if (card.note.textContent !== note) card.note.textContent = note;
    }
  }

  card(objective) {
    const swatch = el("span", { class: "lab-swatch", "aria-hidden": "true" });
    swatch.style.borderTop = `3px ${cssDash(objective.dash)} ${objective.color}`;
    const body = el("div", { class: "tok-tex", tabindex: "0", role: "group", "aria-label": objective.label }), note = el("p", { class: "lab-note" });
    const node = el("section", { class: "tok-formula", "data-formula": objective.name }, el("h4", {}, swatch, objective.label), body, note);
    return { node, body, note };
  }
}
