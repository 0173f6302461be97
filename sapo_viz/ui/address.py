"""The address as state: what a page shows is in its URL, so that a link opens on the same picture.

A parameter has a *kind*, which turns its text into a value and back: one word, several words, a number, a setting.
What equals the usual value is left out, to keep links short. What a link asks for that is not known here is reported: a
value where it is read, a parameter that no part of the page has looked for at the page's head (`unused_said`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import streamlit as st

from sapo_viz.core.knobs import Knob
from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import KnobError
from sapo_viz.ui import session
from sapo_viz.ui.streamlit_internals import page_hash
from sapo_viz.ui.text import plain
from sapo_viz.ui.words import _

T = TypeVar("T")


@dataclass(frozen=True)
class Read(Generic[T]):
    """A value taken from the address, and what had to be left out, in one sentence; empty when all could be used."""

    value: T
    complaint: str = ""


class Kind(Protocol[T]):
    """How a parameter is written."""

    @property
    def usual(self) -> T: ...

    def read(self, key: str, text: str) -> Read[T]: ...

    def write(self, value: T) -> str: ...

    def fit(self, value: T) -> T:
        """The value as far as it is still possible; options come and go."""
        ...


@dataclass(frozen=True)
class Word:
    """One of a few words (by name, not by its translated label); None as `usual` means that none need be chosen."""

    options: tuple[str, ...]
    usual: str | None

    def read(self, key: str, text: str) -> Read[str | None]:
        if text in self.options:
            return Read(text)
        return Read(self.usual, _left_out(key, [text]))

    def write(self, value: str | None) -> str:
        return value or ""

    def fit(self, value: str | None) -> str | None:
        return value if value in self.options else self.usual


@dataclass(frozen=True)
class Words:
    """Any number of words. Those in `elsewhere` are known to other pages: left out here without a complaint."""

    options: tuple[str, ...]
    usual: list[str]
    elsewhere: tuple[str, ...] = ()

    def read(self, key: str, text: str) -> Read[list[str]]:
        names = [name for name in text.split(",") if name]
        unknown = [name for name in names if name not in (*self.options, *self.elsewhere)]
        known = [name for name in names if name in self.options]
        value = known if known or not unknown else self.usual
        return Read(value, _left_out(key, unknown) if unknown else "")

    def write(self, value: list[str]) -> str:
        return ",".join(value)

    def fit(self, value: list[str] | None) -> list[str]:
        return [name for name in value or [] if name in self.options]


@dataclass(frozen=True)
class Number:
    """A number within a declared range; `owner` is whose it is, for the complaint."""

    spec: Knob
    owner: str

    @property
    def usual(self) -> float:
        return self.spec.default

    def read(self, key: str, text: str) -> Read[float]:
        try:
            value: float | str = float(text)
        except ValueError:
            value = text
        try:
            return Read(self.spec.check(self.owner, value))
        except KnobError as error:
            said = _("{error} The link's value is ignored; {usual} is used instead.")
            return Read(self.usual, said.format(error=error, usual=f"{self.usual:g}"))

    def write(self, value: float) -> str:
        return f"{value:.6g}"

    def fit(self, value: float) -> float:
        return value


def _left_out(key: str, names: list[str]) -> str:
    return _("The link's {key}={names} is unknown here and was left out.").format(key=key, names=_listed(names))


def _listed(names: list[str]) -> str:
    return ", ".join(name if len(name) <= 40 else name[:40] + "…" for name in names[:5])


# -- what nobody looks for ----------------------------------------------------------------------------------------

_KNOWN = "address: known"  # session: what a page of this visit has looked for; another view's are left behind


def known(*keys: str) -> None:
    """These parameters mean something here: to the browser's code, to Streamlit, or to another view of the page."""
    session.get_or_put(_KNOWN, set[str]).update(keys)


@contextlib.contextmanager
def unused_said() -> Iterator[None]:
    """Around a page: once it has run, the parameters of its address that nothing has looked for are reported."""
    place = st.container()
    yield
    unused = [key for key in st.query_params if key not in session.get(_KNOWN, ()) and not _is_knob(key)]
    if unused:
        said = _("The link's {names} is unknown on this page and was ignored.")
        place.warning(plain(said.format(names=_listed(unused))), icon=":material/link_off:")


def _is_knob(key: str) -> bool:
    """Of an objective, which need not be among those that are shown."""
    objective, knob = key.partition(".")[::2]
    return objective in CATALOG and knob in CATALOG[objective].knobs()


# -- reading and writing --------------------------------------------------------------------------------------------


def text(key: str, usual: str = "") -> str:
    """A parameter as it is in the address."""
    known(key)
    return str(st.query_params.get(key, usual))


def has(key: str) -> bool:
    known(key)
    return key in st.query_params


