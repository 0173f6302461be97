"""The report is one file: whole without a network, inert whatever the text in it, and bounded in size."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapo_viz import CATALOG, __version__
from sapo_viz.cli import main
from sapo_viz.errors import RolloutError
from sapo_viz.figures.page import html_page, json_block
from sapo_viz.figures.report.document import report_html, write_report
from sapo_viz.figures.strip.alone import MOST_BYTES, strip_block, token_strip
from sapo_viz.figures.vendor import PLOTLY_JS
from sapo_viz.rollouts.analysis.analyse import Analysis, analyse
from sapo_viz.rollouts.analysis.fit import kept_curve
from sapo_viz.rollouts.findings.summary import most_telling_token, summarise
from sapo_viz.rollouts.readers.read import parse_rollouts
from tests.figures.report.hostile import EVIL, NAME, hostile
from tests.rollouts.made import rollouts

OBJECTIVES = {name: CATALOG[name]() for name in ("sapo", "grpo", "gspo")}
MADE = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)


class Page(HTMLParser):
    """What a browser's parser would make of it: elements with attributes, scripts with their text, visible text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.shown = ""
        self._open = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag if tag in ("script", "style") else ""
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)
        elif not self._open:
            self.shown += data

    def blocks(self) -> dict[str, Any]:
        return {
            str(attributes["id"]): json.loads(code)
            for attributes, code in self.scripts
            if attributes.get("type") == "application/json"
        }


def analysed(data: bytes, name: str = "x.jsonl") -> Analysis:
    return analyse(parse_rollouts(data, name), OBJECTIVES)


@pytest.fixture(scope="module")
def calm() -> Iterator[tuple[Analysis, str, Page]]:
    made = rollouts()
    moved = np.minimum(made.old_logprobs + 8 * (made.logprobs - made.old_logprobs), 0.0)
    analysis = analyse(rollouts(logprobs=moved, notes=("Note one.",)), OBJECTIVES)
    document = report_html(analysis, made=MADE)
    yield analysis, document, Page(document)


def test_the_head_says_what_was_looked_at_and_how(calm: tuple[Analysis, str, Page]) -> None:
    analysis, _, page = calm
    words = (
        "made",
        f"{len(analysis.rollouts):,}",
        f"{len(analysis.rollouts.tokens):,}",
        "2026-11-22 10:30 UTC",
        "SAPO (τ₊ = 1, τ₋ = 1.05)",
        "GSPO (ε_low = 0.0003, ε_high = 0.0004)",
        __version__,
        "Note one.",
    )
    assert [word for word in words if word not in page.shown] == []


def test_it_holds_findings_shares_matches_and_groups_as_the_functions_give_them(
    calm: tuple[Analysis, str, Page],
) -> None:
    analysis, _, page = calm
    summary = summarise(analysis)
    assert summary.findings and summary.matches
    assert all(one.title in page.shown and one.remedy in page.shown for one in summary.findings)
    assert all(one.sentence in page.shown for one in summary.matches)
    assert summary.normalisation.sentence in page.shown
    assert f"{analysis.share('sapo').kept:.4g}" in page.shown
    assert all(str(name) in page.shown for name in summary.sequences_apart["id"])


def test_figures_are_the_page_s_own_with_words_and_a_place(calm: tuple[Analysis, str, Page]) -> None:
    _, _, page = calm
    blocks = page.blocks()
    places = [attributes["data-figure"] for _, attributes in page.elements if "data-figure" in attributes]
    assert {"figure-kept", "figure-ratios", "figure-sequence-ratios", "figure-variance", "figure-group"} <= set(places)
    assert any(str(place).startswith("figure-match-") for place in places)
    assert set(places) == {name for name in blocks if name.startswith("figure-")}
    labels = [attributes["aria-labelledby"] for _, attributes in page.elements if "data-figure" in attributes]
    assert set(labels) <= {attributes.get("id") for _, attributes in page.elements}


