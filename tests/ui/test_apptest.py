"""Every page runs from its first line to its last in Streamlit's AppTest, through the shell as in the app."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sapo_viz import CATALOG, Objective
from scripts.browser import OUR_FAULT

ROOT = Path(__file__).parents[2]
SHELL = ROOT / "sapo_viz" / "ui" / "shell.py"
NAMES = sorted(page.stem for page in (ROOT / "pages").glob("*.py"))
SECONDS = 120  # the first page that needs torch imports it


@pytest.fixture(autouse=True)
def runs_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path / "runs"))


def open_page(name: str, query: dict[str, str] | None = None) -> AppTest:
    """A page as the shell shows it, with what the address says."""
    app = AppTest.from_file(str(SHELL), default_timeout=SECONDS).run()
    for key, value in (query or {}).items():
        app.query_params[key] = value
    if name != "home":
        app.switch_page(f"../../pages/{name}.py")
    return app.run()


def assert_no_fault(app: AppTest) -> None:
    assert [exception.value for exception in app.exception] == []
    assert [error.value for error in app.error if OUR_FAULT in error.value] == []


def test_every_page_runs_twice_in_one_session_and_has_a_title_of_its_own() -> None:
    """What the first run left in the session's state must not break the second."""
    titles = set()
    for name in NAMES:
        app = open_page(name)
        assert_no_fault(app)
        assert len(app.error) == 0, f"a first visit of {name} has nothing to complain about"
        (title,) = app.title
        titles.add(title.value)
        assert_no_fault(app.run())
    assert len(titles) == len(NAMES)


@pytest.mark.parametrize("name", ["curves", "tokens", "train"])
def test_an_objective_that_joins_the_catalogue_can_be_chosen(name: str, toy_objective: type[Objective]) -> None:
    app = open_page(name)
    assert_no_fault(app)
    offered = families(app)
    assert sorted(offered) == sorted(cls.label for cls in CATALOG.values())
    assert toy_objective.label in offered


def families(app: AppTest) -> list[str]:
    """The labels in the chooser's groups: each objective stands in one."""
    groups = [group for group in app.get("button_group") if str(group.key).startswith("objectives: ")]
    return [label for group in groups for label in group.options]


def test_a_click_in_a_family_joins_the_one_choice() -> None:
    app = open_page("curves")
    (soft,) = [group for group in app.get("button_group") if group.key == "objectives: soft gate"]
    soft.set_value(["sapo", "erf"]).run()
    assert_no_fault(app)
    assert app.query_params["objectives"] == "sapo,grpo,erf"
    (row,) = [group for group in app.get("button_group") if group.key == "objectives"]
    assert "Erf gate" in row.options, "what is chosen stands in the row"


def test_a_search_leaves_the_objectives_that_answer_to_it() -> None:
    app = open_page("curves")
    app.text_input(key="objectives: find").set_value("2602.04879").run()
    assert_no_fault(app)
    assert families(app) == ["DPPO-TV", "DPPO-KL", "DPPO + KL (prime-rl)", "IPO (prime-rl)"]


def test_a_link_that_asks_for_what_is_not_known_is_said_to_be_wrong() -> None:
    app = open_page("curves", {"objectives": "sapo,foo", "axis": "cubic"})
    assert_no_fault(app)
    said = " ".join(warning.value.replace("\\", "") for warning in app.warning)
    assert "The link's objectives=foo is unknown here and was left out." in said
    assert "The link's axis=cubic is unknown here and was left out." in said


@pytest.mark.parametrize("name", ["home", "curves", "train", "experiments", "reference", "outlier", "asymmetry"])
def test_a_parameter_that_no_part_of_a_page_looks_for_is_said(name: str) -> None:
    """A knob of an objective that is not shown is no such."""
    app = open_page(name, {"experiment": "mood", "present": "1", "dapo.eps_high": "0.3"})
    assert_no_fault(app)
    (said,) = [warning.value.replace("\\", "") for warning in app.warning]
    assert said == "The link's experiment is unknown on this page and was ignored."


@pytest.mark.parametrize("name", ["curves", "tokens"])
def test_a_link_sets_the_knobs_of_an_objective_that_joined_the_catalogue(
    name: str, toy_objective: type[Objective]
) -> None:
    """A knob out of range is refused with the range that the class declares."""
    app = open_page(name, {"objectives": "toy", "toy.kappa": "99"})
    assert_no_fault(app)
    said = [warning.value.replace("\\", "") for warning in app.warning]  # escaped: text is data, not markup
    assert any("Toy gate: kappa (κ) is 99.0; it takes values from 0.1 to 9." in text for text in said)


def test_every_page_bears_an_objective_that_joined_the_catalogue(toy_objective: type[Objective]) -> None:
    for name in NAMES:
        assert_no_fault(open_page(name))


@pytest.mark.parametrize(
    "query",
    [
        {"objectives": "no_such_objective"},
        {"objectives": ""},
        {"axis": "sideways", "show": "everything"},
        {"sapo.tau_pos": "-1"},
        {"sapo.tau_pos": "NaN"},
        {"read_at": "0"},
        {"values": "{{{"},
        {"run": "../../etc/passwd"},
        {"step": "minus one"},
    ],
    ids=lambda query: "&".join(f"{name}={value}" for name, value in query.items()),
)
def test_an_address_with_nonsense_in_it_does_not_break_a_page(query: dict[str, str]) -> None:
    """All pages in one visit, home first, each opened at that address."""
    app = AppTest.from_file(str(SHELL), default_timeout=SECONDS)
    for name in ("home", *(name for name in NAMES if name != "home")):
        if name != "home":
            app.switch_page(f"../../pages/{name}.py")
        for key, value in query.items():
            app.query_params[key] = value
        assert_no_fault(app.run())


def test_pages_that_show_only_curves_and_text_import_neither_torch_nor_pandas() -> None:
    """Importing torch costs 1–4 s and pandas 0.3 s, which the first content of these pages need not wait for."""
    code = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(SHELL)!r}, default_timeout={SECONDS}).run()\n"
        "app.switch_page('../../pages/curves.py').run()\n"
        "print(*sorted({'torch', 'transformers', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
