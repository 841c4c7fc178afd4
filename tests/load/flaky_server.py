"""A server on loopback whose replies a test sets, and which records every request."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise


@dataclass(frozen=True)
class ReceivedRequest:
    """One request: arrival (seconds of time.monotonic), path, headers, port of the client."""

    at_s: float
    path: str
    number: int  # among the requests for this path, from 1
    headers: dict[str, str]
    port: int


@dataclass(frozen=True)
class Reply:
    """One reply. status 0: reset the connection; -1: never reply."""

    text: str = "ok"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0


class FlakyServer:
    """Answers with `reply(request)`; `received` has every request so far."""

    def __init__(self, reply: Callable[[ReceivedRequest], Reply]) -> None:
        self.reply = reply
        self.received: list[ReceivedRequest] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def record(self, path: str, headers: dict[str, str], port: int) -> ReceivedRequest:
        with self._lock:
            number = 1 + sum(request.path == path for request in self.received)
            self.received.append(ReceivedRequest(time.monotonic(), path, number, headers, port))
            return self.received[-1]

    def gaps_s(self) -> list[float]:
        """Time between one request and the next."""
        times = [request.at_s for request in self.received]
        return [later - earlier for earlier, later in pairwise(times)]

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Customers leave in the middle of a reply; this is expected."""


def _handler_of(server: FlakyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.reply(server.record(self.path, headers, self.client_address[1]))
            if reply.status < 0 or server.closing.wait(reply.after_s):
                server.closing.wait(30)
                self.close_connection = True
                return
            if reply.status == 0:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                return
            body = reply.text.encode()
            lines = [f"HTTP/1.1 {reply.status} x", f"Content-Length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in reply.headers.items()]
            with contextlib.suppress(OSError):
                self.wfile.write("\r\n".join([*lines, "", ""]).encode() + body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler
