"""Every word that users see can be translated: none is built where no extractor could find it."""

from __future__ import annotations

import pytest

from sapo_viz.ui import words
from scripts.extract_words import TEMPLATE, declarations, literals, template
from tests.ui.test_apptest import NAMES, assert_no_fault, open_page


def test_the_collection_of_words_is_current() -> None:
    assert TEMPLATE.read_text(encoding="utf-8") == template(), "run `make words`"


@pytest.fixture(scope="module")
def collected() -> set[str]:
    return {*declarations(), *literals()}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_page_shows_of_a_declaration_was_collected(
    name: str, collected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    real = words._translation.gettext
    monkeypatch.setattr(words._translation, "gettext", lambda text: (asked.add(text), real(text))[1])
    assert_no_fault(open_page(name))
    assert asked <= collected, "a declaration that scripts/extract_words.py does not know"
