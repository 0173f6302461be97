"""What visits may upload: a file that is too much arrives without its bytes, and the page says why in one sentence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from sapo_viz.errors import RolloutError
from sapo_viz.ui.uploads import FILES, MB_OF_ALL, MB_OF_VISIT, bound, uploaded

MB = 1024**2


@pytest.fixture
def manager() -> MemoryUploadedFileManager:
    made = MemoryUploadedFileManager("x")
    bound(made)
    return made


def put(manager: MemoryUploadedFileManager, visit: str, name: str, size: int = 1) -> SimpleNamespace:
    """As Streamlit keeps it, and as a page then sees it."""
    manager.add_file(session_id=visit, file=UploadedFileRec(name, f"{name}.json", "", b"x" * size))
    data = manager.get_files(visit, [name])[0].data
    return SimpleNamespace(file_id=name, name=f"{name}.json", getvalue=lambda: data)


def refused(upload: SimpleNamespace) -> str:
    assert upload.getvalue() == b""
    with pytest.raises(RolloutError) as caught:
        uploaded(upload)
    return str(caught.value)


def test_what_is_within_the_bounds_is_kept(manager: MemoryUploadedFileManager) -> None:
    assert uploaded(put(manager, "a", "kept", 5)).size == 5


def test_one_file_too_many_is_refused_and_a_replaced_one_makes_room(
    manager: MemoryUploadedFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FILES, "2")
    put(manager, "a", "n1"), put(manager, "a", "n2")
    assert "may keep 2 files" in refused(put(manager, "a", "n3"))
    assert uploaded(put(manager, "b", "n4")).size == 1
    manager.remove_file("a", "n1"), manager.remove_file("a", "n3")
    assert uploaded(put(manager, "a", "n5")).size == 1


def test_a_visit_and_all_visits_have_their_size(
    manager: MemoryUploadedFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MB_OF_VISIT, "2")
    monkeypatch.setenv(MB_OF_ALL, "3")
    put(manager, "a", "s1", MB)
    message = refused(put(manager, "a", "s2", 2 * MB))
    assert message.startswith("s2.json: ") and MB_OF_VISIT in message and "make it 3" in message
    put(manager, "b", "s3", 2 * MB)
    message = refused(put(manager, "c", "s4", MB))
    assert MB_OF_ALL in message and "3 are here" in message
    manager.remove_session_files("b")
    assert uploaded(put(manager, "c", "s5", MB)).size == MB
