"""The reference page: one entry by its address, the search, and the code to take home."""

from __future__ import annotations

from sapo_viz import CATALOG, Objective
from sapo_viz.printed.standalone import latex, standalone
from tests.ui.test_apptest import assert_no_fault, open_page

LANGUAGES = ("python", "latex")


def headings(query: dict[str, str]) -> list[str]:
    app = open_page("reference", query)
    assert_no_fault(app)
    return [header.value for header in app.header]


def test_it_shows_everything_at_first() -> None:
    labels = [cls.label for cls in CATALOG.values()]
    assert headings({}) == [*labels, "Where implementations differ", "Metrics"]


def test_an_address_opens_one_entry() -> None:
    assert headings({"objective": "gspo"}) == ["GSPO"]


def test_an_address_with_a_search_opens_what_is_found() -> None:
    assert headings({"q": "clip_ratio_c"}) == ["Dual clip", "DPPO-TV", "DPPO-KL"]


def test_the_objective_that_is_called_so_comes_first() -> None:
    found = headings({"q": "grpo"})
    assert found[:2] == ["GRPO", "Dr. GRPO"] and "SAPO" in found[2:], "SAPO has it in its name elsewhere"
    assert headings({"q": "Dr. GRPO"})[0] == "Dr. GRPO"


def test_a_search_that_finds_nothing_says_so_and_shows_what_was_typed_as_it_is() -> None:
    app = open_page("reference", {"q": "<b>*nothing*"})
    assert_no_fault(app)
    assert "nothing" in app.info[0].value and "<b>*" not in app.info[0].value


def test_an_objective_that_joined_the_catalogue_has_its_entry(toy_objective: type[Objective]) -> None:
    assert headings({"objective": toy_objective.name}) == [toy_objective.label]


def test_the_curves_page_hands_out_the_code_with_the_knobs_of_its_address() -> None:
    app = open_page("curves", {"objectives": "sapo,gspo", "sapo.tau_neg": "3"})
    assert not app.code, "the code is written when its box is opened"
    app.session_state["home-sapo"] = app.session_state["home-gspo"] = True
    app.run()
    assert_no_fault(app)
    objectives = [CATALOG["sapo"](tau_neg=3.0), CATALOG["gspo"]()]  # type: ignore[call-arg]
    shown = {language: [block.value for block in app.code if block.language == language] for language in LANGUAGES}
    assert shown["python"] == [standalone(objective).strip() for objective in objectives]
    assert shown["latex"] == [latex(objective).strip() for objective in objectives]
