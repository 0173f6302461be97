"""An objective's formula with places for one token's numbers, from the catalogue's own LaTeX.

`formula` is read as TeX tokens. The symbols of the field (r, s, W, A, log π_θ …) and those of the objective's
knobs become places, the case that holds for this sign of A is taken, and a dot is put where two numbers would
otherwise run into one. Nothing here knows an objective: one that joins the catalogue is filled in as well.

    \\sigma\\big(\\tau(r-1)\\big)A   →   \\sigma\\big([τ₋]\\cdot([r]-1)\\big)\\cdot[A]
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sapo_viz.core.objective import CATALOG, Objective

Piece = str | dict[str, str]  # TeX as it is, or {"token": name} / {"knob": name}: a number; "raised" to a power

_LEXER = re.compile(r"\\[a-zA-Z]+|\\.|\s+|.", re.DOTALL)
# What the field's letters stand for; browser/strip/formula.js has the numbers by these names.
_SYMBOLS = {
    r"\log\pi_\theta": "logp", r"\log\pi_{\text{old}}": "logp_old", r"\pi_\theta": "p", r"\pi_{\text{old}}": "p_old",
    "r_t": "r", "r": "r", "s_i": "s", "s_t": "s",
    "s": "s", "W": "W", "z_t": "z", "z": "z", "A_t": "A", "A": "A", "|y|": "length",
}  # fmt: skip
_SIDES = {"+": True, "-": False, r"\text{high}": True, r"\text{low}": False}  # a knob's index -> for A > 0?
_WORDS = {
    r"\operatorname",
    r"\text",
    r"\mathrm",
    r"\mathbf",
    r"\mathbb",
    r"\begin",
    r"\end",
}  # letters inside are names
_ACCENTS = {r"\tilde", r"\hat", r"\bar", r"\widetilde", r"\widehat", r"\overline"}  # r̃ is not r
_SPACES = {r"\,", r"\!", r"\ ", r"\;", r"\:", r"\quad", r"\qquad"}
_SIZES = {r"\big", r"\Big", r"\bigg", r"\Bigg", r"\bigl", r"\bigr", r"\Bigl", r"\Bigr", r"\left", r"\right"}
_ARGUMENTS = {r"\frac": 2, r"\tfrac": 2, r"\dfrac": 2, r"\sqrt": 1, "^": 1, "_": 1}
_RELATIONS = {
    r"\cdot", r"\times", r"\le", r"\ge", r"\leq", r"\geq", r"\ne", r"\neq", r"\in", r"\|", r"\to", r"\\",
    r"\pm", r"\mid",
}  # fmt: skip
_HOLDS = {">": (True,), r"\ge": (True,), r"\geq": (True,), "<": (False,), r"\le": (False,), r"\leq": (False,)}


def formula_pieces(cls: type[Objective], positive: bool) -> list[Piece]:
    """The surrogate's LaTeX for a token with A > 0, or (`positive` False) with A ≤ 0.

    A quoted objective (`J^{\\text{GRPO}}_t`) is written out where its knobs are this one's too. A clause that
    only says what a filled-in symbol means (`τ = …`, `W = …`) is left out.
    """
    places = _places(cls, positive)
    tokens = list(_cases(_quoted(cls, _lex(cls.formula)), positive))
    clauses = [clause for clause in _clauses(tokens) if not _is_meaning(clause, places)]
    pieces: list[Piece] = []
    for number, clause in enumerate(clauses):
        pieces += ([r",\quad "] if number else []) + _fill(clause, places)
    return _joined(pieces)


def _lex(text: str) -> list[str]:
    return [" " if token.isspace() else token for token in _LEXER.findall(text)]


def _places(cls: type[Objective], positive: bool) -> list[tuple[list[str], dict[str, str]]]:
    """TeX tokens -> what goes there, longest first; a knob's symbol goes before the field's."""
    knobs: dict[str, dict[str, str]] = {}
    for name, knob in cls.knobs().items():
        knobs[knob.latex] = {"knob": name}
    for name, knob in cls.knobs().items():
        base, _, index = knob.latex.partition("_")
        index = index[1:-1] if index.startswith("{") else index
        if _SIDES.get(index) is positive and base not in knobs:
            knobs[base] = {"knob": name}  # τ alone is τ₊ or τ₋, whichever is in force
    field = {symbol: {"token": name} for symbol, name in _SYMBOLS.items() if symbol not in knobs}
    found = [(_lex(symbol), place) for symbol, place in [*knobs.items(), *field.items()]]
    return sorted(found, key=lambda pair: -len(pair[0]))


def _quoted(cls: type[Objective], tokens: list[str]) -> list[str]:
    text = "".join(tokens)
    for other in CATALOG.values():
        quote = rf"J^{{\text{{{other.label}}}}}_t"
        if set(other.knobs()) <= set(cls.knobs()):
            while quote in text:
                before, _, after = text.partition(quote)
                text = before + _whole(other.formula, before, after) + after
    return _lex(text)


def _whole(text: str, before: str, after: str) -> str:
    """A part that is put in: in brackets where it stands beside other factors or terms."""
    alone = before.rstrip()[-1:] in ("", "=", "(", "{", "&") and after.lstrip()[:1] in ("", ",", "}", "&")
    return text if alone else rf"\big({text}\big)"


def _cases(tokens: list[str], positive: bool) -> Iterator[str]:
    """With each `cases` whose conditions are signs of A replaced by the one that holds."""
    text = "".join(tokens)

    def choose(match: re.Match[str]) -> str:
        for row in match[1].split(r"\\"):
            value, _, condition = row.partition("&")
            sign = re.fullmatch(r"\s*A\s*(>|<|\\geq?|\\leq?)\s*0\s*", condition)
            if sign is None:
                return match[0]
            if positive in _HOLDS[sign[1]]:
                return _whole(value.strip(), match.string[: match.start()], match.string[match.end() :])
        return match[0]

    return iter(_lex(re.sub(r"\\begin\{cases\}(.*?)\\end\{cases\}", choose, text, flags=re.DOTALL)))


def _clauses(tokens: list[str]) -> list[list[str]]:
    """Split where a comma is followed by a wide space, outside of all brackets."""
    clauses: list[list[str]] = [[]]
    depth = 0
    for number, token in enumerate(tokens):
        depth += (token in "{([") - (token in "})]") if len(token) == 1 else 0
        after = tokens[number + 1] if number + 1 < len(tokens) else ""
        if token == "," and depth == 0 and after in (r"\ ", r"\quad", r"\qquad"):
            clauses.append([])
        elif clauses[-1] or token not in _SPACES:
            clauses[-1].append(token)
    return [clause for clause in clauses if clause]


def _is_meaning(clause: list[str], places: list[tuple[list[str], dict[str, str]]]) -> bool:
    return "=" in clause and any(clause[: clause.index("=")] == symbol for symbol, _ in places)


def _fill(tokens: list[str], places: list[tuple[list[str], dict[str, str]]]) -> list[Piece]:
    units = _units(tokens, places)
    pieces: list[Piece] = []
    waiting = [0]  # arguments that the macro at hand still takes, one entry for each open brace
    before = False  # whether what stands before ends a factor
    for number, unit in enumerate(units):
        argument = waiting[-1] > 0
        if isinstance(unit, dict):
            if before and not argument:
                pieces.append(r"\cdot ")
            raised = units[number + 1 : number + 2] == ["^"]
            pieces.append({**unit, "raised": "yes"} if raised else unit)
            waiting[-1] -= argument
            before = True
            if waiting[-1] == 0 and _begins_factor(units, number + 1):
                pieces.append(r"\cdot ")
            continue
        pieces.append(unit + " " if unit[0] == "\\" and unit[-1].isalpha() else unit)
        if unit in _SPACES or unit == " " or unit in _SIZES:
            continue
        if unit in _ARGUMENTS:
            waiting[-1] += _ARGUMENTS[unit] if unit in ("^", "_") else _ARGUMENTS[unit] - argument
        elif unit == "{":
            waiting.append(0)
        elif unit == "}":
            waiting = waiting[:-1] or [0]
            waiting[-1] = max(0, waiting[-1] - 1)
        elif argument:
            waiting[-1] -= 1
        before = unit in ("}", ")", "]") or unit.isalnum()
    return pieces


def _units(tokens: list[str], places: list[tuple[list[str], dict[str, str]]]) -> list[Piece]:
    """TeX tokens and places; names (`\\text{…}`) and accented letters are kept whole."""
    units: list[Piece] = []
    at = 0
    while at < len(tokens):
        found = next(((symbol, place) for symbol, place in places if tokens[at : at + len(symbol)] == symbol), None)
        if found:
            units.append(found[1])
            at += len(found[0])
        elif tokens[at] in _WORDS or tokens[at] in _ACCENTS:
            stop = _end_of_argument(tokens, at + 1)
            word = "".join(tokens[at:stop]) if tokens[at] in _WORDS else " ".join(tokens[at:stop])
            at = stop
            if word.startswith(tuple(_ACCENTS)) and tokens[at : at + 1] == ["_"]:  # its index is part of it
                stop = _end_of_argument(tokens, at + 1)
                word += "".join(tokens[at:stop])
                at = stop
            units.append(word)
        else:
            units.append(tokens[at])
            at += 1
    return units


def _end_of_argument(tokens: list[str], at: int) -> int:
    while at < len(tokens) and tokens[at] == " ":
        at += 1
    if at >= len(tokens) or tokens[at] != "{":
        return min(at + 1, len(tokens))
    depth = 0
    for place in range(at, len(tokens)):
        depth += (tokens[place] == "{") - (tokens[place] == "}")
        if depth == 0:
            return place + 1
    return len(tokens)


def _begins_factor(units: list[Piece], at: int) -> bool:
    """Whether a factor follows; a place puts the dot before itself."""
    rest = [unit for unit in units[at:] if isinstance(unit, dict) or (unit not in _SPACES and unit != " ")]
    unit = rest[0] if rest else ""
    if isinstance(unit, dict):
        return False
    if unit in _SIZES:
        return rest[1:2] in (["("], ["["], [r"\{"])
    if unit.startswith("\\"):
        return unit not in _RELATIONS and not unit.startswith(r"\text")
    return unit.isalnum() or unit in ("(", "[")


def _joined(pieces: list[Piece]) -> list[Piece]:
    out: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and out and isinstance(out[-1], str):
            out[-1] += piece
        else:
            out.append(piece)
    return out
