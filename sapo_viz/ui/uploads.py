"""What visitors may upload: how much one visit keeps here, and how much all of them together.

    SAPO_VIZ_UPLOADS_PER_VISIT     files that one visit keeps at once; 6 without it
    SAPO_VIZ_UPLOAD_MB_PER_VISIT   their size together; 500 MB without it
    SAPO_VIZ_UPLOAD_MB             the size of all visits' files; 2000 MB without it

Streamlit has a limit for one file alone, and answers beyond it with a number. So a file that is too much arrives empty
here, and the page that wants to read it says why. Files go when they are replaced, and two minutes after their visit.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from sapo_viz.errors import RolloutError

if TYPE_CHECKING:
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
    from streamlit.runtime.uploaded_file_manager import UploadedFileRec

    from sapo_viz.rollouts.apart.asking import Given

FILES, MB_OF_VISIT, MB_OF_ALL = "SAPO_VIZ_UPLOADS_PER_VISIT", "SAPO_VIZ_UPLOAD_MB_PER_VISIT", "SAPO_VIZ_UPLOAD_MB"
_refused: OrderedDict[str, str] = OrderedDict()  # file id -> why
_MOST_REFUSED = 1000
_LONGEST_NAME = 200  # of a file in a sentence, its end


def uploaded(upload: Any) -> Given:
    """What a visitor has uploaded, as a file to be read apart.

    Raises:
        RolloutError: it was one too many, or too much.
    """
    from sapo_viz.rollouts.apart.asking import Given

    if upload.file_id in _refused:
        raise RolloutError(_refused[upload.file_id])
    return Given.of_bytes(upload.getvalue(), upload.name)


def bound(manager: MemoryUploadedFileManager) -> None:
    """From now on it keeps what the settings allow; what is too much is kept without its bytes, and remembered."""
    add = manager.add_file

    def add_within_bounds(session_id: str, file: UploadedFileRec) -> None:
        why = refusal(manager, session_id, file)
        if why:
            _refused[file.file_id] = why
            file = file._replace(data=b"")
            while len(_refused) > _MOST_REFUSED:
                _refused.popitem(last=False)
        add(session_id=session_id, file=file)

    manager.add_file = add_within_bounds  # type: ignore[method-assign]


def refusal(manager: MemoryUploadedFileManager, session_id: str, file: UploadedFileRec) -> str:
    """Why a file is too much, in a sentence; empty if it is not."""
    from sapo_viz.rollouts.apart.allowance import setting

    with manager._lock:
        every = {key: list(files.values()) for key, files in manager.file_storage.items()}
    own = [kept for kept in every.get(session_id, []) if kept.file_id != file.file_id]
    size, name = len(file.data), file.name[-_LONGEST_NAME:]
    if len(own) >= (most := setting(FILES, 6)):
        return f"{name}: a visit may keep {most} files on this server ({FILES}); remove one, or reload the page."
    before = sum(len(kept.data) for kept in own)
    if before + size > (most := setting(MB_OF_VISIT, 500)) * 1024**2:
        return (
            f"{name}: a visit may keep {most:,} MB of files on this server ({MB_OF_VISIT}), and this would make "
            f"it {(before + size) / 1024**2:,.0f}; remove one, or reload the page."
        )
    total = sum(len(kept.data) for files in every.values() for kept in files)
    if total + size > (most := setting(MB_OF_ALL, 2000)) * 1024**2:
        return (
            f"{name}: all visits together may keep {most:,} MB of files on this server ({MB_OF_ALL}), and "
            f"{total / 1024**2:,.0f} are here; try again in a few minutes."
        )
    return ""
