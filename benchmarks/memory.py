"""Does a server give its memory back? Rounds of visits, then large uploads, each followed by three quiet minutes.

Visits are WebSocket connections that speak as Streamlit's page does (thirty Chromiums would measure Chromium): a page
is run, a file uploaded, the page run with it, and the connection closed. Memory is the resident set of the server and
of every process that it has started.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect

from benchmarks.report import Row, Section
from benchmarks.rollouts import write
from scripts.browser import serving

ROUNDS, VISITS = 20, 30
UPLOADS, MILLIONS = 10, 5  # a million tokens are 21 MB of Parquet
QUIET = 180.0  # seconds; Streamlit keeps a visit for 120, in case that it comes back
_SOUND = ForwardMsg.ScriptFinishedStatus.FINISHED_SUCCESSFULLY


@dataclass
class Visit:
    """One tab: its connection, what the server calls it, and the page's uploader."""

    url: str
    socket: ClientConnection
    session_id: str = ""
    uploader: str = ""
    errors: list[str] = field(default_factory=list)

    def look(self, page: str, query: str = "", file: tuple[str, str, int] | None = None) -> None:
        """Run the page to its end, with an uploaded file (its id, name and size) where one is given."""
        message = BackMsg()
        message.rerun_script.page_name = page
        message.rerun_script.query_string = query
        if file is not None:
            state: WidgetState = message.rerun_script.widget_states.widgets.add(id=self.uploader)
            info = state.file_uploader_state_value.uploaded_file_info.add(file_id=file[0], name=file[1], size=file[2])
            info.file_urls.file_id = file[0]
        self.socket.send(message.SerializeToString())
        while True:
            heard = ForwardMsg.FromString(self.socket.recv(timeout=300))  # type: ignore[arg-type]
            kind = heard.WhichOneof("type")
            if kind == "new_session":
                self.session_id = heard.new_session.initialize.session_id or self.session_id
            elif kind == "delta":
                self._see(heard.delta.new_element)
            elif kind == "script_finished" and heard.script_finished == _SOUND:
                return

    def _see(self, element: Any) -> None:
        if element.WhichOneof("type") == "file_uploader":
            self.uploader = element.file_uploader.id
        elif element.WhichOneof("type") == "alert" and element.alert.format == element.alert.ERROR:
            self.errors.append(element.alert.body)

    def upload(self, data: bytes, name: str, before: str = "") -> str:
        """Its id; the one `before` is taken away, as the page does when a file is replaced."""
        if before:
            self._request("DELETE", before)
        file_id = str(uuid.uuid4())
        mark = uuid.uuid4().hex
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        body = head + data + f"\r\n--{mark}--\r\n".encode()
        self._request("PUT", file_id, body, {"Content-Type": f"multipart/form-data; boundary={mark}"})
        return file_id

    def _request(self, method: str, file_id: str, body: bytes | None = None, headers: Any = None) -> None:
        address = f"{self.url}/_stcore/upload_file/{self.session_id}/{file_id}"
        token = _token(self.url)
        all_headers = {**(headers or {}), "X-Xsrftoken": token, "Cookie": f"_streamlit_xsrf={token}"}
        with urllib.request.urlopen(urllib.request.Request(address, body, all_headers, method=method), timeout=60):
            pass


def _token(url: str) -> str:
    with urllib.request.urlopen(f"{url}/_stcore/health", timeout=60) as answer:
        cookies = answer.headers.get_all("Set-Cookie") or []
    return next((c.split(";")[0].partition("=")[2] for c in cookies if c.startswith("_streamlit_xsrf=")), "")


@contextlib.contextmanager
def visiting(url: str) -> Iterator[Visit]:
    address = f"ws://{urlsplit(url).netloc}/_stcore/stream"
    # No pings: on a busy machine thirty visits in one process answer late, and a visit must not end for that.
    with connect(  # type: ignore[list-item]
        address, subprotocols=["streamlit"], max_size=None, compression=None, ping_interval=None
    ) as socket:
        yield Visit(url, socket)


def resident(pid: int) -> float:
    """MB of the process and of all that it has started."""
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss / 1e6
    return total


def measure(
    rounds: int = ROUNDS, visits: int = VISITS, uploads: int = UPLOADS, millions: int = MILLIONS, say: bool = False
) -> Section:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "large.parquet"
        write(path, millions * 1_000_000)
        small = folder / "small.parquet"
        write(small, 100_000)
        with serving(folder) as server:
            pid = server.process.pid
            fresh = resident(pid)
            errors = _round(server.url, 1, small.read_bytes())  # what is imported once stays
            time.sleep(QUIET)
            start = resident(pid)
            after = []
            for _ in range(rounds):
                errors += _round(server.url, visits, small.read_bytes())
                after.append(resident(pid))
                if say:
                    print(f"round {len(after)}: {after[-1]:.0f} MB", flush=True)
            time.sleep(QUIET)
            quiet = resident(pid)
            high = _uploads(server.url, pid, uploads, path.read_bytes())
            time.sleep(QUIET)
            quiet_again = resident(pid)
    back = max(quiet, quiet_again) <= 1.2 * start
    late = after[len(after) // 2 :]
    return Section(
        "A server's memory",
        f"{rounds} rounds of {visits} visits at once, each uploading a file of 100,000 tokens "
        f"and seeing it on Tokens; then one visit that uploads {uploads} files of {millions * 21} MB, one after the "
        f"other. After each part {QUIET:.0f} s without anybody. Resident memory of the server and its processes. The "
        "start is taken when one visitor has been and gone: what is imported for the first one stays.",
        [
            Row("fresh, nobody was here yet", "MB", [fresh]),
            Row("start: one visitor has been and gone", "MB", [start]),
            Row("after a round, first half of them", "MB", after[: len(after) // 2] or after),
            Row("after a round, second half of them", "MB", late),
            Row("quiet after the rounds", "MB", [quiet]),
            Row("during the uploads, after each", "MB", high),
            Row("quiet after the uploads", "MB", [quiet_again]),
        ],
        [
            f"Aimed at: within 20 % of the start when quiet: {'met' if back else 'not met'} "
            f"({quiet / start - 1:+.0%} and {quiet_again / start - 1:+.0%}).",
            f"Pages that showed an error: {errors}.",
        ],
    )


def _round(url: str, visits: int, data: bytes) -> int:
    def visit(_number: int) -> int:
        with visiting(url) as one:
            one.look("tokens", "source=file")
            file_id = one.upload(data, "small.parquet")
            one.look("tokens", "source=file", (file_id, "small.parquet", len(data)))
            return len(one.errors)

    with ThreadPoolExecutor(visits) as pool:
        return sum(pool.map(visit, range(visits)))


def _uploads(url: str, pid: int, uploads: int, data: bytes) -> list[float]:
    high, before = [], ""
    with visiting(url) as one:
        one.look("tokens", "source=file")
        for _ in range(uploads):
            before = one.upload(data, "large.parquet", before)
            one.look("tokens", "source=file", (before, "large.parquet", len(data)))
            high.append(resident(pid))
        if one.errors:
            raise RuntimeError(one.errors[0])
    return high


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for option, usual in (("rounds", ROUNDS), ("visits", VISITS), ("uploads", UPLOADS), ("millions", MILLIONS)):
        parser.add_argument(f"--{option}", type=int, default=usual)
    print(measure(**vars(parser.parse_args()), say=True).markdown())
