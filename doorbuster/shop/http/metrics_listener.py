"""Serves /metrics on a port of its own and in a thread of its own, as management ports do.

So the metrics can be read while the shop's connections are used up or its event loop is full.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from doorbuster.shop.http.metrics_page import CONTENT_TYPE

LOOPBACK = "127.0.0.1"


@contextmanager
def metrics_listener(render: Callable[[], str]) -> Iterator[str]:
    """The URL of the metrics, which are served until the end of the block."""

    class MetricsHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = self.path == "/metrics"
            body = render().encode() if found else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer((LOOPBACK, 0), MetricsHandler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="shop-metrics", daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
