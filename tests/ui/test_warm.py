"""What is imported while the first browser still loads: what every page needs, and nothing heavy."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from sapo_viz.ui.warm import MODULES, warm


def test_what_is_imported_ahead_is_there_and_is_light() -> None:
    code = (
        "import sys; from sapo_viz.ui.warm import MODULES, import_all; import_all()\n"
        "print(*set(MODULES) - set(sys.modules), *{'torch', 'transformers', 'pandas', 'pyarrow'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_the_server_does_not_wait_for_it() -> None:
    async def start() -> list[str]:
        async with warm(None):
            return [thread.name for thread in threading.enumerate() if thread.daemon]

    with ThreadPoolExecutor(1) as elsewhere:  # a browser of other tests has an event loop in this thread
        names = elsewhere.submit(asyncio.run, start()).result()
    assert "warm" in names or set(MODULES) <= set(sys.modules)
