"""A small shop over HTTP, and a line-based feed over TCP, both on loopback and in threads of this process."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STALL_LIMIT_S = 30.0


class ShopHandler(BaseHTTPRequestHandler):
    """GET and POST of anything; the path decides on status and delay."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.server.before_answer()  # type: ignore[attr-defined]
        path = self.path.partition("?")[0]
        if path.startswith("/report"):
            time.sleep(0.12)
        if path == "/elsewhere":
            self._answer(302, b"", {"Location": f"http://203.0.113.7:{self.server.server_address[1]}/"})
        elif path == "/away":
            self._answer(302, b"", {"Location": "/"})
        elif path.startswith("/missing"):
            self._answer(404, b"not here")
        elif path.startswith("/broken"):
            self._answer(500, b"broken")
        elif path == "/login":
            self._answer(200, b"hello", {"Set-Cookie": "session=abc; Path=/"})
        elif path == "/account":
            signed_in = "session=abc" in (self.headers.get("Cookie") or "")
            self._answer(200 if signed_in else 401, b"account")
        elif path.startswith("/api"):
            self._answer(200, json.dumps({"items": [1, 2, 3]}).encode(), {"Content-Type": "application/json"})
        else:
            self._answer(200, b"x" * 400)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


class ShopServer(ThreadingHTTPServer):
    """`stall_after(n, for_s)`: the n-th request from now, and all that follow it, wait for so long."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ShopHandler)
        self.requests = 0
        self.requests_at_s: list[float] = []
        self._lock = threading.Lock()
        self._stall: tuple[int, float] | None = None
        self._open = threading.Event()
        self._open.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def stall_after(self, requests: int, for_s: float) -> None:
        with self._lock:
            self._stall = (self.requests + requests, for_s)

    def before_answer(self) -> None:
        """Called for each request, before its answer."""
        with self._lock:
            self.requests += 1
            self.requests_at_s.append(time.monotonic())
            if self._stall is not None and self.requests >= self._stall[0]:
                self._open.clear()
                threading.Timer(self._stall[1], self._open.set).start()
                self._stall = None
        self._open.wait(STALL_LIMIT_S)


class FeedHandler(socketserver.StreamRequestHandler):
    """Echoes each line, and pushes one of its own after it."""

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(b"echo " + line + b"push " + line)


class FeedServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FeedHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.server_address[1]}"
