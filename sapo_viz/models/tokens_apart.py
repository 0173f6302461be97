"""What token ids stand for, found out in a process of its own: `texts_of` for a page that others look at too.

A tokenizer's file may be anyone's when it comes from the Hub. One of 55 MB took 1.7 GB to read and kept every thread of
the process waiting for 7 s; here it ends its own process and nothing else.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import suppress
from pathlib import Path

from sapo_viz.errors import ModelError
from sapo_viz.paths import child_environment

MEMORY = 1500 * 1024**2  # bytes; one with 262,144 tokens, as Gemma 3's, takes 620 MB
PROCESSOR = 30  # seconds
_COMMAND = (sys.executable, "-m", "sapo_viz.models.tokens_apart")
_CLOCK = 300.0  # seconds: the files may come from the Hub
_LOOK = 0.05
_places = threading.BoundedSemaphore(2)  # read at once; who comes later waits


def texts_apart(
    name: str, ids: Iterable[int], *, root: Path | None = None, memory: int = MEMORY
) -> Generator[float | None, None, dict[int, str]]:
    """As `texts_of`, in steps, between which a page may go on; closing the generator ends the work.

    Raises:
        ModelError: as `texts_of`; also where reading the tokenizer takes more than it may.
    """
    while not _places.acquire(blocking=False):
        yield None
        time.sleep(_LOOK)
    try:
        answer = yield from _answer(name, list(ids), root, memory)
    finally:
        _places.release()
    match json.loads(answer or "{}"):  # said in one go: a process that was ended has said nothing
        case {"failed": message}:
            raise ModelError(str(message))
        case {"texts": texts}:
            return {int(index): text for index, text in texts}
    raise ModelError(
        f"the tokenizer of {name!r} could not be read within {memory // 1024**2:,} MB, {PROCESSOR} s of the processor "
        f"and {_CLOCK:.0f} s by the clock, all that a tokenizer may take; name another model."
    )


def _answer(name: str, ids: list[int], root: Path | None, memory: int) -> Generator[float | None, None, str]:
    """What the process says, a JSON object; nothing where it was ended."""
    with tempfile.TemporaryFile("w+") as asked, tempfile.TemporaryFile("w+") as told:
        folder = None if root is None else str(root)
        json.dump({"name": name, "ids": ids, "root": folder, "memory": memory}, asked)
        asked.seek(0)
        process = subprocess.Popen(_COMMAND, stdin=asked, stdout=told, env=child_environment())
        try:
            until = time.monotonic() + _CLOCK
            while process.poll() is None and time.monotonic() < until:
                yield None  # how far it is cannot be known
                time.sleep(_LOOK)
        finally:
            process.kill()
            process.wait()
        told.seek(0)
        return told.read()


def main() -> None:
    asked = json.load(sys.stdin)
    with suppress(ValueError, OSError):  # a stricter limit is set already
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (asked["memory"],) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR, PROCESSOR))
    from sapo_viz.models.tokens_of import texts_of

    try:
        texts = texts_of(asked["name"], asked["ids"], root=asked["root"] and Path(asked["root"]))
        answer: dict[str, object] = {"texts": list(texts.items())}
    except ModelError as error:
        answer = {"failed": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