def put(key: str, value: str | None) -> None:
    """Write a parameter as it is; None takes it out."""
    known(key)
    if value is None:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = value


def drop(*keys: str) -> None:
    for key in keys:
        st.query_params.pop(key, None)


def go_to(parameters: Mapping[str, str]) -> None:
    """These parameters in place of all that are there."""
    st.query_params.from_dict(dict(parameters))


def read(key: str, kind: Kind[T]) -> T:
    """The value in force: the address's, or the usual one. What could not be used is reported."""
    if not has(key):
        return kind.usual
    found = kind.read(key, text(key))
    if found.complaint:
        st.warning(plain(found.complaint), icon=":material/link_off:")
    return found.value


def write(key: str, kind: Kind[T], value: T, *, always: bool = False) -> None:
    """Put a value into the address; the usual one by leaving it out, unless it should `always` be there."""
    put(key, kind.write(value) if always or value != kind.usual else None)


def bind(key: str, kind: Kind[Any], *, widget: str = "", carried: bool = False, always: bool = False) -> None:
    """Tie a widget to the address; call it just before the widget, and give that no default.

    The address wins when it has changed (a link, the back button), the widget otherwise. Where neither says
    anything, a `carried` parameter takes over what was chosen last in a widget of this key, on this page or another.

    Args:
        widget: key of the widget, if it is not that of the parameter.
        always: the value is in the address even when it is the usual one, because what is usual changes.
    """
    known(key)
    widget = widget or key
    seen, page, last = f"{widget}@url", f"{widget}@page", f"{widget}@last"
    now = st.query_params.get(key)
    # Streamlit forgets a widget that is not shown; one on another page is another widget to it, whatever its key.
    gone = not session.has(widget) or session.get(page) != page_hash()
    changed = now != session.get(seen)
    linked = now is not None and (gone or changed)
    if linked:
        value = read(key, kind)
    elif gone:
        before = session.get(last) if carried else None
        value = kind.usual if before is None else (kind.fit(before) or kind.usual)
    else:
        value = kind.usual if changed else kind.fit(session.get(widget))
    session.put(widget, value)
    if not linked or always:
        write(key, kind, value, always=always)
    session.put(seen, st.query_params.get(key))
    session.put(page, page_hash())
    session.put(last, None if value == kind.usual else value)  # on another page something else may be usual


def bind_choice(key: str, options: Iterable[str], usual: str | list[str] | None) -> None:
    """`bind` for a choice among words; a list as `usual` means that several may be chosen. Carried over."""
    names = tuple(options)
    kind: Kind[Any] = Words(names, usual) if isinstance(usual, list) else Word(names, usual)
    bind(key, kind, carried=True)


# -- the knobs of objectives, and what else a live figure keeps ----------------------------------------------------

# name -> (parameter, number)
EXTRAS = {
    name: (parameter, Knob(name, usual, lo, hi, symbol, symbol, ""))
    for name, parameter, usual, lo, hi, symbol in (
        ("read_at", "r", 1.2, 1e-3, 1e3, "r"),  # where the read-out stands
        ("spread", "spread", 0.2, 1e-3, 3.0, "σ"),  # standard deviation of log r over the tokens drawn in grey
        ("rho", "rho", 1.0, 1e-3, 1e3, "ρ"),  # π_old/π_sampler, where a correction for the sampler is drawn
        ("p_old", "p", 0.3, 1e-4, 0.9999, "π_old"),  # old probability, for objectives that read log π
    )
}


def knob_kind(objective: str, knob: str) -> Number:
    return Number(CATALOG[objective].knobs()[knob], CATALOG[objective].label)


def read_values(names: list[str]) -> dict[str, Any]:
    """objective -> knob -> number, and the EXTRAS, from the address; what cannot be used is reported and left out."""
    values: dict[str, Any] = {
        name: {knob: read(f"{name}.{knob}", knob_kind(name, knob)) for knob in CATALOG[name].knobs()} for name in names
    }
    return values | {name: read(parameter, Number(spec, _("Curves"))) for name, (parameter, spec) in EXTRAS.items()}


def write_values(values: Mapping[str, Any]) -> None:
    """Put knobs (and the EXTRAS) into the address; numbers that are out of range are not taken."""
    for name, knobs in values.items():
        if name in EXTRAS:
            parameter, spec = EXTRAS[name]
            write_number(parameter, Number(spec, _("Curves")), knobs)
        elif name in CATALOG:
            for knob in CATALOG[name].knobs():
                if knob in knobs:
                    write_number(f"{name}.{knob}", knob_kind(name, knob), knobs[knob])


def write_number(key: str, kind: Number, value: Any) -> None:
    """Put a number that a browser sent into the address; one that is out of range is not taken."""
    with contextlib.suppress(KnobError):
        write(key, kind, kind.spec.check(kind.owner, value))