def test_headings_go_down_one_at_a_time_and_the_language_is_said(calm: tuple[Analysis, str, Page]) -> None:
    _, _, page = calm
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    assert ("html", {"lang": "en"}) in page.elements
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_plotly_is_in_it_once_and_nothing_is_fetched(calm: tuple[Analysis, str, Page]) -> None:
    _, document, page = calm
    assert document.count("plotly.js v") == PLOTLY_JS.read_text(encoding="utf-8").count("plotly.js v") == 1
    assert not [attributes for _, attributes in page.elements if {"src", "srcset"} & set(attributes)]
    links = {str(attributes["href"]) for tag, attributes in page.elements if "href" in attributes}
    assert all(link.startswith("#") for link in links)
    assert not [tag for tag, _ in page.elements if tag in ("link", "iframe", "object", "embed", "base", "form")]


def test_the_policy_names_the_scripts_by_their_hash_and_lets_nothing_else_in(calm: tuple[Analysis, str, Page]) -> None:
    _, _, page = calm
    policy = next(str(a["content"]) for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    code = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    wanted = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in code}
    assert wanted == set(re.findall(r"'sha256-[^']+'", policy)) and len(wanted) == 2
    assert policy.startswith("default-src 'none'; ") and "'unsafe-eval'" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


def test_whatever_text_the_file_holds_it_stays_text() -> None:
    page = Page(report_html(analysed(hostile(), NAME), made=MADE))
    tags = {tag for tag, _ in page.elements}
    assert "img" not in tags and "b" in tags, "<b> is the report's own, in its findings"
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert len(page.scripts) == len(page.blocks()) + 2
    assert EVIL[:40] in page.shown and NAME in page.shown
    strips = [block for name, block in page.blocks().items() if name.startswith("strip-")]
    assert strips and all(EVIL.encode() in base64.b64decode(block["bytes"]) for block in strips)


def test_plotly_gets_names_without_markup() -> None:
    """Plotly reads <a href> and <b> in labels: the completions' ids are the file's."""
    figure = Page(report_html(analysed(hostile(text="<a href='https://x'>y</a>")))).blocks()["figure-group"]
    assert "<a" not in json.dumps(figure) and "&lt;a" in json.dumps(figure)


@pytest.mark.parametrize("name", ["</script>", "<!--", "&", "\u2028", "é"])
def test_a_data_block_holds_no_mark_and_gives_back_its_text(name: str) -> None:
    block = json_block("x", {name: [name]})
    inside = block.split(">", 1)[1].rsplit("</script>", 1)[0]
    assert json.loads(inside) == {name: [name]} and not set("<>&\u2028") & set(inside)


def test_a_script_cannot_end_its_element() -> None:
    page = Page(html_page("x", "", style="", scripts=[("module", 'const a = "</script><!--";')], data={}))
    assert len(page.scripts) == 1 and page.scripts[0][1] == 'const a = "<\\/script><\\!--";'


def test_a_file_of_huge_texts_makes_a_report_of_bounded_size() -> None:
    huge = "界" * 700_000
    data = hostile(12, text=huge)
    document = report_html(analysed(data, "n" * 5000))
    assert len(data) > 20_000_000
    assert len(document.encode()) < len(PLOTLY_JS.read_bytes()) + 1_000_000


def test_long_sequences_are_shown_around_their_most_telling_token() -> None:
    tokens, place = 40_000, 31_000
    new = np.full(tokens, -0.5)
    new[place] = -0.01
    item = {"tokens": [f"t{k}" for k in range(tokens)], "logprobs": new.tolist(), "old_logprobs": [-0.5] * tokens}
    analysis = analysed(json.dumps([item | {"advantage": 1.0}]).encode())
    assert most_telling_token(analysis, 0) == place
    block = strip_block(analysis, 0)
    assert block is not None and block["first"] <= place < block["first"] + block["shown"] < tokens
    assert block["token"] + block["first"] == place and len(base64.b64decode(block["bytes"])) <= MOST_BYTES


