"""Token texts, compactly: each distinct text once, and a number per token.

A file of ten million tokens has some ten thousand distinct texts. Kept as one Python string per token they
would cost 80 MB in pointers alone, and be compared, joined and hashed one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np


class Tokens(Sequence[str]):
    """M texts. An index gives a str, a slice a list of str, and `cut` the same kind of value without copying.

    codes        [M] int32: which text each token has
    vocabulary   the distinct texts; it may hold texts that no token has (after `cut`)
    """

    __slots__ = ("codes", "vocabulary")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, codes: np.ndarray, vocabulary: tuple[str, ...]) -> None:
        self.codes = codes
        self.vocabulary = vocabulary

    @classmethod
    def of(cls, texts: Sequence[str]) -> Tokens:
        """From plain texts: for tests and for those who make sequences themselves."""
        vocabulary = Vocabulary()
        return cls(vocabulary.encode(texts), vocabulary.texts())

    def cut(self, part: slice) -> Tokens:
        """The tokens of a slice as Tokens: a view, with the same vocabulary."""
        return Tokens(self.codes[part], self.vocabulary)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self.vocabulary[code] for code in self.codes[index].tolist()]
        return str(self.vocabulary[self.codes[index]])

    def __iter__(self) -> Iterator[str]:
        return map(self.vocabulary.__getitem__, self.codes.tolist())

    def __len__(self) -> int:
        return len(self.codes)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Tokens, list, tuple)):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:6]))
        return f"Tokens([{shown}{', …' if len(self) > 6 else ''}], {len(self):,} in all)"


class Vocabulary:
    """Gives each distinct text a number, in the order of their first appearance."""

    def __init__(self) -> None:
        self._codes = _Codes()
        self.repaired = 0  # tokens whose text held half a character

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The texts' numbers. [T] -> [T] int32"""
        codes = np.fromiter(map(self._codes.__getitem__, texts), np.int32, len(texts))
        if self._codes.halved:
            self.repaired += sum(text in self._codes.halved for text in texts)
        return codes

    def texts(self) -> tuple[str, ...]:
        return tuple(self._codes.texts)


class _Codes(dict[str, int]):
    """text -> number; an unknown text gets the next one, so that a lookup of known texts stays in C."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.halved: set[str] = set()

    def __missing__(self, text: str) -> int:
        whole = whole_text(text)
        if whole == text:
            self[text] = code = len(self.texts)
            self.texts.append(text)
        else:
            self.halved.add(text)
            self[text] = code = self[whole]
        return code


def whole_text(text: str) -> str:
    """Lone surrogates (JSON can write them) become �: no encoder downstream would take them."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def placeholders(ids: np.ndarray) -> list[str]:
    """⟨1234⟩ for each token id, where a file holds no texts."""
    return [f"⟨{number}⟩" for number in ids.tolist()]


def is_placeholder(token: str) -> bool:
    """Whether it is one of these."""
    return token.startswith("⟨") and token.endswith("⟩") and token[1:-1].isdecimal()


IDS_ONLY = "The file holds token ids and no texts, so a token is shown as ⟨id⟩."
