"""A run's own name and note: kept, shown, taken back."""

from __future__ import annotations

import pytest

from sapo_viz.errors import RunError
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.labels import LONGEST, LONGEST_NOTE, annotate, read_label, read_note, rename
from sapo_viz.runs.folder.store import RunStore


def test_a_name_stays_until_it_is_taken_back(store: RunStore) -> None:
    run_id = store.create(RunConfig())
    assert read_label(store, run_id) == ""
    rename(store, run_id, "  clip off <b>& τ₋ = 2 ")
    assert read_label(RunStore(store.root), run_id) == "clip off <b>& τ₋ = 2"
    assert store.config(run_id) == RunConfig(), "what was asked for is as it was"
    rename(store, run_id, "")
    assert read_label(store, run_id) == "" and not (store.folder(run_id) / "label").exists()


@pytest.mark.parametrize("text", ["x" * (LONGEST + 1), "two\nlines", "bell\x07"])
def test_a_name_that_is_too_long_or_not_one_line_is_refused(store: RunStore, text: str) -> None:
    run_id = store.create(RunConfig())
    with pytest.raises(RunError, match="it takes up to 80 characters on one line"):
        rename(store, run_id, text)
    assert read_label(store, run_id) == ""


def test_a_run_that_is_not_there_cannot_be_named(store: RunStore) -> None:
    with pytest.raises(RunError, match="there is no run"):
        rename(store, "nobody", "x")
    with pytest.raises(RunError):
        rename(store, "../outside", "x")


def test_a_damaged_label_is_none(store: RunStore) -> None:
    run_id = store.create(RunConfig())
    (store.folder(run_id) / "label").write_bytes(b"\xff\xfe\n")
    assert read_label(store, run_id) == ""


def test_a_note_is_kept_beside_the_name(store: RunStore) -> None:
    run_id = store.create(RunConfig())
    rename(store, run_id, "clip off")
    annotate(store, run_id, " lr too high? see <seed 3> ")
    assert read_note(RunStore(store.root), run_id) == "lr too high? see <seed 3>"
    assert read_label(store, run_id) == "clip off"
    annotate(store, run_id, " ")
    assert read_note(store, run_id) == "" and not (store.folder(run_id) / "note").exists()


def test_a_note_that_is_too_long_or_not_one_line_is_refused_and_the_owners_folder_is_left_alone(
    store: RunStore,
) -> None:
    run_id = store.create(RunConfig())
    for text in ("x" * (LONGEST_NOTE + 1), "two\nlines"):
        with pytest.raises(RunError, match="the note is '.*; it takes up to 240 characters on one line"):
            annotate(store, run_id, text)
    with pytest.raises(RunError, match="only its owner can have it annotated"):
        annotate(store, "data:run", "mine")
