"""The exhibits' pages in AppTest: what an address says is used or refused in words, and torch stays out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sapo_viz import CATALOG
from sapo_viz.ui.exhibits import asymmetry as exhibit_asymmetry
from sapo_viz.ui.exhibits import coherence as exhibit_coherence
from sapo_viz.ui.exhibits import outlier as exhibit_outlier
from scripts.browser import OUR_FAULT

ROOT = Path(__file__).parents[3]
SHELL = ROOT / "sapo_viz" / "ui" / "shell.py"
NAMES = ["outlier", "coherence", "asymmetry"]


def open_page(name: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(SHELL), default_timeout=120).run()
    for key, value in query.items():
        app.query_params[key] = value
    return app.switch_page(f"../../pages/{name}.py").run()


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        ("outlier", {"ratios": "1,2,banana"}, "ratios are ignored"),
        ("outlier", {"ratios": "1,99"}, "ratios are ignored"),
        ("outlier", {"ratios": ",".join(["1"] * 65)}, "ratios are ignored"),
        ("outlier", {"more": "-4"}, "it takes values from 0 to 100000"),
        ("coherence", {"tau": "0"}, "it takes values from 0.05 to 20"),
        ("coherence", {"sequences": "1e9"}, "it takes values from 10 to 500"),
        ("asymmetry", {"p": "1"}, "it takes values from 0.001 to 0.999"),
        ("asymmetry", {"vocabulary": "inf"}, "it takes values from 32 to 150000"),
    ],
)
def test_what_a_link_cannot_mean_is_said(name: str, query: dict[str, str], said: str) -> None:
    app = open_page(name, **query)
    assert len(app.exception) == 0
    assert [OUR_FAULT in error.value for error in app.error] == []
    assert said in app.warning[0].value.replace("\\", "")


def test_no_objective_chosen_says_what_to_do() -> None:
    app = open_page("outlier", objectives="")
    assert "Choose at least one objective" in app.info[0].value


def test_objectives_that_cannot_be_shown_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [caption.value for caption in open_page("outlier").caption if "Not offered" in caption.value]
    assert len(said) == 1 and "FIPO, M2PO, Clip-Cov, KL-Cov." in said[0].replace("\\", "")
    monkeypatch.setattr(CATALOG["vespo"], "reads_logprobs", False)  # a product through which the gradient flows
    assert any("Not offered here: VESPO" in caption.value for caption in open_page("outlier").caption)


def test_a_file_that_is_none_yet_leaves_the_draws() -> None:
    app = open_page("coherence", source="file")
    assert len(app.exception) == 0 and "drawn" in app.info[0].value


@pytest.mark.parametrize(
    ("words", "cases"),
    [
        (exhibit_outlier._cases(), exhibit_outlier.outlier_data(["sapo"], {}, {}, exhibit_outlier._cases())["cases"]),
        (exhibit_coherence._cases(), exhibit_coherence.coherence_data({}, {}, exhibit_coherence._cases())["cases"]),
        (exhibit_asymmetry._cases(), exhibit_asymmetry.asymmetry_data({}, {}, exhibit_asymmetry._cases())["cases"]),
    ],
    ids=NAMES,
)
def test_every_case_has_its_words_and_every_word_its_case(words: dict, cases: list) -> None:
    assert list(words) == [case["name"] for case in cases]


@pytest.mark.parametrize("name", NAMES)
def test_an_exhibit_imports_neither_torch_nor_pandas(name: str) -> None:
    code = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(SHELL)!r}, default_timeout=120).run()\n"
        f"app.switch_page('../../pages/{name}.py').run()\n"
        "print(*sorted({'torch', 'transformers', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
