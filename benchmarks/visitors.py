"""Several visitors at once on a server that nobody has visited: does each of them get the page?

    python -m benchmarks.visitors 100      that many fresh starts; exit status 1 if anyone was let down

What a page needs is imported when it is first asked for, and two sessions are two threads. A visitor here is the
WebSocket of a browser without the browser: it asks for a page as Streamlit's own script does and reads every message
until the page has run to its end. Four browsers on two cores would come one after the other.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from benchmarks.report import Row, Section
from scripts.browser import OUR_FAULT, PAGES, serving

STARTS, VISITORS = 30, 4
APART = (0.1, 0.5)  # seconds from one visitor to the next
PATIENCE = 60.0


@dataclass
class Visit:
    """One visitor: which page, how long until it had run to its end, and what went wrong."""

    page: str
    after: float  # seconds from the first visitor
    seconds: float = 0.0
    trouble: list[str] = field(default_factory=list)

    def go(self, url: str) -> None:
        time.sleep(self.after)
        began = time.monotonic()
        try:
            with connect(
                f"{url.replace('http', 'ws')}/_stcore/stream", subprotocols=["streamlit"], max_size=None
            ) as ws:  # type: ignore[list-item]
                ask = ClientState(page_name=PAGES[self.page].strip("/"))
                ws.send(BackMsg(rerun_script=ask).SerializeToString())
                self.read_to_the_end(ws)
        except Exception as error:  # whatever it is, this visitor did not get the page
            self.trouble.append(repr(error))
        self.seconds = time.monotonic() - began

    def read_to_the_end(self, ws: object) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            raw = ws.recv(timeout=PATIENCE)  # type: ignore[attr-defined]
            message = ForwardMsg.FromString(raw)
            if OUR_FAULT.encode() in raw:
                self.trouble.append(OUR_FAULT)
            if message.delta.new_element.WhichOneof("type") == "exception":
                self.trouble.append(message.delta.new_element.exception.message)
            if message.WhichOneof("type") == "script_finished":
                if message.script_finished != ForwardMsg.FINISHED_SUCCESSFULLY:
                    self.trouble.append(f"the script ended with status {message.script_finished}")
                return
        self.trouble.append(f"the page has not run to its end within {PATIENCE:g} s")


def start(seed: int) -> tuple[list[Visit], str]:
    """One fresh server and its visitors, pages and pauses by chance; the visits, and the log if it has a traceback."""
    chance = random.Random(seed)
    visits, after = [], 0.0
    for _ in range(VISITORS):
        visits.append(Visit(chance.choice(list(PAGES)), after))
        after += chance.uniform(*APART)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        threads = [threading.Thread(target=visit.go, args=(server.url,)) for visit in visits]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log = server.log()
    return visits, log if "Traceback" in log else ""


def measure(starts: int = STARTS, say: bool = False) -> Section:
    every: list[Visit] = []
    bad_starts = 0
    for seed in range(starts):
        visits, log = start(seed)
        every += visits
        trouble = [f"{visit.page} after {visit.after:.2f} s: {each}" for visit in visits for each in visit.trouble]
        bad_starts += bool(trouble or log)
        if say and (trouble or log):
            print(f"start {seed}:", *trouble, log, sep="\n", flush=True)
    let_down = sum(bool(visit.trouble) for visit in every)
    return Section(
        f"{VISITORS} visitors at once on a fresh server",
        f"{starts} fresh starts; {VISITORS} visitors each, {APART[0]:g} to {APART[1]:g} s apart, to pages by chance "
        "(seeded), as WebSockets that ask as a browser does. From asking to the end of the page's script.",
        [Row("page asked for → run to its end", "s", [visit.seconds for visit in every], digits=2)],
        [
            f"Visitors who did not get their page: {let_down} of {len(every)}; starts with one, or with a traceback in "
            f"the server's log: {bad_starts} of {starts}. Aimed at: none."
        ],
    )


if __name__ == "__main__":
    section = measure(int(sys.argv[1]) if len(sys.argv) > 1 else STARTS, say=True)
    print(section.markdown())
    raise SystemExit(" 0 of" not in section.notes[0].split("starts")[1])
