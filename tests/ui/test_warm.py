"""What is imported while the first browser still loads: what every page needs, and nothing heavy."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pytest import MonkeyPatch

from sapo_viz.ui.serving.lifespan import lifespan
from sapo_viz.ui.warm import EVERY_PAGE, LIGHT, TABLES, Together
from scripts.browser import PAGES


def test_what_is_imported_ahead_is_there_and_is_light() -> None:
    code = (
        "import sys; from sapo_viz.ui.warm import EVERY_PAGE; EVERY_PAGE.ready()\n"
        "heavy = {'torch', 'transformers', 'pandas', 'pyarrow'}\n"
        "print(*set(EVERY_PAGE.names) - set(sys.modules), *heavy & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_the_server_does_not_wait_for_it(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr("sapo_viz.ui.serving.lifespan.uploads", lambda: None)  # those of Streamlit's running server
    monkeypatch.setattr("sapo_viz.ui.serving.lifespan.bound", lambda _uploads: None)

    async def start() -> list[str]:
        async with lifespan(None):
            return [thread.name for thread in threading.enumerate() if thread.daemon]

    with ThreadPoolExecutor(1) as elsewhere:  # a browser of other tests has an event loop in this thread
        names = elsewhere.submit(asyncio.run, start()).result()
    assert "warm" in names or set(EVERY_PAGE.names) <= set(sys.modules)


@pytest.mark.parametrize("group", [EVERY_PAGE, TABLES], ids=["every page", "tables"])
def test_every_module_of_a_group_exists(group: Together) -> None:
    """A name that is gone after an upgrade would be passed over, and the race be back."""
    assert [name for name in group.names if importlib.util.find_spec(name) is None] == []


def test_whoever_asks_while_a_group_is_imported_waits_for_the_end(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    """Python shows a module in sys.modules while its body still runs."""
    (tmp_path / "half_there.py").write_text("import time\ntime.sleep(0.2)\nwhole = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    group, seen = Together("half_there"), []

    def visit() -> None:
        group.ready()
        seen.append(hasattr(sys.modules["half_there"], "whole"))

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    del sys.modules["half_there"]
    assert seen == [True] * 4


def test_pages_that_are_drawn_without_tables_do_not_wait_for_them() -> None:
    """All others do: so does a page that is new."""
    code = (
        "import sys; from sapo_viz.ui.warm import LIGHT, before\n"
        "for page in LIGHT: before(page)\n"
        "print('pandas' in sys.modules); before('new'); print('pandas' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "True"]
    assert {path.strip("/") for path in PAGES.values()} - LIGHT == {"tokens", "train", "experiments"}
