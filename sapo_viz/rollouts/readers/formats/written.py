"""Numbers and lists that a program wrote as text, as `json.dumps(…, default=str)` and CSV cells leave them.

A reward reads "1.0", "True", "nan", "np.float64(0.5)", "array([0.5])" or "tensor(0.5, device='cuda:0')"; a list of
log-probs "[-0.5, -0.25]" as JSON and Python have it, "[-0.5 -0.25]" as numpy, "tensor([-0.5, -0.25])" as torch. Both of
the last leave out the middle of a long one: that text says "...", and the numbers are gone.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_LITERAL = 1 << 20  # characters of a Python literal: as a tree it takes a hundred times as much
_NOTHING = ("", "nan", "none", "null")
_CALL = r"(?:(?:np|numpy|torch)\.)?(?:tensor|array|float\d*|int\d*|bool_?)\("
_MORE = r"(?:,\s*\w+=[^\[\]]*)?\)"  # device='cuda:0', dtype=torch.float64
_ONE = r"[\[\s]*([^\s\[\](),]+)[\s\]]*"  # a number, in brackets or not
_PRINTED = re.compile(f"{_CALL}{_ONE}{_MORE}|{_ONE}")
_LIST = re.compile(rf"(?s)(?:{_CALL}\s*(\[.*\])\s*{_MORE})|(\[.*\])")
_NAMES = {"nan": "NaN", "inf": "Infinity", "none": "null", "true": "true", "false": "false"}
_NAME = re.compile(r"(?i)(?<![\w\"'])(nan|inf|none|true|false)(?![\w\"'])")
_NUMBERS = frozenset("0123456789+-.eE[], \t\r\nNaInfityulrs")  # and the names that JSON has for what is none
_POINT = re.compile(r"(?<=\d)\.(?=[\s,\]])")  # numpy's and torch's 1. for 1.0
_GAP = re.compile(r"(?<=[\d.lyeN\]])\s+(?=[-\d.\[NItfn])")


def number_in(text: str) -> float | None | str:
    """The number that a text says; None for a written NaN or null; the text itself where it says neither."""
    said = text.strip().lower()
    if said in _NOTHING:
        return None
    printed = _PRINTED.fullmatch(said)
    said = (printed[1] or printed[2]) if printed else said
    if said in _NOTHING:
        return None
    if said in ("true", "false"):
        return float(said == "true")
    try:
        return text if "_" in said else float(said)
    except ValueError:
        return text


def list_in(text: str) -> list[Any] | None:
    """The list that a text says, of numbers or, as JSON, of anything; None where it says none, or a part only."""
    found = _LIST.fullmatch(text.strip())
    if found is None:
        return None
    inside = found[1] or found[2]
    try:
        value = json.loads(inside)
    except (ValueError, RecursionError):
        value = _of_numbers(inside)
    return value if isinstance(value, list) else None


def value_in(text: str) -> Any:
    """The list or object that a text says, as JSON or as Python writes it; the text itself where it says none."""
    if text[:1] not in ("[", "{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if len(text) > _LITERAL:
        return text
    try:
        return ast.literal_eval(text)  # builds data and calls nothing
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return text


def _of_numbers(text: str) -> Any:
    """Numbers in the spelling of Python, numpy or torch."""
    plain = _NAME.sub(lambda name: _NAMES[name[0].lower()], text)
    if "..." in plain or not set(plain) <= _NUMBERS:
        return None
    try:
        return json.loads(_GAP.sub(", ", _POINT.sub(".0", plain)))
    except (ValueError, RecursionError):
        return None
