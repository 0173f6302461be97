// Every text that is shown with less contrast than WCAG 2.1 AA asks: 4.5:1, or 3:1 from 24 px (bold: 18.66 px) on.
// Colours are what the browser computed: text over the backgrounds and through the opacities of all it lies in.
() => {
  const OFF = ":disabled, [aria-disabled=true], [aria-hidden=true]:not(svg)";
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (text) => {
    // whatever the notation: rgb(), color-mix(), oklab() …
    if (!known.has(text)) {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = text;
      context.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
      known.set(text, [r, g, b, a / 255]);
    }
    return known.get(text);
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const light = (color) => {
    const [r, g, b] = color.slice(0, 3).map((c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, two) => {
    const [dark, bright] = [light(one), light(two)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const parentOf = (node) => node.parentElement || node.getRootNode().host || null;
  const chain = (node) => {
    const all = [];
    for (; node; node = parentOf(node)) all.push(node);
    return all;
  };

  // What all texts in an element share, worked out once: the ground that is painted there, each opacity around it with
  // what lies under that, innermost first, and whether it is off or out of sight.
  const states = new Map([[null, { ground: rgba("Canvas"), veils: [], left: false }]]);
  const stateOf = (element) => {
    if (!states.has(element)) {
      const above = stateOf(parentOf(element));
      const style = getComputedStyle(element);
      const opacity = Number(style.opacity);
      const { ground: under } = above;
      states.set(element, {
        ground: element instanceof SVGElement ? under : over(rgba(style.backgroundColor), under),
        veils: opacity < 1 ? [[opacity, under], ...above.veils] : above.veils,
        left: above.left || opacity === 0 || element.matches(OFF),
      });
    }
    return states.get(element);
  };

  // What is painted where `element` stands: [background, text], an element's opacity applied to all that is in it.
  const painted = (element, ink) => {
    const { ground, veils } = stateOf(element);
    const through = (pair, [opacity, under]) => pair.map((color) => over([...color.slice(0, 3), opacity], under));
    return veils.reduce(through, [ground, over(ink, ground)]);
  };

  const offenders = [];
  const check = (element, text, box, color, style) => {
    if (!(box.width > 1 && box.height > 1)) return;
    if (stateOf(element).left) return;
    const size = parseFloat(style.fontSize);
    const bold = Number(style.fontWeight) >= 700;
    const asked = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    const [ground, ink] = painted(element, color);
    const found = contrast(ground, ink);
    if (found >= asked - 0.005) return;
    const hex = (c) =>
      "#" +
      c
        .slice(0, 3)
        .map((v) => Math.round(v).toString(16).padStart(2, "0"))
        .join("");
    const name = element
      .getAttribute("class")
      ?.split(" ")
      .find((one) => !/^(st-)?emotion|^e\d|^st-/.test(one));
    const near = chain(element).find((one) => one.dataset?.testid)?.dataset.testid;
    offenders.push(
      `${found.toFixed(2)} "${text.trim().slice(0, 40)}" ${hex(ink)} on ${hex(ground)}, ${size}px ` +
        `<${element.localName}${name ? `.${name}` : ""}> in ${near}`,
    );
  };
  const visit = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.currentNode; node; node = walker.nextNode()) {
      if (node.shadowRoot) visit(node.shadowRoot);
      const element = node.nodeType === Node.TEXT_NODE ? parentOf(node) : node;
      if (!element || element.closest("script, style, noscript, title, option, .katex-mathml")) continue;
      const style = getComputedStyle(element);
      if (style.visibility !== "visible" || style.display === "none") continue;
      if (node.nodeType === Node.TEXT_NODE && node.data.trim()) {
        const range = document.createRange();
        range.selectNodeContents(node);
        const drawn = element instanceof SVGElement;
        const color = [...rgba(drawn ? style.fill : style.color)];
        if (drawn) color[3] *= Number(style.fillOpacity);
        check(element, node.data, range.getBoundingClientRect(), color, style);
      } else if (
        node.nodeType === Node.ELEMENT_NODE &&
        element.matches("input:not([type=radio], [type=checkbox], [type=range], [type=file]), textarea, select")
      ) {
        const words = element.value || element.placeholder || "";
        const own = element.value ? style : getComputedStyle(element, "::placeholder");
        if (words) {
          const color = [...rgba(own.color)];
          color[3] *= Number(own.opacity);
          check(element, words, element.getBoundingClientRect(), color, own);
        }
      }
    }
  };
  visit(document.body);
  return [...new Set(offenders)];
};