def test_one_objective_and_no_advantage_still_make_a_report() -> None:
    item = {"tokens": ["a"], "logprobs": [-1.0], "old_logprobs": [-1.0], "advantage": 0.0}
    analysis = analyse(parse_rollouts(json.dumps([item]).encode(), "x"), {"sapo": CATALOG["sapo"]()})
    page = Page(report_html(analysis))
    assert "no gradient to keep" in page.shown and "strip-0" in page.blocks()


def test_copies_of_one_sequence_are_shown_once() -> None:
    one = json.loads(hostile(1, text="a"))
    other = one | {"logprobs": [-0.1 * k for k in range(6)], "reward": 1.0}
    data = "\n".join(json.dumps(item) for item in [one] * 8 + [other])
    page = Page(report_html(analysed(data.encode())))
    assert len([name for name in page.blocks() if name.startswith("strip-")]) == 2


def test_a_match_is_drawn_at_the_knobs_that_were_chosen() -> None:
    analysis = analyse(rollouts(), {"sapo": CATALOG["sapo"].from_knobs({"tau_pos": 3.0}), "grpo": CATALOG["grpo"]()})
    summary = summarise(analysis, curves=True)
    assert summary.matches is not None and len(summary.curves) == len(summary.matches) == 4
    own = [one.source for one in summary.matches if one.source.name == "sapo"]
    assert own and all(one == analysis.objectives["sapo"] for one in own)
    for found, curve in zip(summary.matches, summary.curves, strict=True):
        assert (curve is not None) == found.found
        if curve is not None:
            again = kept_curve(analysis.rollouts, found.target, curve.knob.name, found.sign, base=curve.base)
            assert np.array_equal(curve.kept, again.kept)


def test_a_strip_for_a_notebook_is_a_page_in_a_frame_without_rights() -> None:
    analysis = analysed(hostile())
    frame = Page(token_strip(analysis, 1)._repr_html_())
    assert [tag for tag, _ in frame.elements] == ["iframe"]
    assert frame.elements[0][1]["sandbox"] == "allow-scripts"
    inner = Page(str(frame.elements[0][1]["srcdoc"]))
    assert "img" not in {tag for tag, _ in inner.elements} and "strip-0" in inner.blocks()
    with pytest.raises(IndexError):
        token_strip(analysis, 4)


# ── the command ───────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.jsonl"
    path.write_bytes(hostile())
    return path


def test_the_command_writes_the_report_and_prints_its_numbers(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.html"
    target.write_text("old")
    assert main(["inspect", str(file), "--html", str(target), "--json", "--objective", "sapo:tau_neg=2,grpo"]) == 0
    caught = capsys.readouterr()
    assert json.loads(caught.out)["objectives"]["sapo"]["tau_neg"] == 2.0 and "MB" in caught.err
    assert "τ₋ = 2" in Page(target.read_text(encoding="utf-8")).shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.html", "x.jsonl"]


def test_quick_says_in_the_report_what_it_left_out(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.html"
    assert main(["inspect", str(file), "--html", str(target), "--quick"]) == 0
    assert "Not looked for" in Page(target.read_text(encoding="utf-8")).shown


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("out.txt", "must end in .html"),
        ("x.jsonl", "must end in .html"),
        ("nowhere/out.html", "there is no such folder"),
        ("folder.html", "is a folder"),
        ("link.html", "the file that is read"),
    ],
)
def test_a_target_that_cannot_be_written_is_one_line_and_status_2(
    file: Path, tmp_path: Path, name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "link.html").hardlink_to(file)
    before = file.read_bytes()
    assert main(["inspect", str(file), "--html", str(tmp_path / name)]) == 2
    caught = capsys.readouterr()
    assert words in caught.err and caught.err.count("\n") == 1 and not caught.out
    assert file.read_bytes() == before


def test_a_report_that_fails_half_way_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out.html"
    target.write_text("old")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(RolloutError, match="No space left on device"):
        write_report(target, "new")
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
