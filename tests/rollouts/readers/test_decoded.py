"""Token ids become texts by the tokenizer of a model that is named, and only where a file holds ids alone."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from pathlib import Path

import numpy as np
import psutil
import pytest
from huggingface_hub.utils import filter_repo_objects

from sapo_viz.cli import main
from sapo_viz.errors import ModelError, RolloutError
from sapo_viz.models import tokens_apart, tokens_of
from sapo_viz.models.source import Located
from sapo_viz.models.tokenizer import encode
from sapo_viz.models.tokens_apart import texts_apart
from sapo_viz.paths import ASSETS
from sapo_viz.rollouts.readers.decoded import decoded, has_halves, shows_ids
from sapo_viz.rollouts.readers.read import parse_rollouts, read_rollouts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import finish
from tests.models.tiny import byte_level, save_model
from tests.rollouts.readers.formats import samples
from tests.rollouts.readers.formats.samples import lines

# Of the bundled policies' 26 symbols: 10 is "9", 12 is "+", 13 is "=".
PRIME = samples.PRIME[0] | {"token_ids": [11, 10, 12, 13, 12]}


def here(rollouts: Rollouts, name: str, root: Path | None = None) -> Rollouts:
    """Decoded without another process, which takes seconds to start."""

    def texts(
        name: str, ids: Iterable[int], *, root: Path | None = None
    ) -> Generator[float | None, None, dict[int, str]]:
        yield None
        return tokens_of.texts_of(name, ids, root=root)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sapo_viz.rollouts.readers.decoded.texts_apart", texts)
        return finish(decoded(rollouts, name, root))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", byte_level())
    return tmp_path / "model"


def test_a_bundled_policy_names_its_symbols() -> None:
    read = parse_rollouts(lines(PRIME), "x")
    assert shows_ids(read) and list(read.tokens) == ["⟨12⟩", "⟨13⟩", "⟨12⟩"]
    shown = here(read, "addition-rl")
    assert list(shown.tokens) == ["+", "=", "+"] and not shows_ids(shown)
    assert shown.token_ids is read.token_ids and np.array_equal(shown.logprobs, read.logprobs, equal_nan=True)
    assert "Token ids shown as texts by the tokenizer of addition-rl." in shown.notes
    assert not any("⟨id⟩" in note for note in shown.notes)


def test_halves_of_characters_stay_visible(folder: Path) -> None:
    ids = encode(byte_level(), "你們")
    row = PRIME | {"token_ids": [0, *ids]}
    shown = here(parse_rollouts(lines(row), "x"), str(folder))
    assert list(shown.tokens) == ["⟨E5⟩", "⟨80⟩", "⟨91⟩"], "the response: the last three of five"


def test_texts_that_were_decoded_one_id_at_a_time_may_be_decoded_anew(folder: Path) -> None:
    ids = encode(byte_level(), "你們")
    row = {"tokens": ["�"] * 4, "token_ids": ids, "logprobs": [-1] * 4, "old_logprobs": [-1] * 4, "advantage": 1}
    read = parse_rollouts(lines(row), "x")
    assert has_halves(read) and not shows_ids(read)
    shown = here(read, str(folder))
    assert list(shown.tokens)[1:] == ["⟨E5⟩", "⟨80⟩", "⟨91⟩"] and not has_halves(shown)
    whole = parse_rollouts(lines(row | {"tokens": ["a"] * 4}), "x")
    assert not has_halves(whole)


def test_ids_that_the_tokenizer_does_not_know_stay_ids_and_are_counted() -> None:
    shown = here(parse_rollouts(lines(PRIME | {"token_ids": [11, 10, 12, 999_999, 2**52]}), "x"), "addition-rl")
    assert list(shown.tokens) == ["+", "⟨999999⟩", f"⟨{2**52}⟩"]
    assert any("does not know" in note and ": 2;" in note for note in shown.notes)


@pytest.mark.parametrize(
    ("row", "name", "says"),
    [
        (PRIME | {"token_ids": [900] * 5}, "addition-rl", "knows none of its token ids (the largest is 900)"),
        ({"tokens": ["a"], "logprobs": [-1], "old_logprobs": [-1], "advantage": 1}, "addition-rl", "no token_ids"),
        (samples.NEMO_OLDER[0], "addition-rl", "no token_ids"),
    ],
)
def test_what_cannot_be_decoded_is_said_in_one_sentence(row: dict[str, object], name: str, says: str) -> None:
    with pytest.raises(RolloutError) as caught:
        here(parse_rollouts(lines(row), "x"), name)
    assert says in str(caught.value) and str(caught.value).endswith(".")


def test_a_file_with_texts_is_left_as_it_is() -> None:
    with pytest.raises(RolloutError, match="texts already"):
        here(parse_rollouts((ASSETS / "samples/formats/unipo.json").read_bytes(), "x"), "addition-rl")


def test_a_visitor_reads_no_folder_outside_the_owners(folder: Path) -> None:
    read = parse_rollouts(lines(PRIME), "x")
    assert not shows_ids(here(read, "model", folder.parent))
    for name in (str(folder), "../model", "model/.."):
        with pytest.raises(ModelError):
            here(read, name, folder.parent / "elsewhere")


def test_of_a_hub_model_only_the_tokenizer_is_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def fetch(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    found = tokens_of._here(Located("a/b", "", "hub:a/b@123", 1))
    assert (found.folder, asked["name"], asked["revision"]) == (str(folder), "a/b", "123")
    ours = ["tokenizer.json", "tokenizer_config.json", "spiece.model", "vocab.txt", "merges.txt", "config.json"]
    others = ["model.safetensors", "model-00001-of-00002.safetensors", "pytorch_model.bin", "consolidated.00.pth"]
    others += ["tf_model.h5", "README.md", "modeling_own.py", "onnx/tokenizer.json"]
    patterns = {name: asked[name] for name in ("allow_patterns", "ignore_patterns")}
    assert list(filter_repo_objects([*ours, *others], **patterns)) == ours  # type: ignore[arg-type]


def test_the_command_decodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rank_0.jsonl"
    path.write_bytes(lines(PRIME))
    assert main(["inspect", str(path), "--tokenizer", "addition-rl", "--json", "--tokens"]) == 0
    assert '"token": "+"' in capsys.readouterr().out
    assert read_rollouts(path).tokens[0] == "⟨12⟩"


def test_a_tokenizer_that_takes_too_much_ends_its_own_process() -> None:
    """As one of 55 MB with 2.5 million pieces did, which takes 1.7 GB; with less memory a small one does as well."""
    with pytest.raises(ModelError, match="within 60 MB.* all that a tokenizer may take; name another model"):
        finish(texts_apart("addition-rl", [1, 2], memory=60 * 1024**2))


def test_who_goes_away_ends_the_reading_of_a_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_apart, "_COMMAND", (sys.executable, "-c", "import time; time.sleep(600)"))
    before = set(psutil.Process().children())
    work = texts_apart("addition-rl", [1])
    next(work)
    (started,) = set(psutil.Process().children()) - before
    work.close()
    assert not started.is_running()
