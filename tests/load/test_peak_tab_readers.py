"""Browsers that show the tab Peak and do not read: they cost neither memory nor the place of others."""

from __future__ import annotations

import socket
import time
import tracemalloc
from types import SimpleNamespace

import flask
import gevent
import locust  # noqa: F401  patches sockets and threads, as in the process that serves the tab
import pytest
from gevent.pywsgi import WSGIServer

from doorbuster.load.locust_plugin import peak_tab
from doorbuster.load.locust_plugin.peak_tab import MAX_READERS, PeakTab

LARGE = "x" * 2**20
MOST_BYTES = 3 * (MAX_READERS + 2) * len(LARGE)  # a text, its bytes and what is being sent, for each reader


@pytest.fixture
def served(monkeypatch):
    """The tab on a real server, as Locust serves it, and its port."""
    monkeypatch.setattr(peak_tab, "SEND_LIMIT_S", 0.5)
    monkeypatch.setattr(peak_tab, "BEAT_S", 0.1)
    app = flask.Flask("web")
    ui = SimpleNamespace(app=app, auth_required_if_enabled=lambda view: view)
    tab = PeakTab(ui, base_path="", title="A run", hint="")
    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    yield tab, server.server_port
    server.stop(timeout=1)


def ask(port: int, path: str) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    found.settimeout(20)
    found.connect(("127.0.0.1", port))
    found.sendall(f"GET /peak/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    return found


def wait_for_readers(tab: PeakTab, n: int) -> None:
    until_s = time.monotonic() + 30
    while tab._readers != n:
        assert time.monotonic() < until_s, tab._readers
        gevent.sleep(0.01)


@pytest.mark.parametrize("path", ["events", "report"])
def test_browsers_that_never_read_make_room_for_others(served, tmp_path, path):
    tab, port = served
    tab._report = tmp_path / "index.html"
    tab._report.write_text(LARGE * 8, encoding="utf-8")
    stalled = [ask(port, path) for _ in range(MAX_READERS)]
    wait_for_readers(tab, MAX_READERS)
    with ask(port, "events") as refused:
        assert refused.recv(12) == b"HTTP/1.1 503"
    tracemalloc.start()
    began_s = time.monotonic()
    for number in range(100):
        tab._broadcast.publish(f"{number} {LARGE}")
        gevent.sleep(0)
    took_s, (_, most_bytes) = time.monotonic() - began_s, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < MOST_BYTES
    assert took_s < 10
    wait_for_readers(tab, 0)
    with ask(port, "events") as reading, reading.makefile("rb") as lines:
        while not lines.readline().startswith(b"data: 99 "):
            pass
    for one in stalled:
        one.close()


def test_a_browser_that_reads_gets_the_whole_report(served, tmp_path):
    tab, port = served
    tab._report = tmp_path / "index.html"
    tab._report.write_text(LARGE, encoding="utf-8")
    with ask(port, "report") as reading, reading.makefile("rb") as content:
        head, _, body = content.read().partition(b"\r\n\r\n")
    assert body.decode() == LARGE
    assert f"Content-Length: {len(LARGE)}".encode() in head
    wait_for_readers(tab, 0)
