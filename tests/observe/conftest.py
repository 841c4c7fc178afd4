"""Real servers on loopback, and the collector in this process."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from doorbuster.observe.collector import Collector
from doorbuster.observe.plan import ObservationPlan, SourcePlan
from doorbuster.observe.sources.registry import open_source


@pytest.fixture
def free_port():
    def find(kind=socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as found:
            found.bind(("127.0.0.1", 0))
            return found.getsockname()[1]

    return find


@pytest.fixture
def serve():
    """Serves `answer(path) -> (status, headers, body)`; yields the URL."""

    @contextmanager
    def run(answer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status, headers, body = answer(self)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    return run


@pytest.fixture
def source():
    """Opens a source of a kind; closes it at the end."""
    opened = []

    def make(kind, *, every_s=1.0, started_at=None, **settings):
        plan = SourcePlan("src", kind, every_s, (), settings)
        found = open_source(plan, time.perf_counter() if started_at is None else started_at)
        opened.append(found)
        return found

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def collected():
    """Rows and events of a collector that runs until `done(rows, events)` holds, for ten seconds at most."""

    def run(done, *sources, resources=()):
        collector = Collector(ObservationPlan(time.perf_counter(), sources, tuple(resources)), open_source)
        collector.start()
        rows, events, until = [], [], time.monotonic() + 10
        while not done(rows, events) and time.monotonic() < until:
            time.sleep(0.02)
            more, said = collector.take()
            rows += more
            events += said
        collector.stop(2.0)
        more, said = collector.take()
        return rows + more, events + said

    return run
