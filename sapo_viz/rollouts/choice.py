"""Objectives as they are written on a command line: `sapo:tau_neg=1.05,grpo`, with `--tau-neg` for all."""

from __future__ import annotations

from sapo_viz.core.objective import Objective, make_objective
from sapo_viz.errors import KnobError


def parse_objectives(text: str, knobs: dict[str, float] | None = None) -> dict[str, Objective]:
    """Key -> objective, in the order given.

    Knobs after a colon (`sapo:tau_pos=1:tau_neg=2`) are this objective's; `knobs` go to every chosen
    objective that has them. The key is the catalogue name, or the whole text where a name comes twice.

    Raises:
        KnobError: an unknown objective or knob, a value that is no number or outside its range, or a
            knob in `knobs` that none of the chosen objectives has.
    """
    specs = [spec.strip() for spec in text.split(",") if spec.strip()]
    if not specs:
        raise KnobError("no objective is chosen; give at least one, for example sapo,grpo,gspo.")
    names = [spec.split(":")[0] for spec in specs]
    shared, used = knobs or {}, set()
    out: dict[str, Objective] = {}
    for spec, name in zip(specs, names, strict=True):
        has = make_objective(name).knobs()
        values = {knob: value for knob, value in shared.items() if knob in has}
        used |= set(values)
        for part in spec.split(":")[1:]:
            knob, equals, value = part.partition("=")
            if not equals:
                raise KnobError(f"{spec!r}: {part!r} is not a knob; write knob=value, for example sapo:tau_neg=1.05.")
            values[knob.strip().replace("-", "_")] = _number(spec, knob, value)
        key = spec if names.count(name) > 1 else name
        if key in out:
            raise KnobError(f"the objective {key!r} is chosen twice; give one of them other knobs.")
        out[key] = make_objective(name, values)
    for knob in shared:
        if knob not in used:
            raise KnobError(f"--{knob.replace('_', '-')} is given, but none of {', '.join(names)} has that knob.")
    return out


def _number(spec: str, knob: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise KnobError(f"{spec!r}: {knob} is {value!r}, which is not a number.") from None
