// The knobs beside the strip: one box an objective, a slider and a number a knob.

function knobGroups(data, values, { inputs, moved, released }) {
  const words = data.labels;
  return data.objectives.map((objective) => {
    const swatch = el("span", { class: "lab-swatch", "aria-hidden": "true" });
    swatch.style.borderTop = `3px ${cssDash(objective.dash)} ${objective.color}`;
    const group = el("fieldset", { class: "lab-group" }, el("legend", {}, swatch, objective.label));
    for (const knob of objective.knobs) {
      const row = sliderRow({
        symbol: knob.symbol, name: knob.name, label: `${objective.label} ${knob.name}`, help: knob.help,
        test: `knob-${objective.name}-${knob.name}`, spec: knob, words,
        get: () => values()[objective.name][knob.name],
        set: (value) => { values()[objective.name][knob.name] = value; },
        moved: () => moved(objective.name), released,
      });
      inputs.push(row.sync);
      group.append(row.node);
    }
    if (!objective.knobs.length) group.append(el("p", { class: "lab-note" }, words.no_knobs));
    return group;
  });
}
