"""A log that somebody else writes, as a run folder beside the others: its steps under our names, followed as it grows.

The folder is that of a recorded run without tokens. It says nothing of how the training is: that is read off the age of
its last line, as for any run on another machine.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sapo_viz.errors import RunError
from sapo_viz.runs.folder.event_lines import STEPS
from sapo_viz.runs.folder.files import write_whole
from sapo_viz.runs.folder.log import NAME, read_tail
from sapo_viz.runs.folder.reading import NotReadable, json_object, read_small
from sapo_viz.runs.logged.names import as_recorded, framework_of, ours
from sapo_viz.runs.logged.sources import EventRecords, LogRow, LogSource
from sapo_viz.runs.recorded import KIND

_TOO_LARGE = {
    "kind": "too-large",
    "message": "Steps whose files are over 200 MB have no point on the curves; the Tokens page opens them.",
}


class Followed:
    """A source and the folder that its steps go to; a folder that is there already is gone on with."""

    def __init__(self, source: LogSource, folder: Path, about: Mapping[str, object] | None = None) -> None:
        self.source, self.folder = source, folder
        self._about = dict(about or {})  # what the log does not tell of itself, for config.json
        self._dumps = "dumps" in self._about  # a folder that holds the tokens of each step
        self._framework = ""  # whose log it is, once its names have told
        self._begun = self._is_there()
        steps = [event["step"] for event in read_tail(folder, "step") if event["type"] == "step"]
        self.last = steps[-1] if steps else -1
        self._waiting: dict[str, float] = {}  # of the step that is being gathered
        self._step: int | None = None

    def _is_there(self) -> bool:
        try:
            values = json_object(read_small(self.folder / "config.json"))
        except FileNotFoundError:
            return False
        except (OSError, NotReadable) as error:
            raise RunError(f"{self.folder}: its config.json cannot be read ({error}); choose another folder.") from None
        if values.get("kind") != KIND or values.get("log") != self.source.title:
            raise RunError(f"{self.folder}: another run lies here; choose another folder.")
        return True

    def look(self, *, last: bool = False) -> int:
        """Write down what is new; returns how many steps. With `last` the step that is still open too.

        Of a long log it is a part, and the source is `behind`: ask again.
        """
        lines = []
        for step, values in self._rows(last):
            if not self._begun:
                self._begin(values)
            if step != self._step:
                lines += self._closed()
                self._step = step
            self._framework = self._framework or framework_of(values)
            found = ours(values, self._framework)
            self._waiting |= {name: value for name, value in found.items() if name not in self._waiting}
        # A source that gives whole rows has no more to say of this step; TensorBoard's are merged before they come.
        lines += self._closed()
        if lines:
            self._append("".join(json.dumps(line) + "\n" for line in lines).encode())
        return len({line["step"] for line in lines})

    def _rows(self, last: bool) -> Iterator[LogRow]:
        yield from self.source.news()
        if last and not self.source.behind and isinstance(self.source, EventRecords) and (row := self.source.last()):
            yield row

    def _closed(self) -> list[dict[str, object]]:
        """The step that was gathered, if it is new and has a number that we know. One of dumps has its tokens too, if
        nothing else."""
        step, metrics = self._step, self._waiting
        self._step, self._waiting = None, {}
        if step is None or not self.last < step <= STEPS or not (metrics or self._dumps):
            return []
        self.last = step
        said: list[dict[str, object]] = []
        said += [{"type": "step", "metrics": metrics}] if metrics else [{"type": "note", **_TOO_LARGE}]
        said += [{"type": "sample"}] if self._dumps else []
        when = round(time.time(), 3)
        return [{"type": event.pop("type"), "step": step, "time": when, **event} for event in said]

    def _begin(self, names: Iterable[str]) -> None:
        framework = as_recorded(framework_of(names)) or self.source.title
        config = {"kind": KIND, "framework": framework, "version": "", "loss": "",
                  "log": self.source.title, "world": 1, "settings": {}} | self._about  # fmt: skip
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / "config.json", json.dumps(config, indent=2) + "\n")
        self._append((json.dumps({"type": "start", "step": 0, "time": round(time.time(), 3)}) + "\n").encode())
        self._begun = True

    def _append(self, data: bytes) -> None:
        descriptor = os.open(self.folder / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)
