"""Text of strangers in messages: neither Markdown nor a link. tests/browser/test_tokens.py has it in a browser."""

from __future__ import annotations

import re

import pytest

from sapo_viz.ui.text import plain, prose, visible

# How Streamlit's Markdown finds addresses in text whose escapes are gone (mdast-util-gfm-autolink-literal).
ADDRESSES = re.compile(r"(https?://|www(?=\.))([-.\w]+)|(?<!\S)([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)", re.IGNORECASE)
TEXTS = ["https://evil.example/x", "see HTTP://evil.example", "www.evil.example", "me@evil.example", "a+b@c.d.example"]


@pytest.mark.parametrize("text", TEXTS)
def test_an_address_is_shown_and_not_linked(text: str) -> None:
    assert ADDRESSES.search(text)
    shown = re.sub(r"\\(.)", r"\1", plain(text))
    assert not ADDRESSES.search(shown)
    assert shown.replace("\u2060", "") == text


@pytest.mark.parametrize("text", ["[x](y)", "$x$", "*a* _b_", "<b>", ":material/home:", "# a", "a\nb", "1. a", "- a"])
def test_every_mark_of_markdown_is_escaped(text: str) -> None:
    assert not re.search(r"[\[\]$*_<>:#.\n-]", re.sub(r"\\.", "", plain(text)))


@pytest.mark.parametrize("sign", [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))])
def test_a_name_does_not_reorder_the_sentence_that_names_it(sign: str) -> None:
    assert plain(f"a{sign}gpj") == "a�gpj" and prose(f"`a{sign}b`") == "`a�b`"


@pytest.mark.parametrize(
    ("token", "shown"),
    [("\n", "⏎"), (" the", "␣the"), ("a\tb", "a⇥b"), ("  ", "␣␣"), ("", ""), ("\n\n  x ", "⏎⏎  x␣"), ("é", "é")],
)
def test_a_token_in_a_table_is_seen(token: str, shown: str) -> None:
    assert visible(token) == shown


def test_what_a_sentence_sets_in_backticks_is_code_and_all_else_stays_plain() -> None:
    assert prose("see `moved_far`, *not* `a*b`") == f"see `moved_far`{plain(', *not* ')}`a*b`"
    assert prose("no mark") == plain("no mark")


@pytest.mark.parametrize("text", ["a `b", "`[x](y)```b``", "``[x](y)`", "`a``[x](y)`"])
def test_backticks_that_are_no_pairs_are_plain(text: str) -> None:
    assert prose(text) == plain(text)
