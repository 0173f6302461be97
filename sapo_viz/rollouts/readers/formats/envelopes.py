"""Objects that stand inside another one: `{"rollouts": […]}`, `{"sample_0": {…}}`, a table as its columns.

Frameworks write one row per line; whoever gathers them puts something around: a list under a name beside what the run
was, one object per sample under its name, or the columns of a data frame, as `DataFrame.to_json` and `to_dict("list")`
do. An object that is no row of a known kind itself is looked into, two levels deep (`{"groups": [{"rollouts": […]}]}`);
lists and columns may hold lists, one per prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.base import Item

LOOK = 64  # objects of a list: the first may be headers or failed requests
_NESTED = 4  # lists or batches in one another
_FEW = 2  # objects of a batch in a batch that are looked at
Knows = Callable[[Mapping[str, Any]], bool]


def rows_in(items: Iterable[Item], knows: Knows) -> Iterator[Item]:
    """The items; of those that `knows` does not know and that hold such ones, what they hold."""
    for place, values in items:
        inside = None if knows(values) else opened(values, knows)
        if inside is None:
            yield place, values
        else:
            yield from ((f"{place}, {where}", row) for where, row in inside)


def frame_rows(items: Iterable[Item]) -> Iterator[Item]:
    """The items; of a data frame's `to_json`, {column: {"0": …, "1": …}}, its rows."""
    for place, values in items:
        columns = list(values.values())
        index = list(columns[0]) if len(columns) > 1 and isinstance(columns[0], Mapping) else []
        alike = all(isinstance(column, Mapping) and list(column) == index for column in columns)
        if not index or not alike or not all(map(str.isdecimal, index)):
            yield place, values
            continue
        for at in index:
            yield f"{place}, row {at}", {name: column[at] for name, column in values.items()}


def opened(values: Mapping[str, Any], knows: Knows, levels: int = 2) -> Iterator[Item] | None:
    """What stands inside, each with where; None where nothing that is known does."""
    columns = _columns(values, knows)
    if columns is not None:
        return columns
    for name, inside in values.items():
        rows = _listed(name, inside if isinstance(inside, list) else [inside])
        if any(knows(_with(values, row)) for _, row in islice(rows, LOOK)):
            if isinstance(inside, Mapping) and all(isinstance(other, Mapping) for other in values.values()):
                return iter(values.items())  # a name each
            rows = _listed(name, inside if isinstance(inside, list) else [inside])
            return ((where, _with(values, row)) for where, row in rows)
    return _deeper(values, knows, levels - 1) if levels > 1 else None


def _deeper(values: Mapping[str, Any], knows: Knows, levels: int) -> Iterator[Item] | None:
    """A list of groups, each an object that holds a list of rows, or rows in an object of an object."""
    for name, inside in values.items():
        groups = list(_listed(name, inside if isinstance(inside, list) else [inside]))
        if any(opened(group, knows, levels) is not None for _, group in groups[:LOOK]):
            return (
                (f"{where}, {place}", row)
                for where, group in groups
                for place, row in opened(_with(values, group), knows, levels) or ()
            )
    return None


def _listed(name: str, rows: list[Any], nested: int = _NESTED) -> Iterator[Item]:
    """The objects of a list; of lists in it, a prompt's completions each, their objects."""
    for at, row in enumerate(rows):
        if isinstance(row, Mapping):
            yield f"{name}[{at}]", row
        elif isinstance(row, list) and nested:
            yield from _listed(f"{name}[{at}]", row, nested - 1)


def _with(around: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with what is said beside all of them, as a step; behind its own fields, whose order may mean something."""
    said = {k: v for k, v in around.items() if k not in row and not isinstance(v, (list, Mapping))}
    return {**row, **said}


def _columns(values: Mapping[str, Any], knows: Knows, nested: int = _NESTED, look: int = LOOK) -> Iterator[Item] | None:
    """Rows whose columns these lists are, a number or text beside them being that of all; or batches of such rows."""
    lists = (list, np.ndarray)  # of a Parquet file's numbers
    sizes = {len(column) for column in values.values() if isinstance(column, lists)}
    if len(sizes) != 1 or not min(sizes) or not nested:
        return None

    def row(at: int) -> dict[str, Any]:
        return {name: column[at] if isinstance(column, lists) else column for name, column in values.items()}

    def batch(at: int) -> Iterator[Item] | None:
        return _columns(row(at), knows, nested - 1, _FEW)

    places = range(sizes.pop())
    if any(knows(row(at)) for at in places[:look]):
        return ((f"row {at + 1}", row(at)) for at in places)
    if all(batch(at) is None for at in places[:look]):
        return None
    return ((f"row {at + 1}, {place}", one) for at in places for place, one in batch(at) or ())
