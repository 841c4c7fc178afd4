"""Serves the live page on loopback, from a thread of the command that watches the run.

Rules of this module
- Nothing here reaches the load generator, which is another process. A browser that is slow, killed or stopped
  holds one thread and its socket for at most `SEND_LIMIT_S`, and never a snapshot.
- Loopback only; a request through a foreign name or from a foreign page is refused (see `request_guard`).
"""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any

from doorbuster.errors import UsageError
from doorbuster.live.broadcast import Broadcast
from doorbuster.live.page_files import REPORT_POLICY, headers, page_file
from doorbuster.live.request_guard import RequestOrigin, refusal
from doorbuster.live.snapshot import Snapshot

ADDRESS = "127.0.0.1"
NOTHING = "default-src 'none'"  # policy of answers other than pages
MAX_CONNECTIONS = 64
SEND_LIMIT_S = 10.0  # for a client that does not read
BEAT_S = 5.0  # a comment on a silent stream, which shows whether the client is still there
LINGER_S = 3.0  # after the last snapshot, for browsers to take it and the report


class LiveServer:
    """The page of one command; use as a context manager, which waits until browsers have the end of it."""

    is_open = True

    def __init__(self, port: int, title: str) -> None:
        """Raises: UsageError if the port cannot be opened; 0 takes a free one."""
        self.snapshot = Snapshot(title)
        self.broadcast = Broadcast()
        self.report: Path | None = None
        self.report_was_read = threading.Event()
        self._readers, self._lock = 0, threading.Lock()
        try:
            self._server = LiveHTTPServer((ADDRESS, port), LivePageHandler)
        except OSError as error:
            why = error.strerror or "it cannot be used"
            raise UsageError(f"cannot open port {port} for the live page ({why}); see --live") from error
        self._server.live = self
        self.url = f"http://{ADDRESS}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    def __enter__(self) -> LiveServer:
        self._thread.start()
        self.publish()
        return self

    def __exit__(self, *_: object) -> None:
        readers = self._readers
        self.broadcast.publish(self.snapshot.changed(step="done").to_json(), is_last=True)
        until_s = time.monotonic() + LINGER_S
        while self._readers and time.monotonic() < until_s:
            time.sleep(0.05)
        if self.report is not None and readers:
            self.report_was_read.wait(max(0.0, until_s - time.monotonic()))
        self._server.shutdown()
        self._server.server_close()

    def publish(self, **changes: Any) -> None:
        """Show the snapshot with these fields changed."""
        self.snapshot = self.snapshot.changed(**changes)
        self.broadcast.publish(self.snapshot.to_json())

    def show_report(self, path: Path) -> None:
        """Serve a report from now on."""
        self.report = path
        self.publish(has_report=True)

    @property
    def readers(self) -> int:
        """Browsers that are connected now."""
        return self._readers

    def count_reader(self, change: int) -> None:
        """A browser has come (1) or left (-1)."""
        with self._lock:
            self._readers += change


class LiveHTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = MAX_CONNECTIONS
    live: LiveServer

    def __init__(self, *args: Any) -> None:
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """A client that leaves in the middle of an answer is not an error."""


class LivePageHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SEND_LIMIT_S
    server: LiveHTTPServer

    def do_GET(self) -> None:
        asked = RequestOrigin(
            "GET", self.headers.get("Host", ""), self.headers.get("Sec-Fetch-Site", ""),
            self.headers.get("Sec-Fetch-Mode", ""), self.headers.get("Sec-Fetch-Dest", ""),
            self.headers.get("Origin"),
        )  # fmt: skip
        path = self.path.partition("?")[0].removeprefix("/")
        if why := refusal(asked, (), f"as {self.server.live.url}"):
            self._answer(403, why.encode(), headers("text/plain", NOTHING))
        elif path == "events":
            self._stream()
        elif path == "state":
            text = self.server.live.snapshot.to_json()
            self._answer(200, text.encode(), headers("application/json", NOTHING))
        elif path == "report" and self.server.live.report is not None:
            self._answer(200, self.server.live.report.read_bytes(), headers("text/html", REPORT_POLICY))
            self.server.live.report_was_read.set()
        elif (found := page_file(path)) is not None:
            self._answer(200, found.content, found.headers)
        else:
            self._answer(404, b"there is no such page", headers("text/plain", NOTHING))

    def _answer(self, status: int, content: bytes, answer_headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in answer_headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        live = self.server.live
        live.count_reader(1)
        try:
            self.send_response(200)
            for name, value in headers("text/event-stream", NOTHING).items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.close_connection = True
            self.end_headers()
            number = 0
            while True:
                found = live.broadcast.after(number, timeout_s=BEAT_S)
                if found is None:
                    self.wfile.write(b": still here\n\n")
                    continue
                number = found.number
                self.wfile.write(b"data: " + found.text.encode() + b"\n\n")
                if found.is_last:
                    return
        finally:
            live.count_reader(-1)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""
