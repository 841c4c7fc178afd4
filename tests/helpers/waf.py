"""A reverse proxy on loopback that lets through only requests with a certain header, as a WAF does."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HEADER = "X-Waf-Bypass"
KEPT = ("content-type", "location", "set-cookie", "date")


class WafHandler(BaseHTTPRequestHandler):
    """Passes a request on, or answers 403 with the header that it got."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, self.headers.get(HEADER)))
        if self.headers.get(HEADER) != self.server.secret:
            self._answer(403, [], f"blocked, {HEADER}: {self.headers.get(HEADER)}".encode())
            return
        connection = http.client.HTTPConnection(self.server.behind, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        connection.request(self.command, self.path, body or None, {**headers, "Accept-Encoding": "identity"})
        answer = connection.getresponse()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() in KEPT]
        self._answer(answer.status, kept, answer.read())
        connection.close()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815  the library's names

    def _answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing is printed."""


class Waf(ThreadingHTTPServer):
    """In front of the shop at `behind`; `asked` has method, path and the header of every request."""

    daemon_threads = True

    def __init__(self, behind: str, secret: str) -> None:
        super().__init__(("127.0.0.1", 0), WafHandler)
        self.behind = urlsplit(behind).netloc
        self.secret = secret
        self.asked: list[tuple[str, str, str | None]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"
